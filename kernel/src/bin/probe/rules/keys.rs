//! Public keys (Virtio 1.3, 5.9.7.8).

use alloc::{format, vec::Vec};

use virtio_crypto::Services;

use crate::{
    answers::{
        bytes,
        keys::{self, RSA},
    },
    facts::akcipher::{rsa_raw, rsa_signature},
    report::{
        found::{Found, Verdict, refusal, served, status},
        outcome::{Outcome, Works},
    },
    requests::{
        ids::Session,
        raw::Raw,
        shared::{PRIVATE, PUBLIC, encrypt_rsa, open_ecdsa, open_rsa, transform, verify},
        trouble::Trouble,
    },
    rules::{row::Row, subject::Subject},
};

const SECTION: &str = "5.9.7.8.2";
/// `VIRTIO_CRYPTO_RSA_SHA256`.
const SHA256: u32 = 6;
const KEY_REJECTED: u32 = 6;

pub const ROWS: &[Row] = &[
    Row {
        id: "rsa-answers",
        section: SECTION,
        statement: "RSA with PKCS#1 signs, verifies, encrypts and decrypts to known answers.",
        features: 0,
        trial: |subject| {
            subject.work_of(Services::AKCIPHER)?;
            let (hash, signature) = RSA[0].signatures[2];
            let digest: Vec<u8> = (0..hash.digest_len_bytes() as u8).collect();
            let raw = &mut subject.raw;
            judge(rsa_signature(
                raw,
                &RSA[0],
                hash,
                &digest,
                &bytes(signature),
            ))
        },
    },
    Row {
        id: "rsa-raw-answers",
        section: SECTION,
        statement: "An RSA session without padding that opens serves.",
        features: 0,
        trial: |subject| judge(rsa_raw(&mut subject.raw, &RSA[0])),
    },
    Row {
        id: "rsa-length-whole",
        section: "5.9.7.8",
        statement: "A result that begins with a zero byte is whole.",
        features: 0,
        trial: |subject| {
            let session = open(subject, PRIVATE)?;
            let digest = [[0; 16], keys::SHORT_DIGEST.to_be_bytes()].concat();
            let (result, used) = transform(&mut subject.raw, 0x402, session, &digest, 128)?;
            let whole = used == 129 && result == bytes(keys::SHORT_SIGNATURE);
            Ok(Found::new(whole, format!("{used} bytes used")))
        },
    },
    Row {
        id: "used-length-tells-the-result",
        section: "5.9.7.8",
        statement: "The used length of a public-key request is the result's and the status's.",
        features: 0,
        trial: used_lengths,
    },
    Row {
        id: "forged-signature-is-found",
        section: SECTION,
        statement: "A forged signature does not answer OK.",
        features: 0,
        trial: |subject| Ok(refusal(verify_forgery(subject)?)),
    },
    Row {
        id: "forged-signature-answers-key-rejected",
        section: SECTION,
        statement: "A forged signature answers KEY_REJECTED.",
        features: 0,
        trial: |subject| {
            let answer = verify_forgery(subject)?;
            Ok(status(answer, KEY_REJECTED))
        },
    },
    Row {
        id: "ecdsa-answers",
        section: SECTION,
        statement: "ECDSA verifies a known signature, and not a forged one.",
        features: 0,
        trial: ecdsa,
    },
    Row {
        id: "akcipher-bad-key-refused",
        section: "5.9.7.2.1",
        statement: "A create with a key that is no DER of its kind is refused.",
        features: 0,
        trial: |subject| {
            subject.work_of(Services::AKCIPHER)?;
            let (key, len) = ([0x5a; 64], 64);
            let words = [(0, 0x404), (4, 1), (16, 1), (20, PRIVATE), (24, len)];
            let words = [&words[..], &[(28, 1), (32, SHA256)]].concat();
            Ok(refusal(subject.raw.create(&words, &key)))
        },
    },
];

/// What an algorithm's trial says of a rule.
fn judge((works, note): Outcome) -> Verdict {
    match works {
        Works::Yes => Ok(Found::new(true, note)),
        Works::Refused if note.starts_with("create") => Err(Found::not_offered(note)),
        Works::NotTried => Err(Trouble::NotTried.into()),
        _ => Ok(Found::new(false, note)),
    }
}

/// Opens a session with the first key, PKCS#1 and SHA-256.
fn open(subject: &mut Subject, kind: u32) -> Result<Session, Found> {
    subject.work_of(Services::AKCIPHER)?;
    served(open_rsa(&mut subject.raw, &RSA[0], SHA256, kind), "RSA")
}

fn used_lengths(subject: &mut Subject) -> Verdict {
    let (public, private) = (open(subject, PUBLIC)?, open(subject, PRIVATE)?);
    let raw = &mut subject.raw;
    let (_, signed) = transform(raw, 0x402, private, &[1; 32], 128)?;
    let Some(encrypted) = encrypt_rsa(raw, public, b"abc", 128)? else {
        return Ok(Found::new(false, "encryption: always short"));
    };
    let (_, decrypted) = transform(raw, 0x401, private, &encrypted, 128)?;
    let seen = format!("signature {signed}, message of 3 bytes {decrypted}");
    Ok(Found::new(signed == 129 && decrypted == 4, seen))
}

fn verify_forgery(subject: &mut Subject) -> Result<Result<(), Trouble>, Found> {
    let session = open(subject, PUBLIC)?;
    let (hash, signature) = RSA[0].signatures[2];
    let digest: Vec<u8> = (0..hash.digest_len_bytes() as u8).collect();
    let mut forged = bytes(signature);
    forged[127] ^= 1;
    Ok(verify(&mut subject.raw, session, &forged, &digest))
}

fn ecdsa(subject: &mut Subject) -> Verdict {
    /// `VIRTIO_CRYPTO_AKCIPHER_ECDSA`.
    const ECDSA: u32 = 2;
    let raw: &mut Raw = &mut subject.raw;
    let key = bytes(keys::ECDSA_PUBLIC);
    let session = served(open_ecdsa(raw, ECDSA, &key), "ECDSA")?;
    let digest: Vec<u8> = (0..32).collect();
    let signature = bytes(keys::ECDSA_SIGNATURE);
    verify(raw, session, &signature, &digest)?;
    let mut other = digest;
    other[31] ^= 1;
    Ok(refusal(verify(raw, session, &signature, &other)))
}
