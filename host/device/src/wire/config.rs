//! The configuration (5.9.5).

/// `VIRTIO_CRYPTO_S_HW_READY`.
pub const HW_READY: u32 = 1 << 0;

/// Bytes of `struct virtio_crypto_config`.
pub const CONFIG_BYTES: usize = 56;

/// `struct virtio_crypto_config`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// HW_READY.
    pub status: u32,
    /// Data queues.
    pub max_dataqueues: u32,
    /// A bit a service.
    pub crypto_services: u32,
    /// A bit an algorithm of CIPHER.
    pub cipher_algo: u64,
    /// A bit an algorithm of HASH.
    pub hash_algo: u32,
    /// A bit an algorithm of MAC.
    pub mac_algo: u64,
    /// A bit an algorithm of AEAD.
    pub aead_algo: u32,
    /// The longest cipher key.
    pub max_cipher_key_len: u32,
    /// The longest authenticated key.
    pub max_auth_key_len: u32,
    /// A bit an algorithm of AKCIPHER.
    pub akcipher_algo: u32,
    /// Most bytes of the variable-length parameters of a data request.
    pub max_size: u64,
}

impl Config {
    /// Returns it as a driver reads it.
    pub fn bytes(&self) -> [u8; CONFIG_BYTES] {
        let words = [
            self.status,
            self.max_dataqueues,
            self.crypto_services,
            self.cipher_algo as u32,
            (self.cipher_algo >> 32) as u32,
            self.hash_algo,
            self.mac_algo as u32,
            (self.mac_algo >> 32) as u32,
            self.aead_algo,
            self.max_cipher_key_len,
            self.max_auth_key_len,
            self.akcipher_algo,
            self.max_size as u32,
            (self.max_size >> 32) as u32,
        ];
        let mut bytes = [0; CONFIG_BYTES];
        for (field, word) in bytes.chunks_exact_mut(4).zip(words) {
            field.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }
}
