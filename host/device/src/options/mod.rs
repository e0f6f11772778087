//! What a device is: its services, limits, features and queues.
//!
//! For whoever makes a device, by fields or by words of a command line. The one rule: options that
//! came from words can be served; whoever sets fields says [`Options::check`].

pub mod mix;
mod parse;
mod words;

use crate::{feature, offer::Algorithms, results::Results, rules::Rule, wire::reader::Unused};

pub use words::help;

/// What a device is. Made by [`Options::default`] and changed by its fields, or by
/// [`Options::parse`] from words.
#[derive(Clone, Debug)]
pub struct Options {
    /// Data queues, 1 to 64. The control queue comes after them.
    pub data_queues: u16,
    /// Feature bits that it offers.
    pub features: u64,
    /// Bits of `crypto_services` (5.9.4): CIPHER, HASH, MAC, AEAD, AKCIPHER.
    pub services: u32,
    /// Algorithms of each service that it offers.
    pub algorithms: Algorithms,
    /// Sessions that it keeps at one time.
    pub max_sessions: usize,
    /// Most bytes of a request's variable-length parts (`max_size`).
    pub max_size_bytes: u64,
    /// Most bytes of a cipher's key (`max_cipher_key_len`).
    pub max_cipher_key_bytes: u32,
    /// Most bytes of a MAC's key (`max_auth_key_len`).
    pub max_auth_key_bytes: u32,
    /// Sessions outlive a reset, as QEMU's do.
    pub sessions_outlive_reset: bool,
    /// How requests have to be cut into descriptors.
    pub framing: Framing,
    /// Most descriptors of each queue, a power of two where rings are split.
    pub queue_size: u16,
    /// MSI-X vectors; `None` for one a queue and one for the configuration.
    pub vectors: Option<u16>,
    /// The order in which requests are used, where it is free.
    pub completion: Completion,
    /// Requests that are served until their results are published together, 1 to 64.
    pub batch: u16,
    /// How long each request takes longer than it needs to.
    pub delay_us: u32,
    /// Queues that are not served, by their numbers.
    pub stalled: Vec<u16>,
    /// Algorithms that are refused, whatever the configuration says.
    pub refused: Algorithms,
    /// What becomes of RSA results that begin with zeros.
    pub results: Results,
    /// What becomes of fields that say nothing.
    pub unused: Unused,
    /// The rule that is broken.
    pub broken: Option<Rule>,
    /// What everything random begins from.
    pub seed: u64,
}

/// How a request has to be cut into descriptors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// In any way, as 2.7.4.1 asks.
    Any,
    /// One descriptor a field, as DPDK's device wants it. The rest is refused.
    OnePerField,
    /// In any way, and with more bytes than the lengths say: those behind the last field are not
    /// read, those between the results and the status, the last byte, not written. Linux's driver
    /// sends pieces of source and destination twice where they have several; QEMU bears it.
    Surplus,
}

/// The order in which requests are used without IN_ORDER.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Completion {
    /// As they became available.
    AsTaken,
    /// The requests of a batch in a random order.
    Shuffled,
}

/// Most data queues of a device.
pub const MOST_DATA_QUEUES: u16 = 64;
/// Most MSI-X vectors: as many as its table has room for.
pub const MOST_VECTORS: u16 = 128;
/// Most requests whose results are published together.
pub const MOST_BATCH: u16 = 64;

impl Default for Options {
    fn default() -> Self {
        Self {
            data_queues: 1,
            features: feature::VERSION_1
                | feature::EVENT_IDX
                | feature::INDIRECT_DESC
                | feature::RING_RESET
                | feature::REVISION_1
                | feature::STATELESS,
            services: 0x1f,
            algorithms: Algorithms::default(),
            max_sessions: 256,
            max_size_bytes: 1 << 20,
            max_cipher_key_bytes: 64,
            max_auth_key_bytes: 512,
            sessions_outlive_reset: false,
            framing: Framing::Any,
            queue_size: 1024,
            vectors: None,
            completion: Completion::AsTaken,
            batch: 1,
            delay_us: 0,
            stalled: Vec::new(),
            refused: Algorithms::NONE,
            results: Results::Whole,
            unused: Unused::Ignored,
            broken: None,
            seed: 1,
        }
    }
}

impl Options {
    /// Checks that such a device can be served.
    ///
    /// # Errors
    ///
    /// Fails with a line that says what contradicts what.
    pub fn check(&self) -> Result<(), String> {
        let Self {
            features,
            queue_size,
            ..
        } = *self;
        let is_split_only = features & feature::RING_PACKED == 0;
        if is_split_only && !queue_size.is_power_of_two() {
            return Err(format!(
                "queue_size={queue_size}: a power of two, unless packed=on"
            ));
        }
        if features & feature::STATELESS != 0 && features & feature::REVISION_1 == 0 {
            return Err("stateless=on: needs revision_1=on (5.9.3.1)".to_owned());
        }
        match self.stalled.iter().find(|queue| **queue > self.data_queues) {
            Some(queue) => Err(format!(
                "stall={queue}: the control queue is {}, the data queues are below it",
                self.data_queues
            )),
            None => Ok(()),
        }
    }

    /// Returns the number of MSI-X vectors.
    pub fn vector_count(&self) -> u16 {
        self.vectors.unwrap_or(self.data_queues + 2)
    }

    /// Returns the number of queues, with the control queue.
    pub fn queue_count(&self) -> u16 {
        self.data_queues + 1
    }
}
