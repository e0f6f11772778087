//! How many entries a ring has, and how many slots.
//!
//! For set-up, which asks for slots and gets as many as the device's limit allows. The one rule: a
//! slot owns its descriptors, so a request that has a slot never waits for descriptors.

use super::{block, framing::Framing};
use crate::{Error, transport::QueueIndex, virtqueue::Format, wire::REQUEST_LEN};

/// Most bytes of IV and data together that are copied under the lock.
pub(super) const SHORT_DATA_LEN: usize = 64;
/// Most bytes of a request with so much data, as a device may count them: head, IV and data, which
/// is read and written, and the status.
const SHORT_REQUEST_LEN: u64 = (REQUEST_LEN + 2 * SHORT_DATA_LEN + 1) as u64;

/// Most descriptors of a request.
const MAX_SEGMENTS: u16 = block::MAX_SEGMENTS as u16;

impl Framing {
    /// Returns how many descriptors the simplest requests need: head, source, destination and
    /// status, and an IV where each field has its own.
    fn min_segments(self) -> u16 {
        match self {
            Self::Compact => 4,
            Self::OnePerField => 5,
        }
    }

    /// Returns how many descriptors a slot owns in a ring without indirect tables: enough for
    /// additional data and for lists of a few buffers.
    fn direct_segments(self) -> u16 {
        match self {
            Self::Compact => 8,
            Self::OnePerField => MAX_SEGMENTS,
        }
    }
}

/// What becomes of requests while the device's hardware is not ready.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhenNotReady {
    /// They end with [`Error::HardwareNotReady`], as do those that wait for a slot.
    #[default]
    Fail,
    /// They wait in the line until the hardware is back, however long that takes. Those that would
    /// not wait for a slot end as with [`Fail`](Self::Fail).
    Wait,
}

/// How a queue is laid out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    pub(crate) queue: QueueIndex,
    /// Entries that the device allows.
    pub(crate) max_entries: u16,
    /// Slots that the caller wants.
    pub(crate) slots: u16,
    pub(crate) format: Format,
    pub(crate) indirect: bool,
    pub(crate) framing: Framing,
    pub(crate) event_index: bool,
    pub(crate) in_order: bool,
    /// Sessions whose places this queue keeps; 0 for a data queue.
    pub(crate) sessions: u16,
    pub(crate) when_not_ready: WhenNotReady,
    /// Most bytes of a request that the device takes.
    pub(crate) max_request_bytes: u64,
}

/// The size of a ring and its slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    /// Entries of the ring, a power of two.
    pub(super) entries: u16,
    pub(super) slots: u16,
    /// Descriptors of the ring that a slot owns: 1 with indirect tables.
    pub(super) stride: u16,
    /// Most descriptors of one request.
    pub(super) max_segments: u16,
}

impl Layout {
    /// Tells whether chains are in indirect tables, and compact.
    pub(super) fn is_plain(&self) -> bool {
        self.indirect && self.framing == Framing::Compact
    }

    /// Tells whether every short data request may take the fast path.
    pub(super) fn takes_fast_path(&self) -> bool {
        self.is_plain() && self.max_request_bytes >= SHORT_REQUEST_LEN
    }

    /// Fits the slots that the caller wants into the entries that the device allows.
    ///
    /// # Errors
    ///
    /// [`Error::QueueMissing`], [`Error::QueueTooSmall`].
    pub(crate) fn size(&self) -> Result<Size, Error> {
        let queue = self.queue;
        if self.max_entries == 0 {
            return Err(Error::QueueMissing { queue });
        }
        let needed = self.framing.min_segments();
        // A device's limit need not be a power of two; a split ring's size has to be (2.7), and a
        // packed ring's is, too, so that its positions need no division. 2^15 is most (2.8).
        let largest = 1 << self.max_entries.ilog2();
        if largest < needed {
            return Err(Error::QueueTooSmall {
                queue,
                entries: self.max_entries,
                needed,
            });
        }
        let longest = if self.indirect {
            MAX_SEGMENTS
        } else {
            self.framing.direct_segments()
        };
        let stride = if self.indirect {
            1
        } else {
            longest.min(largest)
        };
        let wanted = self.slots.max(1).saturating_mul(stride).max(longest);
        let entries = wanted
            .checked_next_power_of_two()
            .unwrap_or(largest)
            .min(largest);
        let slots = (entries / stride).min(self.slots.max(1));
        Ok(Size {
            entries,
            slots,
            stride,
            // An indirect table may not be longer than the queue either (2.7.5.3.1).
            max_segments: longest.min(entries),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size(max_entries: u16, slots: u16, indirect: bool) -> Result<Size, Error> {
        framed(Framing::Compact, max_entries, slots, indirect)
    }

    fn framed(
        framing: Framing,
        max_entries: u16,
        slots: u16,
        indirect: bool,
    ) -> Result<Size, Error> {
        let queue = QueueIndex(0);
        Layout {
            queue,
            max_entries,
            slots,
            format: Format::Split,
            indirect,
            framing,
            event_index: true,
            in_order: false,
            when_not_ready: WhenNotReady::Fail,
            max_request_bytes: u64::MAX,
            sessions: 0,
        }
        .size()
    }

    #[test]
    fn slots_fit_into_the_entries_there_are() {
        let fits = |max, slots, indirect, entries, got, max_segments| {
            let stride = if indirect { 1 } else { max_segments };
            let expected = Size {
                entries,
                slots: got,
                stride,
                max_segments,
            };
            assert_eq!(
                size(max, slots, indirect),
                Ok(expected),
                "{max} {slots} {indirect}"
            );
        };
        fits(1024, 64, true, 64, 64, 16);
        fits(1024, 64, false, 512, 64, 8);
        fits(1024, 65, true, 128, 65, 16);
        fits(64, 64, false, 64, 8, 8);
        fits(4, 64, false, 4, 1, 4);
        fits(4, 0, true, 4, 1, 4);
        fits(7, 7, true, 4, 4, 4);
        fits(1024, 1, true, 16, 1, 16);
        fits(u16::MAX, u16::MAX, true, 32_768, 32_768, 16);
        fits(u16::MAX, u16::MAX, false, 32_768, 4096, 8);
    }

    #[test]
    fn one_descriptor_a_field_takes_more_of_a_ring() {
        let framed = |max, indirect| framed(Framing::OnePerField, max, 64, indirect);
        let fits = |max, indirect, entries, slots, stride, max_segments| {
            let expected = Size {
                entries,
                slots,
                stride,
                max_segments,
            };
            assert_eq!(framed(max, indirect), Ok(expected), "{max} {indirect}");
        };
        fits(1024, true, 64, 64, 1, 16);
        fits(1024, false, 1024, 64, 16, 16);
        fits(256, false, 256, 16, 16, 16);
        fits(8, false, 8, 1, 8, 8);
        let queue = QueueIndex(0);
        let small = Error::QueueTooSmall {
            queue,
            entries: 4,
            needed: 5,
        };
        assert_eq!(framed(4, true), Err(small));
    }

    #[test]
    fn too_few_entries_are_refused() {
        for max_entries in 1..4 {
            let queue = QueueIndex(0);
            let small = Error::QueueTooSmall {
                queue,
                entries: max_entries,
                needed: 4,
            };
            assert_eq!(size(max_entries, 1, true), Err(small));
            assert_eq!(size(max_entries, 1, false), Err(small));
        }
        assert_eq!(
            size(0, 1, true),
            Err(Error::QueueMissing {
                queue: QueueIndex(0)
            })
        );
    }
}
