//! HASH, MAC, AEAD, AKCIPHER and chains, by requests made by hand: each number of the specification is
//! tried, whatever the device advertises.

use alloc::{format, string::String, vec::Vec};

use virtio_crypto::{AkcipherAlgorithm, RsaHash, Services};

use crate::{
    answers::{AEADS, HASHES, MACS},
    keys::{self, RSA, RsaKey},
    raw::{Raw, Trouble},
    report::{Report, Row, Works},
    requirements::Config,
};

/// `VIRTIO_CRYPTO_AKCIPHER_KEY_TYPE_PUBLIC`.
pub const PUBLIC: u32 = 1;
/// `VIRTIO_CRYPTO_AKCIPHER_KEY_TYPE_PRIVATE`.
pub const PRIVATE: u32 = 2;
/// `VIRTIO_CRYPTO_RSA_PKCS1_PADDING`.
const PKCS1: u32 = 1;

/// Decodes hexadecimal digits.
pub fn bytes(text: &str) -> Vec<u8> {
    let digit = |digit: &u8| (*digit as char).to_digit(16).unwrap_or(0) as u8;
    let pairs = text.as_bytes().chunks_exact(2);
    pairs
        .map(|pair| digit(&pair[0]) << 4 | digit(&pair[1]))
        .collect()
}

/// What came of it, and where.
type Outcome = (Works, String);

/// Names the step at which a device said no or broke.
fn refused(step: &str, trouble: Trouble) -> Outcome {
    let works = match trouble {
        Trouble::Status(1..=6) => Works::Refused,
        _ => Works::No,
    };
    (works, format!("{step}: {trouble}"))
}

fn compare(result: &[u8], answer: &[u8]) -> Outcome {
    if result == answer {
        (Works::Yes, String::new())
    } else {
        (Works::Wrong, String::from("another answer"))
    }
}

/// Opens a session, lets `ask` use it, and ends it.
fn in_session(
    raw: &mut Raw,
    words: &[(usize, u32)],
    key: &[u8],
    ask: impl FnOnce(&mut Raw, u64) -> Outcome,
) -> Outcome {
    let id = match raw.create(words, key) {
        Ok(id) => id,
        Err(trouble) => return refused("create", trouble),
    };
    let breaks = raw.breaks;
    let mut outcome = ask(raw, id);
    // A device that broke has lost it already.
    if raw.breaks == breaks
        && let Err(trouble) = raw.destroy(id)
    {
        outcome.1 += &format!(" destroy: {trouble}");
    }
    outcome
}

fn no_answer(_: &mut Raw, _: u64) -> Outcome {
    (Works::Untried, String::from("opens; no known answer here"))
}

pub fn try_all(raw: &mut Raw, config: &Config, report: &mut Report) {
    hashes(raw, config, report);
    macs(raw, config, report);
    aeads(raw, config, report);
    chain(raw, config, report);
    rsa(raw, config, report);
    ecdsa(raw, config, report);
}

fn hashes(raw: &mut Raw, config: &Config, report: &mut Report) {
    for (algorithm, answer) in HASHES {
        let (number, answer) = (*algorithm as u32, bytes(answer));
        let len = answer.len();
        raw.step = format!("HASH {algorithm:?}");
        let words = [(0, 0x102), (4, number), (16, number), (20, len as u32)];
        let (works, note) = in_session(raw, &words, &[], |raw, id| {
            let words = [(4, number), (24, 3), (28, len as u32)];
            match raw.data(0x100, id, &words, &[b"abc"], len) {
                Ok((result, _)) => compare(&result, &answer),
                Err(trouble) => refused("hash", trouble),
            }
        });
        report.row(Row {
            service: "HASH",
            algorithm: format!("{algorithm:?}"),
            key_bits: 0,
            advertised: config.advertises(Services::HASH, number),
            works,
            note,
        });
    }
}

fn macs(raw: &mut Raw, config: &Config, report: &mut Report) {
    let message: Vec<u8> = (0..24).collect();
    for (algorithm, [key, answer]) in MACS {
        let number = *algorithm as u32;
        let (key, answer) = (bytes(key), bytes(answer));
        let len = algorithm.result_len_bytes();
        raw.step = format!("MAC {algorithm:?}");
        let (key_len, len_word) = (key.len() as u32, len as u32);
        let words = [
            (0, 0x202),
            (4, number),
            (16, number),
            (20, len_word),
            (24, key_len),
        ];
        let (works, note) = in_session(raw, &words, &key, |raw, id| {
            if answer.is_empty() {
                return no_answer(raw, id);
            }
            let words = [(4, number), (24, 24), (28, len_word)];
            match raw.data(0x200, id, &words, &[&message], len) {
                Ok((result, _)) => compare(&result, &answer),
                Err(trouble) => refused("mac", trouble),
            }
        });
        report.row(Row {
            service: "MAC",
            algorithm: format!("{algorithm:?}"),
            key_bits: key.len() * 8,
            advertised: config.advertises(Services::MAC, number),
            works,
            note,
        });
    }
}

fn aeads(raw: &mut Raw, config: &Config, report: &mut Report) {
    for (algorithm, texts) in AEADS {
        let number = *algorithm as u32;
        let [key, iv, aad, plain, sealed] = texts.map(bytes);
        raw.step = format!("AEAD {algorithm:?}");
        let key_len = key.len() as u32;
        let words = |direction| {
            let sizes = [
                (20, key_len),
                (24, 16),
                (28, aad.len() as u32),
                (32, direction),
            ];
            [&[(0, 0x302), (4, number), (16, number)][..], &sizes].concat()
        };
        let crypt = |raw: &mut Raw, opcode, id, from: &[u8], to: &[u8]| {
            let lens = [iv.len(), aad.len(), from.len(), to.len(), 16];
            let mut words = Vec::from([(4, number)]);
            words.extend((0..).zip(lens).map(|(at, len)| (24 + 4 * at, len as u32)));
            match raw.data(opcode, id, &words, &[&iv, from, &aad], to.len()) {
                Ok((result, _)) => compare(&result, to),
                Err(trouble) => refused("aead", trouble),
            }
        };
        let mut outcome = in_session(raw, &words(1), &key, |raw, id| {
            crypt(raw, 0x300, id, &plain, &sealed)
        });
        if outcome.0 == Works::Yes {
            outcome = in_session(raw, &words(2), &key, |raw, id| {
                crypt(raw, 0x301, id, &sealed, &plain)
            });
        }
        report.row(Row {
            service: "AEAD",
            algorithm: format!("{algorithm:?}"),
            key_bits: key.len() * 8,
            advertised: config.advertises(Services::AEAD, number),
            works: outcome.0,
            note: outcome.1,
        });
    }
}

/// AES-128-CBC, then HMAC-SHA1 over what comes out: whether it opens.
fn chain(raw: &mut Raw, config: &Config, report: &mut Report) {
    raw.step = String::from("chain");
    let order_and_mode = [(0, 0x002), (4, 3), (16, 2), (20, 2)];
    let parts = [
        (24, 3),
        (28, 16),
        (32, 1),
        (40, 2),
        (44, 20),
        (48, 20),
        (64, 2),
    ];
    let words = [&order_and_mode[..], &parts].concat();
    let (works, note) = in_session(raw, &words, &[7; 36], no_answer);
    report.row(Row {
        service: "CHAIN",
        algorithm: String::from("AesCbc+HmacSha1"),
        key_bits: 128,
        advertised: config.advertises(Services::CIPHER, 3) && config.advertises(Services::MAC, 2),
        works,
        note,
    });
}

/// Opens an RSA session for PKCS#1 v1.5 with a hash, by its number.
pub fn open_rsa(raw: &mut Raw, key: &RsaKey, hash: u32, kind: u32) -> Result<u64, Trouble> {
    open_padded(raw, key, (PKCS1, hash), kind)
}

fn open_padded(
    raw: &mut Raw,
    key: &RsaKey,
    (padding, hash): (u32, u32),
    kind: u32,
) -> Result<u64, Trouble> {
    let der = bytes(if kind == PUBLIC {
        key.public
    } else {
        key.private
    });
    let number = AkcipherAlgorithm::Rsa as u32;
    let scheme = [(28, padding), (32, hash)];
    let words = [
        (0, 0x404),
        (4, number),
        (16, number),
        (20, kind),
        (24, der.len() as u32),
    ];
    raw.create(&[&words[..], &scheme].concat(), &der)
}

/// Opens an ECDSA session on P-256 under a number.
pub fn open_ecdsa(raw: &mut Raw, number: u32, key: &[u8]) -> Result<u64, Trouble> {
    let len = key.len() as u32;
    let words = [
        (0, 0x404),
        (4, number),
        (16, number),
        (20, PUBLIC),
        (24, len),
        (28, 3),
    ];
    raw.create(&words, key)
}

/// Sends a public-key request whose result has `len` bytes.
pub fn akcipher(
    raw: &mut Raw,
    opcode: u32,
    id: u64,
    source: &[u8],
    len: usize,
) -> Result<(Vec<u8>, u32), Trouble> {
    let words = [(4, 1), (24, source.len() as u32), (28, len as u32)];
    raw.data(opcode, id, &words, &[source], len)
}

fn verify(raw: &mut Raw, id: u64, signature: &[u8], digest: &[u8]) -> Result<(), Trouble> {
    let words = [
        (4, 1),
        (24, signature.len() as u32),
        (28, digest.len() as u32),
    ];
    raw.data(0x403, id, &words, &[signature, digest], 0)
        .map(drop)
}

fn rsa(raw: &mut Raw, config: &Config, report: &mut Report) {
    let advertised = config.advertises(Services::AKCIPHER, AkcipherAlgorithm::Rsa as u32);
    for key in RSA {
        for (hash, signature) in key.signatures {
            raw.step = format!("RSA {hash:?}");
            let digest: Vec<u8> = (0..hash.digest_len_bytes() as u8).collect();
            let (works, note) = rsa_signature(raw, key, *hash, &digest, &bytes(signature));
            raw.destroy_all();
            report.row(Row {
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
        report.row(Row {
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
fn rsa_signature(
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
    match akcipher(raw, 0x402, private, digest, len) {
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
    let encrypted = match akcipher(raw, 0x400, public, b"abc", len) {
        Ok((result, _)) => result,
        Err(trouble) => return refused("encrypt", trouble),
    };
    match akcipher(raw, 0x401, private, &encrypted, len) {
        Ok((result, used_bytes)) if used_bytes == 4 && result.starts_with(b"abc") => {}
        Ok(_) => return (Works::Wrong, String::from("decrypt: another answer")),
        Err(trouble) => return refused("decrypt", trouble),
    }
    (
        Works::Yes,
        format!("sign verify encrypt decrypt; a forgery answers {forgery}"),
    )
}

fn rsa_raw(raw: &mut Raw, key: &RsaKey) -> Outcome {
    let len = key.bits / 8;
    let ids = [PUBLIC, PRIVATE].map(|kind| open_padded(raw, key, (0, 0), kind));
    let [public, private] = match ids {
        [Ok(public), Ok(private)] => [public, private],
        [Err(trouble), _] | [_, Err(trouble)] => return refused("create", trouble),
    };
    let mut message = bytes(keys::SHORT_SIGNATURE).repeat(len / 128);
    message[0] = 0;
    let encrypted = match akcipher(raw, 0x400, public, &message, len) {
        Ok((result, _)) => result,
        Err(trouble) => return refused("encrypt", trouble),
    };
    match akcipher(raw, 0x401, private, &encrypted, len) {
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
        report.row(Row {
            service: "AKCIPHER",
            algorithm: format!("{algorithm:?}(P256)"),
            key_bits: 256,
            advertised: config.advertises(Services::AKCIPHER, number),
            works,
            note,
        });
    }
}
