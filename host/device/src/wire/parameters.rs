//! What a session keeps, or a stateless request brings along: algorithms, lengths, keys.

use core::fmt;

use crate::wire::{algorithm::Service, header::Direction};

/// Parameters of a session, keys included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parameters<'a> {
    /// A cipher alone.
    Cipher(CipherParameters<'a>),
    /// A cipher and a hash.
    Chain(ChainParameters<'a>),
    /// A hash.
    Hash(HashParameters),
    /// A message authentication code.
    Mac(MacParameters<'a>),
    /// Authenticated encryption.
    Aead(AeadParameters<'a>),
    /// A public or private key.
    Akcipher(AkcipherParameters<'a>),
}

/// `struct virtio_crypto_cipher_session_flf` and its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CipherParameters<'a> {
    /// The number of the algorithm.
    pub algo: u32,
    /// Which of the two it does.
    pub direction: Direction,
    /// The cipher key.
    pub key: Key<'a>,
}

/// `struct virtio_crypto_hash_create_session_flf`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashParameters {
    /// The number of the algorithm.
    pub algo: u32,
    /// The length of a result.
    pub result_len: u32,
}

/// `struct virtio_crypto_mac_create_session_flf` and its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MacParameters<'a> {
    /// The number of the algorithm.
    pub algo: u32,
    /// The length of a result.
    pub result_len: u32,
    /// The authenticated key.
    pub key: Key<'a>,
}

/// `struct virtio_crypto_alg_chain_session_flf` and its keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainParameters<'a> {
    /// Which of the two is first.
    pub order: ChainOrder,
    /// The cipher.
    pub cipher: CipherParameters<'a>,
    /// The hash.
    pub hash: ChainHash<'a>,
    /// Bytes of additional authenticated data.
    pub aad_len: u32,
}

/// `VIRTIO_CRYPTO_SYM_ALG_CHAIN_ORDER_*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChainOrder {
    /// The hash is over what goes into the cipher (1).
    HashThenCipher,
    /// The hash is over what comes out of it (2).
    CipherThenHash,
}

/// The hash of a chain, by `VIRTIO_CRYPTO_SYM_HASH_MODE_*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChainHash<'a> {
    /// Plain (1).
    Plain(HashParameters),
    /// Authenticated (2).
    Authenticated(MacParameters<'a>),
    /// Nested (3).
    Nested(HashParameters),
}

/// `struct virtio_crypto_aead_create_session_flf` and its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AeadParameters<'a> {
    /// The number of the algorithm.
    pub algo: u32,
    /// The length of a tag.
    pub tag_len: u32,
    /// Bytes of additional authenticated data.
    pub aad_len: u32,
    /// Which of the two it does.
    pub direction: Direction,
    /// The key.
    pub key: Key<'a>,
}

/// `struct virtio_crypto_akcipher_create_session_flf` and its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AkcipherParameters<'a> {
    /// The number of the algorithm.
    pub algo: u32,
    /// `VIRTIO_CRYPTO_AKCIPHER_KEY_TYPE_*`.
    pub key_type: KeyType,
    /// The first `le32` that belongs to the algorithm: `padding_algo` of RSA, `curve_id` of ECDSA.
    pub padding_or_curve: u32,
    /// The second one: `hash_algo` of RSA.
    pub hash_algo: u32,
    /// The key in DER.
    pub key: Key<'a>,
}

/// `VIRTIO_CRYPTO_AKCIPHER_KEY_TYPE_*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyType {
    /// A public key (1).
    Public,
    /// A private key (2).
    Private,
}

impl Parameters<'_> {
    /// Returns the service that they are for.
    pub fn service(&self) -> Service {
        match self {
            Self::Cipher(_) | Self::Chain(_) => Service::Cipher,
            Self::Hash(_) => Service::Hash,
            Self::Mac(_) => Service::Mac,
            Self::Aead(_) => Service::Aead,
            Self::Akcipher(_) => Service::Akcipher,
        }
    }

    /// Returns the number of the algorithm; of a chain, that of its cipher.
    pub fn algo(&self) -> u32 {
        match self {
            Self::Cipher(cipher) => cipher.algo,
            Self::Chain(chain) => chain.cipher.algo,
            Self::Hash(hash) => hash.algo,
            Self::Mac(mac) => mac.algo,
            Self::Aead(aead) => aead.algo,
            Self::Akcipher(akcipher) => akcipher.algo,
        }
    }
}

impl<'a> Parameters<'a> {
    /// Returns the key; of a chain, that of its cipher.
    pub fn key(&self) -> Key<'a> {
        match self {
            Self::Cipher(cipher) => cipher.key,
            Self::Chain(chain) => chain.cipher.key,
            Self::Hash(_) => Key(&[]),
            Self::Mac(mac) => mac.key,
            Self::Aead(aead) => aead.key,
            Self::Akcipher(akcipher) => akcipher.key,
        }
    }

    /// Puts another key in its place.
    pub fn set_key(&mut self, key: Key<'a>) {
        match self {
            Self::Cipher(cipher) => cipher.key = key,
            Self::Chain(chain) => chain.cipher.key = key,
            Self::Hash(_) => {}
            Self::Mac(mac) => mac.key = key,
            Self::Aead(aead) => aead.key = key,
            Self::Akcipher(akcipher) => akcipher.key = key,
        }
    }
}

/// A key, which is never printed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Key<'a>(pub &'a [u8]);

impl fmt::Debug for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}
