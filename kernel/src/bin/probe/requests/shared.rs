//! Requests that several rules send: a block encrypted, and those for public keys.

use alloc::vec::Vec;

use virtio_crypto::AkcipherAlgorithm;

use crate::{
    answers::{bytes, keys::RsaKey},
    requests::{
        ids::Session,
        raw::{Queue, Raw},
        trouble::Trouble,
        words::{ENCRYPT, IV_AND_BLOCK},
    },
};

/// `VIRTIO_CRYPTO_AKCIPHER_KEY_TYPE_PUBLIC`.
pub const PUBLIC: u32 = 1;
/// `VIRTIO_CRYPTO_AKCIPHER_KEY_TYPE_PRIVATE`.
pub const PRIVATE: u32 = 2;
/// `VIRTIO_CRYPTO_RSA_PKCS1_PADDING`.
pub const PKCS1: u32 = 1;

/// Encrypts a block in a session of [`CREATE`]; returns the used element's length.
pub fn encrypt(raw: &mut Raw, session: Session) -> Result<u32, Trouble> {
    encrypt_on(raw, 0, session)
}

/// Like [`encrypt`], on a data queue by its index.
pub fn encrypt_on(raw: &mut Raw, queue: u16, session: Session) -> Result<u32, Trouble> {
    let queue = Queue::Data(queue);
    let (_, used_bytes) = raw.data_on(queue, session, ENCRYPT, &IV_AND_BLOCK, 16)?;
    Ok(used_bytes)
}

/// Opens an RSA session for PKCS#1 v1.5 with a hash, by its number.
pub fn open_rsa(raw: &mut Raw, key: &RsaKey, hash: u32, kind: u32) -> Result<Session, Trouble> {
    open_padded(raw, key, (PKCS1, hash), kind)
}

/// Like [`open_rsa`], with any padding and hash, by their numbers.
pub fn open_padded(
    raw: &mut Raw,
    key: &RsaKey,
    (padding, hash): (u32, u32),
    kind: u32,
) -> Result<Session, Trouble> {
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
pub fn open_ecdsa(raw: &mut Raw, number: u32, key: &[u8]) -> Result<Session, Trouble> {
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
pub fn transform(
    raw: &mut Raw,
    opcode: u32,
    session: Session,
    source: &[u8],
    len: usize,
) -> Result<(Vec<u8>, u32), Trouble> {
    let words = [(4, 1), (24, source.len() as u32), (28, len as u32)];
    raw.data(opcode, session, &words, &[source], len)
}

/// Has a signature over a digest verified.
pub fn verify(
    raw: &mut Raw,
    session: Session,
    signature: &[u8],
    digest: &[u8],
) -> Result<(), Trouble> {
    let words = [
        (4, 1),
        (24, signature.len() as u32),
        (28, digest.len() as u32),
    ];
    raw.data(0x403, session, &words, &[signature, digest], 0)
        .map(drop)
}

/// How often an encryption that comes short is made anew, as the driver does it: its padding is
/// random, and QEMU with nettle cuts off the end of a ciphertext that begins with a zero byte, one
/// in 256.
const ENCRYPTION_TRIES: usize = 8;

/// Encrypts a message; `None` if the result is never as long as the modulus.
pub fn encrypt_rsa(
    raw: &mut Raw,
    session: Session,
    message: &[u8],
    len: usize,
) -> Result<Option<Vec<u8>>, Trouble> {
    for _ in 0..ENCRYPTION_TRIES {
        let (result, used_bytes) = transform(raw, 0x400, session, message, len)?;
        if used_bytes as usize == len + 1 {
            return Ok(Some(result));
        }
    }
    Ok(None)
}
