//! Sessions and requests: the bytes of a descriptor chain in, the bytes of its answer out.
//!
//! For the queues, which know nothing of what is in a chain. The one rule: whatever a chain holds,
//! there is an answer; a panic on the way becomes a status.
//!
//! Where the text of 5.9 leaves a choice, or where QEMU's device is another one:
//!
//! | what | here | because |
//! |---|---|---|
//! | `algo` of a header | ignored | the parameters have it too, and QEMU goes by those |
//! | layout, with a stateless mode | by the flag | 5.9.7.3 says by the feature: no sessions then |
//! | a session's `op` and an opcode | have to agree | QEMU goes by the session alone |
//! | more bytes than the lengths say | ERR | the structures have lengths; QEMU ignores it |
//! | `src_data_len` is not `dst_data_len` | ERR | QEMU asks for a reset |
//! | beyond `max_size` | ERR | the request fails (5.9.5.2); QEMU asks for a reset |
//! | another service's session | INVSESS | there is none for the service; QEMU may end |
//! | past the last session | NOSPC or ERR | by REVISION_1 (5.9.7.1); QEMU says ERR |
//! | session_id where a create fails | not written | 5.9.7.2.1; QEMU writes one |
//! | an IV of no bytes | ERR, where one is due | QEMU goes on from the request before |
//! | what is refused | cleared, all counted | QEMU counts it and clears nothing |
//! | a wrong signature | KEY_REJECTED | 5.9.7.8.2 has BADMSG too; QEMU says this |
//! | `iv` of CCM | the nonce | from `iv[1]` on, as 5.9.7.7 also says, a byte is missing |
//! | additional data of a chain | hashed first | 5.9.7.6 does not say where |
//! | nested hash of a chain | a hash's hash | 5.9.7.6 does not say what |
//! | ECDSA's number | 2; by an option 3 | 5.9.4.5 has 2, Linux and QEMU have 3 |
//!
//! Not there, so not offered: GMAC (a MAC request has no field for its IV), AES F8 (none for its
//! salt), KASUMI, SNOW 3G and ZUC (no library that is kept well), and the IPSEC service of VIRTIO
//! 1.4.

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

    /// Returns how many sessions are open.
    pub fn sessions(&self) -> usize {
        self.sessions.count()
    }

    /// Changes how many sessions may be open. Those that are stay.
    pub fn limit_sessions(&self, most: usize) {
        self.sessions.set_limit(most);
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
