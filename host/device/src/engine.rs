//! Sessions and requests: the bytes of a descriptor chain in, the bytes of its answer out.
//!
//! For the queues, which know nothing of what is in a chain. The one rule: whatever a chain holds,
//! there is an answer; a panic on the way becomes a status.

/// Which queue a chain came by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueKind {
    /// One of the data queues.
    Data,
    /// The control queue.
    Control,
}

/// What a descriptor chain holds.
#[derive(Clone, Debug, Default)]
pub struct Chain {
    /// What each readable descriptor holds, in order.
    pub readable: Vec<Vec<u8>>,
    /// The length in bytes of each writable descriptor, in order.
    pub writable: Vec<usize>,
}

/// What becomes of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is used.
    Used {
        /// What is written, each at its offset in bytes into what is writable.
        writes: Vec<(usize, Vec<u8>)>,
        /// Bytes that count as written.
        written_bytes: u32,
    },
    /// It breaks the device, which asks for a reset.
    NeedsReset,
    /// It is kept for ever.
    Withheld,
}
