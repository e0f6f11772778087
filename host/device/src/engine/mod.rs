//! Sessions and requests: the bytes of a descriptor chain in, the bytes of its answer out.
//!
//! For the queues, which know nothing of what is in a chain. The one rule: whatever a chain holds,
//! there is an answer; a panic on the way becomes a status.

mod answer;
mod broken;
mod chain;
mod checks;
mod computation;
mod contained;
mod control;
mod data;
mod framing;
mod refusals;
mod sessions;
#[cfg(test)]
mod tests;

pub use chain::{Answer, Chain, QueueKind};

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use crate::{
    options::Options,
    wire::config::{CONFIG_BYTES, Config, HW_READY},
};
use broken::Broken;
use sessions::Sessions;

/// A device without its queues. Every queue may have its own thread.
#[derive(Debug)]
pub struct Engine {
    options: Arc<Options>,
    config: Config,
    features: AtomicU64,
    sessions: Sessions,
    broken: Broken,
}

impl Engine {
    /// Makes one that has no session.
    pub fn new(options: Arc<Options>) -> Self {
        let offer = &options.algorithms;
        let config = Config {
            status: HW_READY,
            max_dataqueues: options.data_queues.into(),
            crypto_services: options.services,
            cipher_algo: offer.cipher,
            hash_algo: offer.hash,
            mac_algo: offer.mac,
            aead_algo: offer.aead,
            max_cipher_key_len: options.max_cipher_key_bytes,
            max_auth_key_len: options.max_auth_key_bytes,
            akcipher_algo: offer.akcipher,
            max_size: options.max_size_bytes,
        };
        Self {
            config,
            features: AtomicU64::new(0),
            sessions: Sessions::new(options.max_sessions, options.broken),
            broken: Broken::new(options.broken),
            options,
        }
    }

    /// Takes the features that driver and device have agreed on.
    pub fn set_features(&self, features: u64) {
        // Before DRIVER_OK, so before any request; the shell's status orders the two.
        self.features.store(features, Ordering::Relaxed);
    }

    /// Forgets what the driver has made of it.
    pub fn reset(&self) {
        self.features.store(0, Ordering::Relaxed);
        if !self.options.sessions_outlive_reset {
            self.sessions.clear();
        }
    }

    /// Returns the configuration, with or without HW_READY.
    pub fn config(&self, ready: bool) -> [u8; CONFIG_BYTES] {
        let config = Config {
            status: if ready { HW_READY } else { 0 },
            ..self.config
        };
        self.broken.config(config).bytes()
    }

    /// Answers a chain.
    pub fn serve(&self, queue: QueueKind, chain: &Chain) -> Answer {
        let readable = chain.readable.concat();
        match queue {
            QueueKind::Control => self.serve_control(chain, &readable),
            QueueKind::Data => self.serve_data(chain, &readable),
        }
    }

    fn features(&self) -> u64 {
        self.features.load(Ordering::Relaxed)
    }
}
