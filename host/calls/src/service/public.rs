//! Requests of public keys: answers that are known.

use virtio_crypto::Error;

use super::opened::Opened;

/// SHA-256 of the message that is signed.
const DIGEST: [u8; 32] = [
    0x05, 0xf7, 0xe7, 0x85, 0x54, 0xce, 0xad, 0x21, 0xc5, 0x6d, 0x2e, 0x73, 0x0a, 0x0c, 0x97, 0x2c,
    0x8a, 0x2c, 0x86, 0xb3, 0xb5, 0x39, 0xab, 0xd3, 0xe4, 0x94, 0xed, 0x61, 0x83, 0x88, 0x1f, 0x3e,
];
const SIGNATURE: &[u8] = include_bytes!("../../../../driver/testdata/rsa/1024.sha256.sig");
const ENCRYPTED: &[u8] = include_bytes!("../../../../driver/testdata/rsa/1024.encrypted");
const MESSAGE: &[u8] = include_bytes!("../../../../driver/testdata/rsa/message");

/// Sends what a session of a public key is for; returns also whether the answer is right.
pub(super) async fn send(opened: &Opened, is_forged: bool) -> (Result<(), Error>, bool) {
    let mut result = [0xee; 128];
    let outcome = match opened {
        Opened::RsaSign(signer) => {
            let signed = signer.sign(&DIGEST).await;
            let is_right = matches!(&signed, Ok(made) if made.as_ref() == SIGNATURE);
            return (signed.map(drop), is_right);
        }
        Opened::RsaVerify(verifier) => {
            let digest = if is_forged { [7; 32] } else { DIGEST };
            let verified = verifier.verify(&digest, SIGNATURE).await;
            return verdict(verified, is_forged);
        }
        Opened::RsaEncrypt(encryptor) => encryptor.encrypt(MESSAGE, &mut result).await,
        Opened::RsaDecrypt(decryptor) => {
            let decrypted = decryptor.decrypt(ENCRYPTED, &mut result).await;
            let is_right = decrypted.is_ok_and(|len_bytes| {
                assert!(
                    result[len_bytes..].iter().all(|byte| *byte == 0xee),
                    "more than the message was written"
                );
                result[..len_bytes] == *MESSAGE
            });
            if decrypted.is_ok() {
                return (Ok(()), is_right);
            }
            decrypted.map(drop)
        }
        Opened::RsaRawDecrypt(decryptor) => {
            let decrypted = decryptor.decrypt(ENCRYPTED, &mut result).await;
            if decrypted.is_ok() {
                return (Ok(()), result.ends_with(MESSAGE));
            }
            decrypted
        }
        Opened::EcdsaSign(signer) => {
            let signed = signer.sign(&DIGEST).await;
            return (
                signed.as_ref().map(drop).map_err(|error| *error),
                signed.is_ok(),
            );
        }
        Opened::EcdsaVerify(verifier) => {
            // No signature of this key.
            let signature = [0x30, 6, 2, 1, 5, 2, 1, 9];
            return verdict(verifier.verify(&DIGEST, &signature).await, true);
        }
        _ => unreachable!("data is sent in its form"),
    };
    if outcome.is_err() {
        let is_unchanged = result == [0xee; 128] || result == [0; 128];
        assert!(is_unchanged, "{outcome:?} and a result");
    }
    (outcome, outcome.is_ok())
}

/// A signature that is forged is found by the device, so it says so where it is honest.
fn verdict(verified: Result<(), Error>, is_forged: bool) -> (Result<(), Error>, bool) {
    match verified {
        Err(Error::InvalidSignature) => (Ok(()), is_forged),
        Ok(()) => (Ok(()), !is_forged),
        error => (error, false),
    }
}
