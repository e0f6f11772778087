//! The device configuration space (Virtio 1.3, 5.9.5).

use zerocopy::{
    FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout,
    little_endian::{U32, U64},
};

/// `struct virtio_crypto_config`, 56 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(crate) struct Config {
    pub(crate) status: U32,
    pub(crate) max_dataqueues: U32,
    pub(crate) crypto_services: U32,
    pub(crate) cipher_algo_l: U32,
    pub(crate) cipher_algo_h: U32,
    pub(crate) hash_algo: U32,
    pub(crate) mac_algo_l: U32,
    pub(crate) mac_algo_h: U32,
    pub(crate) aead_algo: U32,
    pub(crate) max_cipher_key_len: U32,
    pub(crate) max_auth_key_len: U32,
    pub(crate) akcipher_algo: U32,
    pub(crate) max_size: U64,
}

impl Config {
    /// `VIRTIO_CRYPTO_S_HW_READY`.
    const HW_READY: u32 = 1;

    pub(crate) fn zeroed() -> Self {
        Self::new_zeroed()
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.status.get() & Self::HW_READY != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_lie_where_the_specification_puts_them() {
        let mut bytes = [0; 56];
        for (i, byte) in bytes.iter_mut().enumerate() {
            *byte = i as u8;
        }
        let config = Config::read_from_bytes(&bytes).unwrap();
        assert_eq!(config.status.get(), 0x0302_0100);
        assert_eq!(config.max_dataqueues.get(), 0x0706_0504);
        assert_eq!(config.akcipher_algo.get(), 0x2f2e_2d2c);
        assert_eq!(config.max_size.get(), 0x3736_3534_3332_3130);
    }
}
