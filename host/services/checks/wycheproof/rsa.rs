//! RSA: decryption and signatures of PKCS#1 v1.5.

use alloc::vec;

use virtio_crypto::{
    Device, Error, KeyFault, Platform, RsaDecryptor, RsaHash, RsaPrivateKey, RsaPublicKey,
    RsaVerifier,
};

use super::{Expectation, Tally, count, tests};

/// Runs a file of `rsa_pkcs1`: decryption.
pub async fn decryption<P: Platform>(
    device: &Device<P>,
    file: &'static str,
    table: &[u8],
) -> Tally {
    let mut tally = Tally::new(file);
    let (total, tests) = tests::<1, 2>(table);
    for group in tests.chunk_by(|one, other| one.group == other.group) {
        let [key] = group[0].group;
        let key = RsaPrivateKey::from_pkcs1_der(key).unwrap();
        let session = RsaDecryptor::open(device, &key).await.unwrap();
        for test in group {
            let [message, ciphertext] = test.fields;
            let mut room = vec![0; key.public_key().modulus_len_bytes() - 11];
            let outcome = session.decrypt(ciphertext, &mut room).await;
            let outcome = outcome.map(|len_bytes| &room[..len_bytes]);
            match (test.expectation, outcome) {
                (Expectation::Valid, outcome) => {
                    assert_eq!(outcome, Ok(message), "{file}: test {}", test.id);
                }
                (Expectation::Acceptable, Ok(outcome)) => {
                    assert_eq!(outcome, message, "{file}: test {}", test.id);
                }
                (Expectation::Acceptable, Err(_)) => {}
                (Expectation::Invalid, outcome) => {
                    assert!(outcome.is_err(), "{file}: test {} is invalid", test.id);
                }
            }
            count(&mut tally, test.expectation);
        }
        session.close().await.unwrap();
    }
    tally.close(total)
}

/// Runs a file of `rsa_signature`: verification.
pub async fn signatures<P: Platform>(
    device: &Device<P>,
    file: &'static str,
    table: &[u8],
) -> Tally {
    let mut tally = Tally::new(file);
    let (total, tests) = tests::<2, 2>(table);
    for group in tests.chunk_by(|one, other| one.group == other.group) {
        let [key, hash] = group[0].group;
        let hash = match hash {
            [28] => RsaHash::Sha224,
            [32] => RsaHash::Sha256,
            [48] => RsaHash::Sha384,
            [64] => RsaHash::Sha512,
            other => panic!("a hash of {other:?} bytes"),
        };
        let key = match RsaPublicKey::from_pkcs1_der(key) {
            Ok(key) => key,
            Err(error) => {
                assert!(
                    matches!(error, Error::InvalidKey(KeyFault::ModulusBits { .. })),
                    "{error}"
                );
                for _ in group {
                    tally.skip("modulus-length");
                }
                continue;
            }
        };
        let session = RsaVerifier::open(device, &key, hash).await.unwrap();
        for test in group {
            let [digest, signature] = test.fields;
            let outcome = session.verify(digest, signature).await;
            let what = (file, test.id);
            match test.expectation {
                Expectation::Valid => assert_eq!(outcome, Ok(()), "{what:?}"),
                Expectation::Invalid => assert!(
                    matches!(
                        outcome,
                        Err(Error::InvalidSignature | Error::InvalidLength { .. })
                    ),
                    "{what:?} is invalid: {outcome:?}"
                ),
                Expectation::Acceptable => {}
            }
            count(&mut tally, test.expectation);
        }
        session.close().await.unwrap();
    }
    tally.close(total)
}
