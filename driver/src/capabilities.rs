//! What a device advertises, read once.

use core::ops::RangeInclusive;

use zerocopy::IntoBytes;

use crate::{
    Error,
    error::{check_at_most, check_one_of_lens},
    transport::Transport,
    wire::{
        AeadAlgorithm, AkcipherAlgorithm, CipherAlgorithm, Config, HashAlgorithm, MacAlgorithm,
        Services,
    },
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
    /// [`Options::max_size_bytes`](crate::Options::max_size_bytes) if that is less. A device that
    /// names none (QEMU's `cryptodev-backend-lkcf` leaves the field 0) has [`u64::MAX`] here.
    pub max_size_bytes: u64,
    /// What the device was seen to do: nothing before [`Device::prove`](crate::Device::prove).
    pub proved: Proved,
}

/// What a device was seen to do right, by
/// [`Device::prove`](crate::Device::prove): bit *n* for algorithm number *n*.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Proved {
    /// Cipher algorithms.
    pub cipher_algorithms: u64,
    /// Hash algorithms.
    pub hash_algorithms: u32,
    /// Message authentication codes.
    pub mac_algorithms: u64,
    /// Authenticated ciphers.
    pub aead_algorithms: u32,
    /// Public-key algorithms.
    pub akcipher_algorithms: u32,
    /// Data queues in use that served a request: bit *n* for the one with the number *n*
    /// ([`Device::data_queue_stats`](crate::Device::data_queue_stats)). Queues from 64 on are not asked.
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
        let algorithm = algorithm.into();
        let (service, number) = algorithm.service_and_number();
        let algorithms = match algorithm {
            Algorithm::Cipher(_) => self.cipher_algorithms,
            Algorithm::Hash(_) => self.hash_algorithms.into(),
            Algorithm::Mac(_) => self.mac_algorithms,
            Algorithm::Aead(_) => self.aead_algorithms.into(),
            Algorithm::Akcipher(_) => self.akcipher_algorithms.into(),
        };
        self.services.contains(service) && algorithms & (1 << number) != 0
    }

    /// Returns these as if the device advertised an algorithm, and the service that it belongs to:
    /// for one that was found to work.
    #[must_use]
    pub fn with(self, algorithm: impl Into<Algorithm>) -> Self {
        self.set(algorithm.into(), true)
    }

    /// Returns these as if the device did not advertise an algorithm: for one that was found not to
    /// work.
    #[must_use]
    pub fn without(self, algorithm: impl Into<Algorithm>) -> Self {
        self.set(algorithm.into(), false)
    }

    fn set(mut self, algorithm: Algorithm, works: bool) -> Self {
        let (service, number) = algorithm.service_and_number();
        self.services |= if works { service } else { Services::empty() };
        let narrow = |bits: &mut u32| *bits = *bits & !(1 << number) | u32::from(works) << number;
        let wide = |bits: &mut u64| *bits = *bits & !(1 << number) | u64::from(works) << number;
        match algorithm {
            Algorithm::Cipher(_) => wide(&mut self.cipher_algorithms),
            Algorithm::Hash(_) => narrow(&mut self.hash_algorithms),
            Algorithm::Mac(_) => wide(&mut self.mac_algorithms),
            Algorithm::Aead(_) => narrow(&mut self.aead_algorithms),
            Algorithm::Akcipher(_) => narrow(&mut self.akcipher_algorithms),
        }
        self
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
    fn room_bytes(&self) -> u64 {
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
        self.as_proved().advertises(algorithm)
    }

    /// Returns these with the algorithms that were proved in place of those that are advertised.
    #[must_use]
    pub fn as_proved(self) -> Self {
        let Proved {
            cipher_algorithms,
            hash_algorithms,
            mac_algorithms,
            aead_algorithms,
            akcipher_algorithms,
            data_queues: _,
        } = self.proved;
        let mut services = Services::empty();
        services.set(Services::CIPHER, cipher_algorithms != 0);
        services.set(Services::HASH, hash_algorithms != 0);
        services.set(Services::MAC, mac_algorithms != 0);
        services.set(Services::AEAD, aead_algorithms != 0);
        services.set(Services::AKCIPHER, akcipher_algorithms != 0);
        Self {
            services,
            cipher_algorithms,
            hash_algorithms,
            mac_algorithms,
            aead_algorithms,
            akcipher_algorithms,
            ..self
        }
    }
}

/// An algorithm of any service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Algorithm {
    /// Of the CIPHER service.
    Cipher(CipherAlgorithm),
    /// Of the HASH service.
    Hash(HashAlgorithm),
    /// Of the MAC service.
    Mac(MacAlgorithm),
    /// Of the AEAD service.
    Aead(AeadAlgorithm),
    /// Of the AKCIPHER service.
    Akcipher(AkcipherAlgorithm),
}

impl Algorithm {
    fn service_and_number(self) -> (Services, u32) {
        match self {
            Self::Cipher(algorithm) => (Services::CIPHER, algorithm as u32),
            Self::Hash(algorithm) => (Services::HASH, algorithm as u32),
            Self::Mac(algorithm) => (Services::MAC, algorithm as u32),
            Self::Aead(algorithm) => (Services::AEAD, algorithm as u32),
            Self::Akcipher(algorithm) => (Services::AKCIPHER, algorithm as u32),
        }
    }
}

macro_rules! algorithm_from {
    ($($service:ident($algorithm:ident)),*) => {
        $(impl From<$algorithm> for Algorithm {
            fn from(algorithm: $algorithm) -> Self {
                Self::$service(algorithm)
            }
        })*
    };
}
algorithm_from!(
    Cipher(CipherAlgorithm),
    Hash(HashAlgorithm),
    Mac(MacAlgorithm),
    Aead(AeadAlgorithm),
    Akcipher(AkcipherAlgorithm)
);

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
            cipher_algorithms: wide(config.cipher_algo_l.get(), config.cipher_algo_h.get()),
            hash_algorithms: config.hash_algo.get(),
            mac_algorithms: wide(config.mac_algo_l.get(), config.mac_algo_h.get()),
            aead_algorithms: config.aead_algo.get(),
            akcipher_algorithms: config.akcipher_algo.get(),
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
