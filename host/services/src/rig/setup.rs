//! What the device is like.

use device::{
    feature,
    offer::Algorithms,
    options::{Completion, Framing, MOST_BATCH, Options},
};
use virtio_crypto::{AkcipherAlgorithm, Features};

use super::rings::ring_features;

/// Longest key of a message authentication code in bytes: more than a slot has room for.
pub(crate) const MAX_AUTH_KEY_LEN: u32 = 4096;

/// Longest key of a cipher in bytes.
pub(crate) const MAX_CIPHER_KEY_LEN: u32 = 64;

/// What the device is like.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) features: Features,
    pub(crate) data_queues: u16,
    /// Entries of every queue.
    pub(crate) queue_size: u16,
    pub(crate) max_size_bytes: u64,
    /// Bits of `crypto_services`.
    pub(crate) services: u32,
    pub(crate) algorithms: Algorithms,
    /// It has served before a kick returns, from the start.
    pub(crate) is_eager: bool,
    /// How requests have to lie in descriptors.
    pub(crate) framing: Framing,
    /// Requests that one call serves are used in the random order of this seed.
    pub(crate) shuffled: Option<u64>,
}

impl Default for Setup {
    fn default() -> Self {
        let mut algorithms = Algorithms::default();
        algorithms.akcipher |= 1 << AkcipherAlgorithm::EcdsaLinux as u32;
        Self {
            features: Features::VERSION_1
                | Features::INDIRECT_DESC
                | Features::EVENT_IDX
                | ring_features(),
            data_queues: 1,
            queue_size: 64,
            max_size_bytes: 1 << 20,
            services: Options::default().services,
            algorithms,
            is_eager: false,
            framing: Framing::Any,
            shuffled: None,
        }
    }
}

impl Setup {
    /// Returns the device's own options.
    pub(super) fn options(&self) -> Options {
        Options {
            data_queues: self.data_queues,
            features: self.features.bits() | feature::VERSION_1,
            queue_size: self.queue_size,
            max_size_bytes: self.max_size_bytes,
            max_cipher_key_bytes: MAX_CIPHER_KEY_LEN,
            max_auth_key_bytes: MAX_AUTH_KEY_LEN,
            framing: self.framing,
            completion: match self.shuffled {
                Some(_) => Completion::Shuffled,
                None => Completion::AsTaken,
            },
            batch: self.shuffled.map_or(1, |_| MOST_BATCH),
            seed: self.shuffled.unwrap_or_default(),
            services: self.services,
            algorithms: self.algorithms,
            // What a test leaves behind is seen.
            sessions_outlive_reset: true,
            ..Options::default()
        }
    }
}
