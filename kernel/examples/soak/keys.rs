//! Cases of public keys: known signatures, messages there and back, and what must not verify.

use alloc::{vec, vec::Vec};

use spin::Once;
use virtio_crypto::{
    AkcipherAlgorithm, Curve, EcdsaNumber, EcdsaPrivateKey, EcdsaPublicKey, EcdsaSigner,
    EcdsaVerifier, Error, RsaDecryptor, RsaEncryptor, RsaHash, RsaPrivateKey, RsaSigner,
    RsaVerifier,
};

use crate::case::{Case, check, expect, note, opened};

macro_rules! file {
    ($($name:literal),+) => {
        include_bytes!(concat!("../../../driver/testdata/rsa/", $($name),+))
    };
}

const MESSAGE: &[u8] = file!("message");

/// An RSA key, a ciphertext of the message, and its signatures by hash.
struct Answers {
    key: &'static [u8],
    encrypted: &'static [u8],
    signatures: [&'static [u8]; 4],
}

const RSA: [Answers; 2] = [
    Answers {
        key: file!("1024.pkcs1.der"),
        encrypted: file!("1024.encrypted"),
        signatures: [
            file!("1024.md5.sig"),
            file!("1024.sha1.sig"),
            file!("1024.sha256.sig"),
            file!("1024.sha512.sig"),
        ],
    },
    Answers {
        key: file!("2048.pkcs1.der"),
        encrypted: file!("2048.encrypted"),
        signatures: [
            file!("2048.md5.sig"),
            file!("2048.sha1.sig"),
            file!("2048.sha256.sig"),
            file!("2048.sha512.sig"),
        ],
    },
];

/// The hashes that QEMU has, too, each with the digest of the message.
const DIGESTS: [(RsaHash, &[u8]); 4] = [
    (RsaHash::Md5, file!("message.md5")),
    (RsaHash::Sha1, file!("message.sha1")),
    (RsaHash::Sha256, file!("message.sha256")),
    (RsaHash::Sha512, file!("message.sha512")),
];

/// RFC 6979, A.2.5: a key on P-256, and its point.
const SCALAR: [u8; 32] = hex("c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721");
const X: [u8; 32] = hex("60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6");
const Y: [u8; 32] = hex("7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299");

const fn hex(text: &str) -> [u8; 32] {
    const fn digit(byte: u8) -> u8 {
        match byte {
            b'0'..=b'9' => byte - b'0',
            _ => byte - b'a' + 10,
        }
    }
    let (text, mut bytes, mut index) = (text.as_bytes(), [0; 32], 0);
    while index < bytes.len() {
        bytes[index] = digit(text[2 * index]) << 4 | digit(text[2 * index + 1]);
        index += 1;
    }
    bytes
}

/// Parses the keys, which stay: what they take of the heap is taken from here on.
pub fn parse() {
    rsa_keys();
}

fn rsa_keys() -> &'static [RsaPrivateKey] {
    static KEYS: Once<Vec<RsaPrivateKey>> = Once::new();
    KEYS.call_once(|| {
        let keys = RSA.iter().map(|it| RsaPrivateKey::from_pkcs1_der(it.key));
        keys.map(|key| key.expect("a key")).collect()
    })
}

/// Runs a case of an algorithm of public keys.
///
/// # Errors
///
/// Those of the requests.
///
/// # Panics
///
/// If a byte is wrong.
pub async fn run(case: &mut Case<'_>, algorithm: AkcipherAlgorithm) -> Result<(), Error> {
    match algorithm {
        AkcipherAlgorithm::Rsa if case.random.below(2) == 0 => signatures(case).await,
        AkcipherAlgorithm::Rsa => messages(case).await,
        AkcipherAlgorithm::Ecdsa => ecdsa(case, EcdsaNumber::Specification).await,
        _ => ecdsa(case, EcdsaNumber::Linux).await,
    }
}

async fn signatures(case: &mut Case<'_>) -> Result<(), Error> {
    let by_session = case.takes_session();
    let size = case.random.below(RSA.len());
    let hash_index = case.random.below(DIGESTS.len());
    let (key, (hash, digest)) = (&rsa_keys()[size], DIGESTS[hash_index]);
    let known = RSA[size].signatures[hash_index];
    let device = case.device;
    let (signer, verifier) = match by_session {
        true => (
            opened(RsaSigner::open(device, key, hash).await?),
            opened(RsaVerifier::open(device, key.public_key(), hash).await?),
        ),
        false => (
            RsaSigner::stateless(device, key, hash)?,
            RsaVerifier::stateless(device, key.public_key(), hash)?,
        ),
    };
    let signature = signer.sign(digest).await?;
    check((size, hash), signature.as_ref(), known);
    note(digest.len(), by_session);
    verifier.verify(digest, known).await?;
    note(digest.len(), by_session);
    let mut other = digest.to_vec();
    other[case.random.below(digest.len())] ^= 1;
    expect(
        verifier.verify(&other, known).await,
        Error::InvalidSignature,
    )?;
    signer.close().await?;
    verifier.close().await
}

async fn messages(case: &mut Case<'_>) -> Result<(), Error> {
    let by_session = case.takes_session();
    let size = case.random.below(RSA.len());
    let (key, device) = (&rsa_keys()[size], case.device);
    let (encryptor, decryptor) = match by_session {
        true => (
            opened(RsaEncryptor::open(device, key.public_key()).await?),
            opened(RsaDecryptor::open(device, key).await?),
        ),
        false => (
            RsaEncryptor::stateless(device, key.public_key())?,
            RsaDecryptor::stateless(device, key)?,
        ),
    };
    let known = RSA[size].encrypted;
    let mut plain = vec![0; known.len()];
    let len = decryptor.decrypt(known, &mut plain).await?;
    check(("known message", size), &plain[..len], MESSAGE);
    note(len, by_session);

    let message_len = 1 + case.random.below(encryptor.max_message_len_bytes());
    let message = case.random.bytes(message_len);
    let mut ciphertext = vec![0; known.len()];
    encryptor.encrypt(&message, &mut ciphertext).await?;
    let len = decryptor.decrypt(&ciphertext, &mut plain).await?;
    check(("message", size), &plain[..len], &message);
    note(2 * len, by_session);
    encryptor.close().await?;
    decryptor.close().await
}

async fn ecdsa(case: &mut Case<'_>, number: EcdsaNumber) -> Result<(), Error> {
    let by_session = case.takes_session();
    let device = case.device;
    let private = EcdsaPrivateKey::from_scalar(Curve::P256, &SCALAR)?;
    let public = EcdsaPublicKey::from_sec1_bytes(Curve::P256, &[&[4], &X[..], &Y].concat())?;
    let (signer, verifier) = match by_session {
        true => (
            opened(EcdsaSigner::open(device, &private, number).await?),
            opened(EcdsaVerifier::open(device, &public, number).await?),
        ),
        false => (
            EcdsaSigner::stateless(device, &private, number)?,
            EcdsaVerifier::stateless(device, &public, number)?,
        ),
    };
    let mut digest = case.random.bytes(32);
    let signature = signer.sign(&digest).await?;
    verifier.verify(&digest, signature.as_ref()).await?;
    note(digest.len(), by_session);
    digest[case.random.below(32)] ^= 1;
    expect(
        verifier.verify(&digest, signature.as_ref()).await,
        Error::InvalidSignature,
    )?;
    signer.close().await?;
    verifier.close().await
}
