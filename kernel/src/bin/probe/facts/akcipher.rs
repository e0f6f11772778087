//! AKCIPHER, by requests made by hand.

use alloc::{format, string::String, vec::Vec};

use virtio_crypto::{AkcipherAlgorithm, RsaHash, Services};

use crate::{
    answers::{
        bytes,
        keys::{self, RSA, RsaKey},
    },
    report::{
        Algorithm, Report,
        outcome::{Outcome, Works, compare, refused},
    },
    requests::{
        config::Config,
        raw::Raw,
        shared::{
            PRIVATE, PUBLIC, encrypt_rsa, open_ecdsa, open_padded, open_rsa, transform, verify,
        },
    },
};

pub fn try_all(raw: &mut Raw, config: &Config, report: &mut Report) {
    rsa(raw, config, report);
    ecdsa(raw, config, report);
}

fn rsa(raw: &mut Raw, config: &Config, report: &mut Report) {
    let advertised = config.advertises(Services::AKCIPHER, AkcipherAlgorithm::Rsa as u32);
    for key in RSA {
        for (hash, signature) in key.signatures {
            raw.step = format!("RSA {hash:?}");
            let digest: Vec<u8> = (0..hash.digest_len_bytes() as u8).collect();
            let (works, note) = rsa_signature(raw, key, *hash, &digest, &bytes(signature));
            raw.destroy_all();
            report.algorithm(Algorithm {
                service: "AKCIPHER",
                algorithm: format!("RsaPkcs1({hash:?})"),
                key_bits: key.bits,
                advertised,
                works,
                note,
            });
        }
        raw.step = String::from("RSA RAW");
        let (works, note) = rsa_raw(raw, key);
        raw.destroy_all();
        report.algorithm(Algorithm {
            service: "AKCIPHER",
            algorithm: String::from("RsaRaw"),
            key_bits: key.bits,
            advertised,
            works,
            note,
        });
    }
}

/// Signs to the known answer, verifies it, does not verify another, and decrypts what it encrypts.
pub fn rsa_signature(
    raw: &mut Raw,
    key: &RsaKey,
    hash: RsaHash,
    digest: &[u8],
    signature: &[u8],
) -> Outcome {
    let len = key.bits / 8;
    let private = match open_rsa(raw, key, hash as u32, PRIVATE) {
        Ok(id) => id,
        Err(trouble) => return refused("create", trouble),
    };
    match transform(raw, 0x402, private, digest, len) {
        Ok((result, _)) if result == signature => {}
        Ok(_) => return (Works::Wrong, String::from("sign: another answer")),
        Err(trouble) => return refused("sign", trouble),
    }
    let public = match open_rsa(raw, key, hash as u32, PUBLIC) {
        Ok(id) => id,
        Err(trouble) => return refused("create public", trouble),
    };
    if let Err(trouble) = verify(raw, public, signature, digest) {
        return refused("verify", trouble);
    }
    let mut forged = signature.to_vec();
    forged[len - 1] ^= 1;
    let forgery = match verify(raw, public, &forged, digest) {
        Ok(()) => return (Works::Wrong, String::from("verify: takes a forgery")),
        Err(trouble) => trouble,
    };
    let encrypted = match encrypt_rsa(raw, public, b"abc", len) {
        Ok(Some(result)) => result,
        Ok(None) => return (Works::Wrong, String::from("encrypt: always short")),
        Err(trouble) => return refused("encrypt", trouble),
    };
    match transform(raw, 0x401, private, &encrypted, len) {
        Ok((result, used_bytes)) if used_bytes == 4 && result.starts_with(b"abc") => {}
        Ok(_) => return (Works::Wrong, String::from("decrypt: another answer")),
        Err(trouble) => return refused("decrypt", trouble),
    }
    (
        Works::Yes,
        format!("sign verify encrypt decrypt; a forgery answers {forgery}"),
    )
}

pub fn rsa_raw(raw: &mut Raw, key: &RsaKey) -> Outcome {
    let len = key.bits / 8;
    let ids = [PUBLIC, PRIVATE].map(|kind| open_padded(raw, key, (0, 0), kind));
    let [public, private] = match ids {
        [Ok(public), Ok(private)] => [public, private],
        [Err(trouble), _] | [_, Err(trouble)] => return refused("create", trouble),
    };
    let mut message = bytes(keys::SHORT_SIGNATURE).repeat(len / 128);
    message[0] = 0;
    let encrypted = match transform(raw, 0x400, public, &message, len) {
        Ok((result, _)) => result,
        Err(trouble) => return refused("encrypt", trouble),
    };
    match transform(raw, 0x401, private, &encrypted, len) {
        Ok((result, _)) => compare(&result, &message),
        Err(trouble) => refused("decrypt", trouble),
    }
}

fn ecdsa(raw: &mut Raw, config: &Config, report: &mut Report) {
    let digest: Vec<u8> = (0..32).collect();
    let (key, signature) = (bytes(keys::ECDSA_PUBLIC), bytes(keys::ECDSA_SIGNATURE));
    for algorithm in [AkcipherAlgorithm::Ecdsa, AkcipherAlgorithm::EcdsaLinux] {
        let number = algorithm as u32;
        raw.step = format!("ECDSA as {number}");
        let (works, note) = match open_ecdsa(raw, number, &key) {
            Err(trouble) => refused("create", trouble),
            Ok(id) => match verify(raw, id, &signature, &digest) {
                Ok(()) => (Works::Yes, String::from("verify")),
                Err(trouble) => refused("verify", trouble),
            },
        };
        raw.destroy_all();
        report.algorithm(Algorithm {
            service: "AKCIPHER",
            algorithm: format!("{algorithm:?}(P256)"),
            key_bits: 256,
            advertised: config.advertises(Services::AKCIPHER, number),
            works,
            note,
        });
    }
}
