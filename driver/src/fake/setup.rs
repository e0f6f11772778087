//! What the fake device is like, and how it misbehaves.

use alloc::{vec, vec::Vec};

use super::rings::ring_features;
use crate::wire::{Features, Services};

/// How the device breaks the rules, at the next request that it completes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Uses an id that is no chain.
    Id(u32),
    /// Uses the chain a second time.
    Twice,
    /// Moves the used index forward by so much more.
    IndexJump(u16),
    /// Says that it wrote so much.
    Length(u32),
    /// Does not write the status.
    NoStatus,
    /// Writes the output, but answers with this status.
    Status(u8),
}

/// What the registers of a device read that is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gone {
    /// Ones, as of one that was pulled out.
    Ones,
    /// Zeros, as QEMU's that ACPI has ejected.
    Zeros,
}

/// What the device is like.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) features: Features,
    pub(crate) accepts_features: bool,
    pub(crate) ready: bool,
    pub(crate) resets: bool,
    /// It is removed after so many accesses of its registers.
    pub(crate) leaves_after: Option<(u64, Gone)>,
    pub(crate) stable_config: bool,
    /// It has served before a kick returns, from the start.
    pub(crate) eager: bool,
    /// How many requests it tells of by one used element at most, where it uses them in order.
    pub(crate) batch: usize,
    /// Data queues whose requests it refuses.
    pub(crate) refusing: Vec<usize>,
    /// Queues whose requests it never answers.
    pub(crate) silent: Vec<usize>,
    /// How it breaks the rules at the first request that it completes.
    pub(crate) fault: Option<Fault>,
    /// It loses its hardware after so many requests.
    pub(crate) away_after: Option<u64>,
    /// Ciphers that it advertises.
    pub(crate) cipher_algorithms: u32,
    /// Data queues that it says it has.
    pub(crate) data_queues: u32,
    /// Entries of each data queue, and of the control queue.
    pub(crate) queue_sizes: [u16; 2],
    pub(crate) msix_entries: u16,
    /// Vectors that read back as none.
    pub(crate) refused_vectors: Vec<u16>,
    pub(crate) max_size_bytes: u64,
    /// It judges events of a packed ring as QEMU does: see `ring`.
    pub(crate) judges_by_offsets: bool,
    pub(crate) services: Services,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            features: Features::VERSION_1
                | Features::INDIRECT_DESC
                | Features::EVENT_IDX
                | ring_features(),
            accepts_features: true,
            ready: true,
            resets: true,
            leaves_after: None,
            stable_config: true,
            eager: false,
            batch: 1,
            refusing: vec![],
            silent: vec![],
            fault: None,
            away_after: None,
            cipher_algorithms: 1 << 3,
            data_queues: 1,
            queue_sizes: [64, 64],
            msix_entries: 3,
            refused_vectors: vec![],
            max_size_bytes: 1 << 20,
            judges_by_offsets: false,
            services: Services::CIPHER,
        }
    }
}
