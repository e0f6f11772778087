//! What a device advertises, read once.

use core::ops::RangeInclusive;

use zerocopy::IntoBytes;

use crate::{
    Error, Requirement,
    transport::Transport,
    wire::{CipherAlgorithm, Config, Services},
};

/// The device's configuration space as it was when the device was set up (Virtio 1.3, 5.9.4).
///
/// What a device advertises is a claim: QEMU's builtin backend serves ciphers that it does not
/// advertise, and advertises services that it refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// Data queues that the device has at most.
    pub max_data_queues: u32,
    /// Services that it advertises.
    pub services: Services,
    /// Cipher algorithms that it advertises: bit *n* for algorithm number *n*.
    pub cipher_algorithms: u64,
    /// Hash algorithms.
    pub hash_algorithms: u32,
    /// Message authentication codes.
    pub mac_algorithms: u64,
    /// Authenticated ciphers.
    pub aead_algorithms: u32,
    /// Public-key algorithms.
    pub akcipher_algorithms: u32,
    /// Longest cipher key in bytes.
    pub max_cipher_key_len_bytes: u32,
    /// Longest authentication key in bytes.
    pub max_auth_key_len_bytes: u32,
    /// Most bytes of one request, source and destination together, or
    /// [`Options::max_size_bytes`](crate::Options::max_size_bytes) if that is less.
    pub max_size_bytes: u64,
}

/// How often a configuration that changes while it is read is read again.
const TRIES: u32 = 100;

impl Capabilities {
    /// Reads them; `true` beside them says that the hardware is ready.
    pub(crate) fn read(transport: &dyn Transport) -> Result<(Self, bool), Error> {
        let mut config = Config::zeroed();
        for _ in 0..TRIES {
            // Virtio 1.3, 2.5.1: fields belong together only between two equal generations.
            let before = transport.read_config_generation();
            transport.read_config(0, config.as_mut_bytes())?;
            if transport.read_config_generation() == before {
                return Ok((Self::from(&config), config.is_ready()));
            }
        }
        Err(Error::ConfigUnstable)
    }

    /// Checks a cipher's key, and returns its length.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidLength`]: not one of the algorithm's, or more than the device takes.
    pub(crate) fn check_cipher_key(
        &self,
        algorithm: CipherAlgorithm,
        key: &[u8],
    ) -> Result<u32, Error> {
        check_key(
            key,
            algorithm.key_lens_bytes(),
            self.max_cipher_key_len_bytes,
        )
    }

    /// Tells whether the device advertises a cipher algorithm.
    pub fn advertises(&self, algorithm: CipherAlgorithm) -> bool {
        self.services.contains(Services::CIPHER)
            && self.cipher_algorithms & (1 << algorithm as u32) != 0
    }
}

/// Checks a key against what the algorithm and the device take, and returns its length.
fn check_key(
    key: &[u8],
    lens_bytes: &'static [RangeInclusive<usize>],
    max_bytes: u32,
) -> Result<u32, Error> {
    let invalid = |requirement| Error::InvalidLength {
        field: "key",
        len_bytes: key.len(),
        requirement,
    };
    if !lens_bytes.iter().any(|lens| lens.contains(&key.len())) {
        return Err(invalid(Requirement::OneOf { lens_bytes }));
    }
    let len_bytes = u32::try_from(key.len()).ok();
    let len_bytes = len_bytes.filter(|len_bytes| *len_bytes <= max_bytes);
    let max_bytes = u64::from(max_bytes);
    len_bytes.ok_or(invalid(Requirement::AtMost { max_bytes }))
}

impl From<&Config> for Capabilities {
    fn from(config: &Config) -> Self {
        let wide = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
        Self {
            max_data_queues: config.max_dataqueues.get(),
            services: Services::from_bits_retain(config.crypto_services.get()),
            cipher_algorithms: wide(config.cipher_algo_l.get(), config.cipher_algo_h.get()),
            hash_algorithms: config.hash_algo.get(),
            mac_algorithms: wide(config.mac_algo_l.get(), config.mac_algo_h.get()),
            aead_algorithms: config.aead_algo.get(),
            akcipher_algorithms: config.akcipher_algo.get(),
            max_cipher_key_len_bytes: config.max_cipher_key_len.get(),
            max_auth_key_len_bytes: config.max_auth_key_len.get(),
            max_size_bytes: config.max_size.get(),
        }
    }
}
