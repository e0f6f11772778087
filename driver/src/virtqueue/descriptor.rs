//! Descriptors of both formats: 16 bytes, with an address and a length in front.
//!
//! The one rule: a table says the same in both, but for its links, which a packed ring has not.

/// Bytes of one descriptor.
pub(crate) const DESCRIPTOR_LEN: usize = 16;

/// The chain goes on: with the descriptor that `next` names, or with the next one of the ring.
pub(super) const NEXT: u16 = 1;
/// The device writes it.
pub(super) const WRITE: u16 = 2;
/// It leads to a table.
pub(super) const INDIRECT: u16 = 4;

/// Which format the rings of a device have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// Virtio 1.3, 2.7.
    Split,
    /// Virtio 1.3, 2.8: `VIRTIO_F_RING_PACKED` has been negotiated.
    Packed,
}

/// A stretch of device memory in a descriptor chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    /// Where the device finds it.
    pub(crate) bus_address: u64,
    /// Never 0: some devices stop working when they meet an empty descriptor.
    pub(crate) len_bytes: u32,
    /// The device writes it; otherwise it reads it.
    pub(crate) writable: bool,
}

impl Segment {
    #[inline]
    pub(super) fn flags(self) -> u16 {
        if self.writable { WRITE } else { 0 }
    }
}

/// The descriptors of a request that is about to be made available.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Chain<'a> {
    /// So many are in the slot's own table.
    InTable(u16),
    /// They go into the ring itself.
    Direct(&'a [Segment]),
}

impl Chain<'_> {
    /// Returns how many descriptors of the ring it takes.
    #[inline]
    pub(crate) fn descriptors(self) -> u16 {
        match self {
            Self::InTable(_) => 1,
            Self::Direct(segments) => segments.len() as u16,
        }
    }
}

/// What the device says of a request that it has used. Nothing about it has been checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UsedElement {
    /// The number that the device gave.
    pub(crate) id: u32,
    /// The slot that it stands for, if there is such a slot.
    pub(crate) slot: u32,
    /// Bytes written, if the device keeps to the rules.
    pub(crate) len_bytes: u32,
}

impl UsedElement {
    /// More than any slot's number.
    pub(super) const NO_SLOT: u32 = u32::MAX;
}

/// How far the device has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UsedIndex {
    /// How many requests it has used, modulo 2^16.
    pub(crate) index: u16,
    /// Some devices take an event that was passed before for one that has just been passed.
    pub(crate) passes_event_again: bool,
}

/// Encodes a descriptor of a split ring's tables.
#[inline]
fn linked(segment: Segment, next: Option<u16>) -> [u8; DESCRIPTOR_LEN] {
    let flags = segment.flags() | if next.is_some() { NEXT } else { 0 };
    let next = u64::from(next.unwrap_or(0));
    let high = u64::from(segment.len_bytes) | u64::from(flags) << 32 | next << 48;
    let value = u128::from(segment.bus_address) | u128::from(high) << 64;
    value.to_le_bytes()
}

/// Encodes a descriptor of a packed ring's tables: no links, and no flag but one (2.8.7).
#[inline]
fn unlinked(segment: Segment) -> [u8; DESCRIPTOR_LEN] {
    let high = u64::from(segment.len_bytes) | u64::from(segment.flags()) << 48;
    let value = u128::from(segment.bus_address) | u128::from(high) << 64;
    value.to_le_bytes()
}

/// Encodes a chain as a table of descriptors, for `write` to put each in its place.
#[inline(always)]
pub(crate) fn write_table(
    format: Format,
    segments: &[Segment],
    mut write: impl FnMut(usize, &[u8; DESCRIPTOR_LEN]),
) {
    if format == Format::Packed {
        for (index, segment) in segments.iter().enumerate() {
            write(index, &unlinked(*segment));
        }
        return;
    }
    for (index, segment) in segments.iter().enumerate() {
        let next = (index + 1 < segments.len()).then_some(index as u16 + 1);
        write(index, &linked(*segment, next));
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    fn table(format: Format) -> Vec<[u8; DESCRIPTOR_LEN]> {
        let segments = [(0x0102_0304_0506_0708, 0x2c, false), (0x1122, 0x11, true)];
        let segments = segments.map(|(bus_address, len_bytes, writable)| Segment {
            bus_address,
            len_bytes,
            writable,
        });
        let mut table = Vec::new();
        write_table(format, &segments, |index, descriptor| {
            assert_eq!(index, table.len());
            table.push(*descriptor);
        });
        table
    }

    #[test]
    fn table_of_a_split_ring_is_linked() {
        let expected = [
            [8, 7, 6, 5, 4, 3, 2, 1, 0x2c, 0, 0, 0, 1, 0, 1, 0],
            [0x22, 0x11, 0, 0, 0, 0, 0, 0, 0x11, 0, 0, 0, 2, 0, 0, 0],
        ];
        assert_eq!(table(Format::Split), expected);
    }

    #[test]
    fn table_of_a_packed_ring_has_no_flag_but_that_of_what_the_device_writes() {
        let expected = [
            [8, 7, 6, 5, 4, 3, 2, 1, 0x2c, 0, 0, 0, 0, 0, 0, 0],
            [0x22, 0x11, 0, 0, 0, 0, 0, 0, 0x11, 0, 0, 0, 0, 0, 2, 0],
        ];
        assert_eq!(table(Format::Packed), expected);
    }
}
