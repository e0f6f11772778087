//! What goes into an engine and comes out of it.

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

impl Chain {
    /// Returns how many bytes are writable.
    pub(super) fn writable_bytes(&self) -> usize {
        self.writable
            .iter()
            .fold(0, |sum, len_bytes| sum.saturating_add(*len_bytes))
    }
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
    /// It is used later, when [`Function::finish`](crate::function::Function::finish) says so; not
    /// with IN_ORDER.
    Kept {
        /// What is written then, as of one that is used.
        writes: Vec<(usize, Vec<u8>)>,
        /// Bytes that count as written.
        written_bytes: u32,
    },
    /// It is kept for ever.
    Withheld,
}
