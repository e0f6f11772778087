//! How a chain lies in a ring, and which completions interrupt, whichever kind of ring it is.

/// How a chain's descriptors lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// In the ring.
    Direct,
    /// In a table of their own.
    Indirect,
    /// The first one in the ring, the others in a table.
    DirectThenIndirect,
    /// In a table, whose descriptor says that the device may write it.
    WritableIndirect,
}

/// Which completions interrupt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interrupts {
    Each,
    None,
    /// The completion that comes after so many others, which EVENT_IDX allows to say.
    After(u16),
}
