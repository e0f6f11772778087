//! A chain of descriptors: what may be read, what may be written.
//!
//! For both rings. The one rule: a chain that exists keeps to the rules for chains, whatever the
//! descriptors in memory become meanwhile.

use std::sync::atomic::Ordering;

use super::Fault;
use crate::memory::{Unmapped, View};

/// The length of a descriptor in both formats (2.7.5, 2.8.13).
pub const DESCRIPTOR_BYTES: u64 = 16;

/// The chain goes on (2.7.5, 2.8.13).
pub const NEXT: u16 = 1;
/// The device may write it, and may not read it.
pub const WRITE: u16 = 2;
/// It names a table of descriptors.
pub const INDIRECT: u16 = 4;

/// Most bytes in a chain. The specification allows four times as many (2.7.5.2), but whoever reads
/// them has to keep them.
const MOST_BYTES: u64 = 1 << 30;

/// A piece of guest memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Where it begins.
    pub address: u64,
    /// How long it is.
    pub len_bytes: u32,
}

/// A chain that was taken from a ring.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// What the driver knows it by: its first descriptor, or its buffer id.
    pub id: u16,
    /// Places that it has in the ring's descriptor area.
    pub slots: u16,
    /// How it was cut.
    pub shape: Shape,
    /// What the device may read.
    pub readable: Vec<Piece>,
    /// What it may write.
    pub writable: Vec<Piece>,
}

/// How a chain was cut. No answer depends on it (2.7.4.1), but where a rule is broken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// Descriptors in an indirect table; 0 for none.
    pub table_entries: usize,
    /// Others come in front of the table.
    pub has_direct: bool,
    /// The descriptor of the table has the write flag.
    pub has_write_flag: bool,
    /// It runs over the end of a packed ring.
    pub is_over_end: bool,
}

/// A descriptor as it lies in memory, with the halves of its last word as they come.
#[derive(Clone, Copy, Debug)]
pub struct Raw {
    pub address: u64,
    pub len_bytes: u32,
    /// Flags in a split ring, the id in a packed one.
    pub third: u16,
    /// `next` in a split ring, flags in a packed one.
    pub fourth: u16,
}

impl Raw {
    /// Reads one, once.
    pub fn read(memory: &View, address: u64) -> Result<Self, Unmapped> {
        let bytes: [u8; 16] = memory.read_array(address)?;
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = bytes;
        Ok(Self {
            address: u64::from_le_bytes([a, b, c, d, e, f, g, h]),
            len_bytes: u32::from_le_bytes([i, j, k, l]),
            third: u16::from_le_bytes([m, n]),
            fourth: u16::from_le_bytes([o, p]),
        })
    }
}

impl Taken {
    /// Adds what one descriptor names.
    pub fn add(&mut self, raw: Raw, flags: u16) -> Result<(), Fault> {
        let Raw {
            address, len_bytes, ..
        } = raw;
        if len_bytes == 0 {
            return Err(Fault::Empty);
        }
        let pieces = match flags & WRITE {
            0 if self.writable.is_empty() => &mut self.readable,
            0 => return Err(Fault::ReadableAfterWritable),
            _ => &mut self.writable,
        };
        pieces.push(Piece { address, len_bytes });
        if self.readable_bytes() + self.writable_bytes() > MOST_BYTES {
            return Err(Fault::TooManyBytes);
        }
        Ok(())
    }

    /// Returns how many descriptors name its memory.
    pub fn pieces(&self) -> usize {
        self.readable.len() + self.writable.len()
    }

    /// Returns how many bytes are readable.
    pub fn readable_bytes(&self) -> u64 {
        sum(&self.readable)
    }

    /// Returns how many bytes are writable.
    pub fn writable_bytes(&self) -> u64 {
        sum(&self.writable)
    }
}

fn sum(pieces: &[Piece]) -> u64 {
    pieces.iter().map(|piece| u64::from(piece.len_bytes)).sum()
}

/// Returns how many descriptors an indirect table has, of those that a chain may still have.
pub fn table_entries(len_bytes: u32, most: u16) -> Result<u16, Fault> {
    let entries = u64::from(len_bytes) / DESCRIPTOR_BYTES;
    if entries == 0 || u64::from(len_bytes) % DESCRIPTOR_BYTES != 0 {
        return Err(Fault::IndirectLength { len_bytes });
    }
    match u16::try_from(entries) {
        Ok(entries) if entries <= most => Ok(entries),
        _ => Err(Fault::TooManyDescriptors),
    }
}

/// Loads a 16-bit word of a ring that no order depends on.
pub fn load_relaxed(memory: &View, address: u64) -> Result<u16, Unmapped> {
    Ok(u16::from_le(memory.load(address, Ordering::Relaxed)?))
}
