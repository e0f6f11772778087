//! The bytes of Virtio 1.3, section 5.9: structures, opcodes, status codes. Little-endian; no
//! `unsafe`, no input or output.

mod config;
mod control;
mod data;

use bitflags::bitflags;

pub(crate) use self::{
    config::Config,
    control::{ControlOpcode, create_cipher_session, destroy_session, parse_session_answer},
    data::{DataOpcode, cipher_request},
};
use crate::Refusal;

/// Bytes of header and body of every request in the form that all devices take (no
/// `VIRTIO_CRYPTO_F_REVISION_1`, so no stateless mode): QEMU refuses a shorter one.
pub(crate) const REQUEST_LEN: usize = 72;

/// The id of a crypto device (Virtio 1.3, 5.9.1).
pub const DEVICE_ID: u16 = 20;

bitflags! {
    /// Feature bits that matter to a crypto driver (Virtio 1.3, 5.9.3 and 6).
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Features: u64 {
        /// `VIRTIO_CRYPTO_F_REVISION_1`: shorter headers, stateless mode. Not used.
        const REVISION_1 = 1 << 0;
        /// `VIRTIO_F_INDIRECT_DESC`.
        const INDIRECT_DESC = 1 << 28;
        /// `VIRTIO_F_EVENT_IDX`.
        const EVENT_IDX = 1 << 29;
        /// `VIRTIO_F_VERSION_1`: without it the device is a legacy one.
        const VERSION_1 = 1 << 32;
        /// `VIRTIO_F_ACCESS_PLATFORM`: addresses are bus addresses, which `Hal` gives out anyway.
        const ACCESS_PLATFORM = 1 << 33;
        /// `VIRTIO_F_RING_PACKED`. Not used.
        const RING_PACKED = 1 << 34;
        /// `VIRTIO_F_RING_RESET`. Not used.
        const RING_RESET = 1 << 40;
    }
}

bitflags! {
    /// Services of a device, as its configuration space says (Virtio 1.3, 5.9.4).
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

/// A cipher algorithm by its number (Virtio 1.3, 5.9.7.2.1 "CIPHER").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum CipherAlgorithm {
    /// AES in CBC mode: 16-byte blocks and IV, keys of 16, 24 or 32 bytes.
    AesCbc = 3,
}

/// The direction of a cipher session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Direction {
    /// Plaintext to ciphertext.
    Encrypt = 1,
    /// Ciphertext to plaintext.
    Decrypt = 2,
}

/// `op_type` of a symmetric request: a cipher alone, not a chain.
const SYMMETRIC_CIPHER: u32 = 1;

/// Tells what a status code means (Virtio 1.3, 5.9.7: `VIRTIO_CRYPTO_OK` and the others).
#[inline]
pub(crate) fn check_status(status: u32) -> Result<(), Refusal> {
    Err(match status {
        0 => return Ok(()),
        1 => Refusal::Error,
        2 => Refusal::BadMessage,
        3 => Refusal::NotSupported,
        4 => Refusal::InvalidSession,
        5 => Refusal::NoSpace,
        6 => Refusal::KeyRejected,
        unknown => Refusal::Unknown(unknown),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_codes_are_those_of_the_specification() {
        let all: std::vec::Vec<_> = (0..8).map(check_status).collect();
        assert_eq!(
            all,
            [
                Ok(()),
                Err(Refusal::Error),
                Err(Refusal::BadMessage),
                Err(Refusal::NotSupported),
                Err(Refusal::InvalidSession),
                Err(Refusal::NoSpace),
                Err(Refusal::KeyRejected),
                Err(Refusal::Unknown(7)),
            ]
        );
    }
}
