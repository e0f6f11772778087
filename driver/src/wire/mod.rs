//! The bytes of Virtio 1.3, section 5.9: structures, opcodes, status codes.
//!
//! For requests, which are encoded here, and for answers, which are parsed here. The one rule:
//! bytes in, bytes out, little-endian; no `unsafe`, no input or output, nothing of a queue.

mod akcipher;
mod algorithm;
mod config;
mod control;
mod data;
mod header;
#[cfg(test)]
mod numbers;
mod status;

use bitflags::bitflags;
use zerocopy::{Immutable, IntoBytes};

pub use self::akcipher::{AkcipherAlgorithm, Curve, EcdsaNumber, RsaHash};
pub use self::algorithm::{AeadAlgorithm, CipherAlgorithm, HashAlgorithm, MacAlgorithm};
pub use self::control::ChainOrder;
pub use self::status::Refusal;
pub(crate) use self::{
    akcipher::{
        AkcipherOperation, AkcipherScheme, KeyType, akcipher_request, stateless_akcipher_request,
    },
    config::Config,
    control::{
        ChainHash, CipherParameters, SessionParameters, destroy_opcodes, destroy_session,
        parse_session_answer,
    },
    data::{
        AeadLens, ChainLens, aead_request, chain_request, cipher_request, hash_request,
        mac_request, stateless_aead_request, stateless_chain_request, stateless_cipher_request,
        stateless_hash_request, stateless_mac_request,
    },
    status::{STATUS_OK, check_status},
};

/// Bytes of header and fixed-length fields of every request in the form that all devices take (no
/// `VIRTIO_CRYPTO_F_REVISION_1`): QEMU refuses a shorter one.
pub(crate) const REQUEST_LEN: usize = 72;

/// What pads a head.
const ZEROS: [u8; REQUEST_LEN] = [0; REQUEST_LEN];

/// Longest header with fixed-length fields: that of a stateless symmetric request.
pub(crate) const MAX_HEAD_LEN: usize = 104;

/// Header and fixed-length fields of a request; the variable-length ones follow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Head {
    /// The head is at their end.
    bytes: [u8; MAX_HEAD_LEN],
    len_bytes: usize,
}

impl Head {
    /// Makes a head of what `put` puts into it; `put` returns how long that is.
    #[inline(always)]
    fn of(put: impl FnOnce(&mut Self) -> usize) -> Self {
        let mut head = Self {
            bytes: [0; MAX_HEAD_LEN],
            len_bytes: 0,
        };
        head.len_bytes = put(&mut head);
        head
    }
}

impl AsRef<[u8]> for Head {
    #[inline]
    fn as_ref(&self) -> &[u8] {
        &self.bytes[MAX_HEAD_LEN - self.len_bytes..]
    }
}

/// Takes a head part by part, as it is encoded.
pub(crate) trait PutHead {
    /// Takes the part that begins so many bytes before the head's end.
    fn put(&mut self, before_end_bytes: usize, part: &[u8]);
}

impl PutHead for Head {
    #[inline(always)]
    fn put(&mut self, before_end_bytes: usize, part: &[u8]) {
        let start = MAX_HEAD_LEN - before_end_bytes;
        self.bytes[start..start + part.len()].copy_from_slice(part);
    }
}

/// Which form the fixed-length fields have (Virtio 1.3, 5.9.7.2 and 5.9.7.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Padded, so that every request has [`REQUEST_LEN`] bytes before its variable-length fields.
    Padded,
    /// As long as they are: `VIRTIO_CRYPTO_F_REVISION_1` has been negotiated.
    Exact,
}

impl Form {
    pub(crate) fn of(features: Features) -> Self {
        if features.contains(Features::REVISION_1) {
            Self::Exact
        } else {
            Self::Padded
        }
    }

    /// Puts a header and fixed-length fields together.
    fn head(
        self,
        header: &(impl IntoBytes + Immutable),
        fixed: &(impl IntoBytes + Immutable),
    ) -> Head {
        Head::of(|head| self.put(header, fixed, head))
    }

    /// Puts a header and fixed-length fields where they are to be; returns how long they are.
    #[inline(always)]
    fn put<H: IntoBytes + Immutable, F: IntoBytes + Immutable>(
        self,
        header: &H,
        fixed: &F,
        to: &mut impl PutHead,
    ) -> usize {
        const { assert!(size_of::<H>() + size_of::<F>() <= MAX_HEAD_LEN) };
        let len_bytes = size_of::<H>() + size_of::<F>();
        let padded_bytes = len_bytes.max(REQUEST_LEN);
        // In each arm the compiler knows every offset.
        match self {
            Self::Padded => {
                to.put(padded_bytes, header.as_bytes());
                to.put(padded_bytes - size_of::<H>(), fixed.as_bytes());
                to.put(padded_bytes - len_bytes, &ZEROS[..padded_bytes - len_bytes]);
                padded_bytes
            }
            Self::Exact => {
                to.put(len_bytes, header.as_bytes());
                to.put(size_of::<F>(), fixed.as_bytes());
                len_bytes
            }
        }
    }
}

/// A service of the device: the upper part of an opcode (Virtio 1.3, 5.9.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Service {
    Cipher = 0,
    Hash = 1,
    Mac = 2,
    Aead = 3,
    Akcipher = 4,
}

impl Service {
    /// `VIRTIO_CRYPTO_OPCODE`.
    pub(crate) const fn opcode(self, operation: u32) -> u32 {
        (self as u32) << 8 | operation
    }
}

/// The id of a crypto device (Virtio 1.3, 5.9.1).
pub const DEVICE_ID: u16 = 20;

bitflags! {
    /// Feature bits that matter to a crypto driver (Virtio 1.3, 5.9.3 and 6).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Features: u64 {
        /// `VIRTIO_CRYPTO_F_REVISION_1`: fixed-length fields without padding, stateless mode.
        const REVISION_1 = 1 << 0;
        /// `VIRTIO_CRYPTO_F_CIPHER_STATELESS_MODE`.
        const CIPHER_STATELESS_MODE = 1 << 1;
        /// `VIRTIO_CRYPTO_F_HASH_STATELESS_MODE`.
        const HASH_STATELESS_MODE = 1 << 2;
        /// `VIRTIO_CRYPTO_F_MAC_STATELESS_MODE`.
        const MAC_STATELESS_MODE = 1 << 3;
        /// `VIRTIO_CRYPTO_F_AEAD_STATELESS_MODE`.
        const AEAD_STATELESS_MODE = 1 << 4;
        /// `VIRTIO_CRYPTO_F_AKCIPHER_STATELESS_MODE`.
        const AKCIPHER_STATELESS_MODE = 1 << 5;
        /// `VIRTIO_F_INDIRECT_DESC`.
        const INDIRECT_DESC = 1 << 28;
        /// `VIRTIO_F_EVENT_IDX`.
        const EVENT_IDX = 1 << 29;
        /// `VIRTIO_F_VERSION_1`: without it the device is a legacy one.
        const VERSION_1 = 1 << 32;
        /// `VIRTIO_F_ACCESS_PLATFORM`: addresses are bus addresses, which `Hal` gives out anyway.
        const ACCESS_PLATFORM = 1 << 33;
        /// `VIRTIO_F_RING_PACKED`: the rings have the packed format.
        const RING_PACKED = 1 << 34;
        /// `VIRTIO_F_IN_ORDER`: the device uses requests in the order in which they were sent.
        const IN_ORDER = 1 << 35;
        /// `VIRTIO_F_ORDER_PLATFORM`: the device orders memory as hardware does. The driver always
        /// does what that obliges it to.
        const ORDER_PLATFORM = 1 << 36;
        /// `VIRTIO_F_NOTIFICATION_DATA`: a kick says how far the driver has come.
        const NOTIFICATION_DATA = 1 << 38;
        /// `VIRTIO_F_NOTIF_CONFIG_DATA`: a kick names the queue as the device wants it.
        const NOTIF_CONFIG_DATA = 1 << 39;
        /// `VIRTIO_F_RING_RESET`: a queue is reset by itself.
        const RING_RESET = 1 << 40;
    }
}

impl Features {
    /// Returns the specification's name of one bit.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::REVISION_1 => "VIRTIO_CRYPTO_F_REVISION_1",
            Self::CIPHER_STATELESS_MODE => "VIRTIO_CRYPTO_F_CIPHER_STATELESS_MODE",
            Self::HASH_STATELESS_MODE => "VIRTIO_CRYPTO_F_HASH_STATELESS_MODE",
            Self::MAC_STATELESS_MODE => "VIRTIO_CRYPTO_F_MAC_STATELESS_MODE",
            Self::AEAD_STATELESS_MODE => "VIRTIO_CRYPTO_F_AEAD_STATELESS_MODE",
            Self::AKCIPHER_STATELESS_MODE => "VIRTIO_CRYPTO_F_AKCIPHER_STATELESS_MODE",
            Self::INDIRECT_DESC => "VIRTIO_F_INDIRECT_DESC",
            Self::EVENT_IDX => "VIRTIO_F_EVENT_IDX",
            Self::VERSION_1 => "VIRTIO_F_VERSION_1",
            Self::ACCESS_PLATFORM => "VIRTIO_F_ACCESS_PLATFORM",
            Self::RING_PACKED => "VIRTIO_F_RING_PACKED",
            Self::IN_ORDER => "VIRTIO_F_IN_ORDER",
            Self::NOTIFICATION_DATA => "VIRTIO_F_NOTIFICATION_DATA",
            Self::NOTIF_CONFIG_DATA => "VIRTIO_F_NOTIF_CONFIG_DATA",
            Self::ORDER_PLATFORM => "VIRTIO_F_ORDER_PLATFORM",
            Self::RING_RESET => "VIRTIO_F_RING_RESET",
            _ => "a feature without a name here",
        }
    }
}

bitflags! {
    /// Services of a device, as its configuration space says (Virtio 1.3, 5.9.5).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Services: u32 {
        /// Symmetric ciphers.
        const CIPHER = 1 << 0;
        /// Hashes.
        const HASH = 1 << 1;
        /// Message authentication codes.
        const MAC = 1 << 2;
        /// Authenticated encryption.
        const AEAD = 1 << 3;
        /// Public-key ciphers and signatures.
        const AKCIPHER = 1 << 4;
    }
}

impl From<Service> for Services {
    fn from(service: Service) -> Self {
        Self::from_bits_retain(1 << service as u32)
    }
}

/// The direction of a session of a cipher, plain, chained or authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Direction {
    /// Plaintext to ciphertext.
    Encrypt = 1,
    /// Ciphertext to plaintext.
    Decrypt = 2,
}

/// `op_type` of a symmetric request: a cipher alone.
const SYMMETRIC_CIPHER: u32 = 1;
/// `op_type` of a symmetric request: a cipher and a hash or MAC, one after the other.
const SYMMETRIC_CHAIN: u32 = 2;

#[cfg(test)]
mod tests {
    /// 32-bit words at byte offsets, zeros elsewhere.
    pub(super) fn golden(len: usize, words: &[(usize, u32)]) -> std::vec::Vec<u8> {
        let mut bytes = std::vec![0; len];
        for (at, word) in words {
            bytes[*at..at + 4].copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }
}
