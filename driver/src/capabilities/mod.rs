//! What a device advertises, read once, and what was proved of it.
//!
//! For set-up, which reads it, and for the services, which check lengths against it before they
//! send anything. The one rule: it is a claim, so nothing is refused because it is not advertised.

mod algorithms;

use core::ops::RangeInclusive;

use zerocopy::IntoBytes;

pub use self::algorithms::{Algorithm, AlgorithmSet};
use crate::{
    Error,
    error::{check_at_most, check_one_of_lens},
    transport::Transport,
    wire::{AeadAlgorithm, CipherAlgorithm, Config, MacAlgorithm, Services},
};

/// The device's configuration space as it was when the device was set up (Virtio 1.3, 5.9.5).
///
/// What a device advertises is a claim: QEMU's builtin backend serves ciphers that it does not
/// advertise, and advertises services that it refuses. [`Device::prove`](crate::Device::prove)
/// finds out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// Data queues that the device has at most.
    pub max_data_queues: u32,
    /// Services that it advertises.
    pub services: Services,
    /// Algorithms that it names, also of services that it does not advertise:
    /// [`advertised`](Self::advertised) goes by both.
    pub algorithms: AlgorithmSet,
    /// Longest cipher key in bytes.
    pub max_cipher_key_len_bytes: u32,
    /// Longest authentication key in bytes.
    pub max_auth_key_len_bytes: u32,
    /// Most bytes of one request, source and destination together, or
    /// [`Options::max_size_bytes`](crate::Options::max_size_bytes) if that is less. A device that
    /// names none (QEMU's `cryptodev-backend-lkcf` leaves the field 0) has [`u64::MAX`] here.
    pub max_size_bytes: u64,
    /// What the device was seen to do: nothing before [`Device::prove`](crate::Device::prove).
    pub proved: Proved,
}

/// What a device was seen to do right, by [`Device::prove`](crate::Device::prove).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Proved {
    /// Algorithms whose known answer it gave.
    pub algorithms: AlgorithmSet,
    /// Data queues in use that served a request: bit *n* for the one with the number *n*
    /// ([`Device::data_queue_stats`](crate::Device::data_queue_stats)). Queues from 64 on are not
    /// asked.
    pub data_queues: u64,
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

    /// Tells whether the device advertises an algorithm, and the service that it belongs to.
    pub fn advertises(&self, algorithm: impl Into<Algorithm>) -> bool {
        self.advertised().contains(algorithm)
    }

    /// Returns the algorithms that the device advertises together with their services.
    pub fn advertised(&self) -> AlgorithmSet {
        self.algorithms.of(self.services)
    }

    /// Checks the key of a message authentication code, and returns its length.
    ///
    /// # Errors
    ///
    /// Those of [`check_cipher_key`](Self::check_cipher_key).
    pub(crate) fn check_mac_key(&self, algorithm: MacAlgorithm, key: &[u8]) -> Result<u32, Error> {
        check_key(key, algorithm.key_lens_bytes(), self.max_auth_key_len_bytes)
    }

    /// Checks the key of authenticated encryption, and returns its length.
    ///
    /// # Errors
    ///
    /// Those of [`check_cipher_key`](Self::check_cipher_key).
    pub(crate) fn check_aead_key(
        &self,
        algorithm: AeadAlgorithm,
        key: &[u8],
    ) -> Result<u32, Error> {
        check_key(
            key,
            algorithm.key_lens_bytes(),
            self.max_cipher_key_len_bytes,
        )
    }

    /// Returns the most bytes of one request, of the device and of a chain of descriptors
    /// (Virtio 1.3, 2.7.5.1).
    pub(crate) fn room_bytes(&self) -> u64 {
        self.max_size_bytes.min(u32::MAX.into())
    }

    /// Returns the most bytes of data in a request with so many other bytes, where the data counts
    /// `times` times: once if it is read, twice if it is written too. QEMU counts header and status
    /// as well.
    #[inline]
    pub(crate) fn max_data_len_bytes(&self, other_bytes: usize, times: u64) -> usize {
        let max_bytes = self.room_bytes().saturating_sub(other_bytes as u64) / times;
        usize::try_from(max_bytes).unwrap_or(usize::MAX)
    }

    /// Checks that a request is not too long for the device; lengths count as in
    /// [`max_data_len_bytes`](Self::max_data_len_bytes).
    ///
    /// # Errors
    ///
    /// [`Error::InvalidLength`].
    pub(crate) fn check_len(
        &self,
        other_bytes: usize,
        len_bytes: usize,
        times: u64,
    ) -> Result<(), Error> {
        check_at_most("request without data", other_bytes, self.room_bytes())?;
        let max_bytes = self.max_data_len_bytes(other_bytes, times);
        check_at_most("data", len_bytes, max_bytes as u64)
    }

    /// Tells whether the device gave an algorithm's known answer, whatever it advertises
    /// ([`Device::prove`](crate::Device::prove)).
    pub fn proves(&self, algorithm: impl Into<Algorithm>) -> bool {
        self.proved.algorithms.contains(algorithm)
    }
}

/// Checks a key against what the algorithm and the device take, and returns its length.
fn check_key(
    key: &[u8],
    lens_bytes: &'static [RangeInclusive<usize>],
    max_bytes: u32,
) -> Result<u32, Error> {
    check_one_of_lens("key", key.len(), lens_bytes)?;
    check_at_most("key", key.len(), max_bytes.into())?;
    Ok(key.len() as u32)
}

impl From<&Config> for Capabilities {
    fn from(config: &Config) -> Self {
        let wide = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
        Self {
            max_data_queues: config.max_dataqueues.get(),
            services: Services::from_bits_retain(config.crypto_services.get()),
            algorithms: AlgorithmSet::from_registers([
                wide(config.cipher_algo_l.get(), config.cipher_algo_h.get()),
                config.hash_algo.get().into(),
                wide(config.mac_algo_l.get(), config.mac_algo_h.get()),
                config.aead_algo.get().into(),
                config.akcipher_algo.get().into(),
            ]),
            max_cipher_key_len_bytes: config.max_cipher_key_len.get(),
            max_auth_key_len_bytes: config.max_auth_key_len.get(),
            // 0 would say that nothing fits, which no device means.
            max_size_bytes: match config.max_size.get() {
                0 => u64::MAX,
                max_size_bytes => max_size_bytes,
            },
            proved: Proved::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use zerocopy::{FromZeros, little_endian::U32};

    use super::*;
    use crate::error::Requirement;

    /// Virtio 1.3, 5.9.5.2: one maximum for ciphers, authenticated or not, and one for MACs.
    #[test]
    fn keys_beyond_the_maxima_of_the_device_are_refused() {
        let mut config = Config::new_zeroed();
        config.max_cipher_key_len = U32::new(16);
        config.max_auth_key_len = U32::new(20);
        let capabilities = Capabilities::from(&config);
        let (cipher, mac) = (CipherAlgorithm::AesCbc, MacAlgorithm::HmacSha1);
        let aead = AeadAlgorithm::Gcm;
        let key = [1; 32];
        assert_eq!(capabilities.check_cipher_key(cipher, &key[..16]), Ok(16));
        assert_eq!(capabilities.check_aead_key(aead, &key[..16]), Ok(16));
        assert_eq!(capabilities.check_mac_key(mac, &key[..20]), Ok(20));
        let too_long = |len_bytes, max_bytes| {
            Err(Error::InvalidLength {
                field: "key",
                len_bytes,
                requirement: Requirement::AtMost { max_bytes },
            })
        };
        for (outcome, expected) in [
            (
                capabilities.check_cipher_key(cipher, &key),
                too_long(32, 16),
            ),
            (capabilities.check_aead_key(aead, &key), too_long(32, 16)),
            (
                capabilities.check_mac_key(mac, &key[..21]),
                too_long(21, 20),
            ),
        ] {
            assert_eq!(outcome, expected);
        }
    }
}
