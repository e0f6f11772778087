//! What a chain is made of: its algorithms and keys, checked before a session is opened.

use core::ops::Range;

use crate::{
    Error, Platform,
    device::Device,
    service::{hash, mac},
    wire::{
        ChainHash, ChainOrder, CipherAlgorithm, CipherParameters, Direction, HashAlgorithm,
        MacAlgorithm,
    },
};

/// What a chain computes, and with which keys.
#[derive(Clone, Copy)]
pub struct ChainParameters<'k> {
    /// Which part comes first, whatever the direction of the cipher.
    pub order: ChainOrder,
    /// The cipher.
    pub cipher: CipherAlgorithm,
    /// The cipher's direction.
    pub direction: Direction,
    /// The cipher's key, of one of its lengths ([`CipherAlgorithm::key_lens_bytes`]).
    pub cipher_key: &'k [u8],
    /// The hash or MAC.
    pub hash: ChainedHash<'k>,
    /// Bytes of a digest: as many as the algorithm gives, any number for SHAKE, and for a MAC at
    /// least 4.
    pub digest_len_bytes: usize,
}

/// The hash of a chain.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum ChainedHash<'k> {
    /// A hash.
    Plain(HashAlgorithm),
    /// A message authentication code with its key.
    Authenticated(MacAlgorithm, &'k [u8]),
    /// The hash of the hash. The specification names the mode and does not define it; with the
    /// fields that it has, nothing else can be meant.
    Nested(HashAlgorithm),
}

impl core::fmt::Debug for ChainParameters<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("ChainParameters")
            .field("order", &self.order)
            .field("cipher", &self.cipher)
            .field("direction", &self.direction)
            .field("hash", &self.hash)
            .finish_non_exhaustive()
    }
}

impl core::fmt::Debug for ChainedHash<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        // No key is ever printed.
        match self {
            Self::Plain(algorithm) => write!(f, "Plain({algorithm:?})"),
            Self::Authenticated(algorithm, _) => write!(f, "Authenticated({algorithm:?})"),
            Self::Nested(algorithm) => write!(f, "Nested({algorithm:?})"),
        }
    }
}

/// What a request of a chain brings beside the data.
#[derive(Clone, Debug)]
pub struct ChainInput<'a> {
    /// The cipher's IV, counter block or tweak ([`CipherAlgorithm::iv_len_bytes`]).
    pub iv: &'a [u8],
    /// Additional data, which the hash begins with. The specification leaves open where in the hash
    /// it belongs: ask the device's author, or do without.
    pub aad: &'a [u8],
    /// The bytes of the data that the cipher is over; the others stay as they are.
    pub cipher: Range<usize>,
    /// The bytes of the data that the hash is over: of what goes into the cipher, or of what comes
    /// out of it, as the order says.
    pub hash: Range<usize>,
}

/// A chain on the wire, with the keys in the order in which they are sent.
pub(super) type Parsed<'k> = (CipherParameters, ChainHash, [&'k [u8]; 2]);

/// Checks what a chain is made of.
pub(super) fn parse<'k, P: Platform>(
    device: &Device<P>,
    parameters: &ChainParameters<'k>,
) -> Result<Parsed<'k>, Error> {
    let epoch = device.epoch();
    let ChainParameters {
        cipher: algorithm,
        direction,
        cipher_key,
        digest_len_bytes,
        ..
    } = *parameters;
    let cipher = CipherParameters {
        algorithm,
        direction,
        key_len_bytes: epoch.capabilities.check_cipher_key(algorithm, cipher_key)?,
    };
    let digest = |algorithm| hash::check_digest_len(algorithm, digest_len_bytes);
    let mut key: &[u8] = &[];
    let hash = match parameters.hash {
        ChainedHash::Plain(algorithm) => ChainHash::Plain {
            algorithm,
            result_len_bytes: digest(algorithm)?,
        },
        ChainedHash::Nested(algorithm) => ChainHash::Nested {
            algorithm,
            result_len_bytes: digest(algorithm)?,
        },
        ChainedHash::Authenticated(algorithm, hash_key) => {
            key = hash_key;
            ChainHash::Authenticated {
                algorithm,
                result_len_bytes: mac::check_tag_len(algorithm, digest_len_bytes)?,
                key_len_bytes: epoch.capabilities.check_mac_key(algorithm, key)?,
            }
        }
    };
    Ok((cipher, hash, [cipher_key, key]))
}
