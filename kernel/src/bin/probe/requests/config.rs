//! The configuration space, and what it advertises.

use alloc::{format, string::String};

use virtio_crypto::Services;

use crate::requests::raw::Raw;

/// Bytes of the configuration space.
const CONFIG_LEN: usize = 56;
/// Bits of the services that are defined; the last one, IPsec, is of Virtio 1.4.
pub const SERVICES: u32 = 0x3f;
/// Where `max_cipher_key_len` lies.
pub const MAX_CIPHER_KEY: usize = 36;
/// Where `max_size` lies.
pub const MAX_SIZE: usize = 48;
/// Where `max_auth_key_len` lies.
pub const MAX_AUTH_KEY: usize = 40;

/// The configuration space, by the offsets of its fields (Virtio 1.3, 5.9.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config([u8; CONFIG_LEN]);

impl Config {
    pub fn read(raw: &Raw) -> Result<Self, String> {
        let mut bytes = [0; CONFIG_LEN];
        let read = raw.transport.read_config(0, &mut bytes);
        read.map_err(|error| format!("{error}"))?;
        Ok(Self(bytes))
    }

    pub fn u32(&self, at: usize) -> u32 {
        let bytes = self.0.iter().skip(at).take(4);
        bytes
            .rev()
            .fold(0, |word, byte| word << 8 | u32::from(*byte))
    }

    pub fn u64(&self, at: usize) -> u64 {
        u64::from(self.u32(at)) | u64::from(self.u32(at + 4)) << 32
    }

    /// The advertised algorithms of a service, and the mask of those that the specification
    /// numbers.
    pub fn algorithms(&self, service: Services) -> (u64, u64) {
        let mac = 0x7e | 0x1e00_0000 | 0x600_0000_0000 | 0x66_0000_0000_0000;
        match service {
            Services::CIPHER => (self.u64(12), 0x7ffe),
            Services::HASH => (self.u32(20).into(), 0x1ffe),
            Services::MAC => (self.u64(24), mac),
            Services::AEAD => (self.u32(32).into(), 0xe),
            // ECDSA has two numbers.
            _ => (self.u32(44).into(), 0xe),
        }
    }

    pub fn advertises(&self, service: Services, number: u32) -> bool {
        Services::from_bits_retain(self.u32(8)).contains(service)
            && self.algorithms(service).0 & (1 << number) != 0
    }
}
