//! Which queue, and which interrupt vector: numbers that the device counts by.
//!
//! For errors, transports and set-up, which all name them. The one rule: numbers, and nothing else.

/// The number of a virtqueue of the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueueIndex(pub u16);

/// The number of an entry of the device's MSI-X table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MsixEntry(pub u16);
