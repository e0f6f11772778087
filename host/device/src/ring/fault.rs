//! What a driver can do wrong with a ring.
//!
//! For both rings and for whoever reads why a device asks for a reset. The one rule: each variant
//! is a rule of the specification that the driver broke.

use std::fmt;

use crate::memory::Unmapped;

/// A rule that the driver broke. The device asks for a reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "a variant's own line says what its fields are")]
pub enum Fault {
    /// Something is not in memory, or not at a multiple of its size.
    Unmapped(Unmapped),
    /// There is no ring of this size (2.7, 2.8.10.1).
    Size { size: u16 },
    /// A part of the ring is not where it may be (2.7, 2.8.10.1).
    Misaligned { address: u64, alignment: u64 },
    /// The available index runs ahead by more than the ring holds, or back (2.7.6).
    AvailableIndex { index: u16, taken: u16 },
    /// A descriptor beyond the table (2.7.5).
    Descriptor { index: u16, size: u16 },
    /// A chain that the device has not given back (2.7.13, 2.8.9).
    StillInFlight { id: u16 },
    /// With IN_ORDER, another descriptor than the next one (2.7.5.1).
    NotInOrder { index: u16, expected: u16 },
    /// A descriptor without a byte, which QEMU refuses too (virtqueue_map_desc).
    Empty,
    /// A readable descriptor behind a writable one (2.7.4.2, 2.8.17).
    ReadableAfterWritable,
    /// More bytes in a chain than this device reads.
    TooManyBytes,
    /// More descriptors in a chain than the ring has (2.7.5.3.1, 2.8.7.1).
    TooManyDescriptors,
    /// A packed chain that ends in a descriptor that is not available (2.8.17).
    Unfinished { position: u16 },
    /// A table although INDIRECT_DESC was not negotiated (2.7.5.3.1).
    IndirectUnasked,
    /// A table in a table, or another descriptor behind one (2.7.5.3.1).
    IndirectNested,
    /// A table of no whole number of descriptors (2.7.5.3.1).
    IndirectLength { len_bytes: u32 },
    /// Event suppression flags that have no meaning (2.8.10).
    EventFlags { flags: u16 },
    /// A driver event at a descriptor beyond the ring (2.8.10).
    EventOffset { offset: u16 },
    /// A notification of what is not in the ring (2.9).
    Announced { offset: u16 },
    /// A notification that names another queue than its doorbell (4.1.5.2).
    Doorbell { named: u16, expected: u16 },
}

impl From<Unmapped> for Fault {
    fn from(unmapped: Unmapped) -> Self {
        Self::Unmapped(unmapped)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unmapped(unmapped) => unmapped.fmt(f),
            Self::Size { size } => write!(f, "a ring of {size} descriptors"),
            Self::Misaligned { address, alignment } => {
                write!(f, "{address:#x} is no multiple of {alignment}")
            }
            Self::AvailableIndex { index, taken } => {
                write!(f, "available index {index} after {taken}")
            }
            Self::Descriptor { index, size } => write!(f, "descriptor {index} of {size}"),
            Self::StillInFlight { id } => write!(f, "chain {id} is in flight already"),
            Self::NotInOrder { index, expected } => {
                write!(f, "descriptor {index} where {expected} comes next")
            }
            Self::Empty => f.write_str("a descriptor of no bytes"),
            Self::ReadableAfterWritable => f.write_str("a readable descriptor behind a writable"),
            Self::TooManyBytes => f.write_str("a chain of too many bytes"),
            Self::TooManyDescriptors => f.write_str("a chain longer than the ring"),
            Self::Unfinished { position } => {
                write!(f, "a chain goes on at {position}, which is not available")
            }
            Self::IndirectUnasked => f.write_str("an indirect descriptor without the feature"),
            Self::IndirectNested => f.write_str("an indirect descriptor that is not the last"),
            Self::IndirectLength { len_bytes } => {
                write!(f, "an indirect table of {len_bytes} bytes")
            }
            Self::EventFlags { flags } => write!(f, "event suppression flags {flags:#x}"),
            Self::EventOffset { offset } => write!(f, "an event at descriptor {offset}"),
            Self::Announced { offset } => {
                write!(f, "a notification says {offset}, where the ring is not yet")
            }
            Self::Doorbell { named, expected } => {
                write!(f, "a notification names {named} instead of {expected}")
            }
        }
    }
}

impl std::error::Error for Fault {}
