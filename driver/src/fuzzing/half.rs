//! A device's half of a ring, by the specification's text (Virtio 1.3, 2.7 and 2.8), step by step.
//!
//! For targets, which say when it takes a step. The one rule: it reads and writes memory as a
//! device does, and what it finds there it tells and does not judge.

use alloc::vec::Vec;

use super::machine;
use crate::{
    transport::QueueAddresses,
    virtqueue::{Format, Segment},
};

const NEXT: u16 = 1;
const WRITE: u16 = 2;
const INDIRECT: u16 = 4;
/// Most descriptors of a table that are followed: more are a loop.
const MAX_DESCRIPTORS: usize = 64;

/// A ring as a device sees it.
#[derive(Clone, Debug)]
pub(super) struct Half {
    pub(super) format: Format,
    pub(super) entries: u16,
    pub(super) event_index: bool,
    addresses: QueueAddresses,
    /// Where the next request comes: requests in a split ring, descriptors in a packed one, from
    /// the start.
    next_available: u16,
    /// Where the next used one goes, likewise.
    next_used: u16,
}

/// A request that was taken from a ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) id: u16,
    /// Descriptors of the ring that it has.
    pub(super) descriptors: u16,
    /// What they lead to, in their order.
    pub(super) segments: Vec<Segment>,
    /// The one descriptor leads to a table of more.
    pub(super) is_table: bool,
}

fn u16_at(address: u64) -> u16 {
    u16::from_le_bytes(machine::read(address).unwrap_or_default())
}

fn put_u16(address: u64, value: u16) {
    let _ = machine::write(address, &value.to_le_bytes());
}

fn put_u32(address: u64, value: u32) {
    let _ = machine::write(address, &value.to_le_bytes());
}

/// A descriptor as it stands in memory: what it leads to, and two fields whose meaning depends on
/// the format.
fn descriptor(address: u64) -> Option<(Segment, u16, u16)> {
    let bytes = machine::read::<16>(address)?;
    let half = |at| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
    let segment = Segment {
        bus_address: u64::from_le_bytes(bytes[..8].try_into().ok()?),
        len_bytes: u32::from_le_bytes(bytes[8..12].try_into().ok()?),
        writable: false,
    };
    Some((segment, half(12), half(14)))
}

impl Half {
    pub(super) fn new(
        format: Format,
        entries: u16,
        event_index: bool,
        addresses: QueueAddresses,
    ) -> Self {
        Self {
            format,
            entries,
            event_index,
            addresses,
            next_available: 0,
            next_used: 0,
        }
    }

    fn place(&self, position: u16) -> u64 {
        u64::from(position % self.entries)
    }

    /// The wrap counter of a position (2.8.1).
    fn wrap(&self, position: u16) -> bool {
        (position / self.entries).is_multiple_of(2)
    }

    /// Offset and wrap counter of a position, as events have them (2.8.14).
    fn event(&self, position: u16) -> u16 {
        (position % self.entries) | (u16::from(self.wrap(position)) << 15)
    }

    /// Tells whether a request is available.
    pub(super) fn is_available(&self) -> bool {
        match self.format {
            Format::Split => u16_at(self.addresses.available() + 2) != self.next_available,
            Format::Packed => {
                let at = self.addresses.descriptors() + 16 * self.place(self.next_available);
                let flags = u16_at(at + 14);
                let wrap = self.wrap(self.next_available);
                (flags >> 7 & 1 != 0) == wrap && (flags >> 15 & 1 != 0) != wrap
            }
        }
    }

    /// Takes the next request; `None` if none is available, or what is there is no request.
    pub(super) fn take(&mut self) -> Option<Taken> {
        if !self.is_available() {
            return None;
        }
        match self.format {
            Format::Split => {
                let at = 4 + 2 * self.place(self.next_available);
                self.next_available = self.next_available.wrapping_add(1);
                let head = u16_at(self.addresses.available() + at);
                self.chain(head)
            }
            Format::Packed => {
                let taken = self.run()?;
                self.next_available = self.next_available.wrapping_add(taken.descriptors);
                Some(taken)
            }
        }
    }

    /// Follows a chain of a split ring.
    fn chain(&self, head: u16) -> Option<Taken> {
        let mut taken = Taken {
            id: head,
            descriptors: 0,
            segments: Vec::new(),
            is_table: false,
        };
        let mut index = head;
        loop {
            if index >= self.entries {
                return None;
            }
            let at = self.addresses.descriptors() + 16 * self.place(index);
            let (mut segment, flags, next) = descriptor(at)?;
            segment.writable = flags & WRITE != 0;
            taken.segments.push(segment);
            taken.descriptors += 1;
            taken.is_table |= flags & INDIRECT != 0;
            if flags & NEXT == 0 {
                return Some(taken);
            }
            if taken.descriptors >= self.entries {
                return None;
            }
            index = next;
        }
    }

    /// Follows the descriptors of a request in a packed ring.
    fn run(&self) -> Option<Taken> {
        let mut taken = Taken {
            id: 0,
            descriptors: 0,
            segments: Vec::new(),
            is_table: false,
        };
        loop {
            let position = self.next_available.wrapping_add(taken.descriptors);
            let at = self.addresses.descriptors() + 16 * self.place(position);
            let (mut segment, id, flags) = descriptor(at)?;
            segment.writable = flags & WRITE != 0;
            taken.segments.push(segment);
            taken.descriptors += 1;
            taken.is_table |= flags & INDIRECT != 0;
            taken.id = id;
            if flags & NEXT == 0 {
                return Some(taken);
            }
            if taken.descriptors >= self.entries {
                return None;
            }
        }
    }

    /// Returns what a table leads to, which the one descriptor of `taken` names.
    pub(super) fn table(&self, taken: &Taken) -> Option<Vec<Segment>> {
        let table = *taken.segments.first()?;
        let count = table.len_bytes / 16;
        let (mut segments, mut index) = (Vec::new(), 0u16);
        while u32::from(index) < count && segments.len() < MAX_DESCRIPTORS {
            let at = table.bus_address + 16 * u64::from(index);
            let (mut segment, a, b) = descriptor(at)?;
            let (flags, next) = match self.format {
                Format::Split => (a, b),
                // No links: the table is as long as the request (2.8.7).
                Format::Packed => (b | NEXT, index + 1),
            };
            segment.writable = flags & WRITE != 0;
            segments.push(segment);
            if flags & NEXT == 0 {
                break;
            }
            index = next;
        }
        Some(segments)
    }

    /// Uses a request, or, where requests are used in order, so many of them of which this is the
    /// last.
    pub(super) fn put_used(&mut self, id: u32, len_bytes: u32, requests: u16, descriptors: u16) {
        match self.format {
            Format::Split => {
                let at = self.addresses.used() + 4 + 8 * self.place(self.next_used);
                put_u32(at, id);
                put_u32(at + 4, len_bytes);
                self.next_used = self.next_used.wrapping_add(requests);
                put_u16(self.addresses.used() + 2, self.next_used);
            }
            Format::Packed => {
                let at = self.addresses.descriptors() + 16 * self.place(self.next_used);
                put_u32(at + 8, len_bytes);
                put_u16(at + 12, id as u16);
                let flags = if self.wrap(self.next_used) { 0x8080 } else { 0 };
                put_u16(at + 14, flags);
                self.next_used = self.next_used.wrapping_add(descriptors);
            }
        }
    }

    /// Returns how far it has come in what it has used.
    pub(super) fn next_used(&self) -> u16 {
        self.next_used
    }

    /// Asks for a kick at the next request. It then looks whether one has come meanwhile.
    pub(super) fn ask_for_kick(&self) {
        let used = self.addresses.used();
        match (self.format, self.event_index) {
            (Format::Split, true) => put_u16(self.kick_event(), self.next_available),
            (Format::Split, false) => put_u16(used, 0),
            (Format::Packed, true) => {
                put_u16(used, self.event(self.next_available));
                put_u16(used + 2, 2);
            }
            (Format::Packed, false) => put_u16(used + 2, 0),
        }
    }

    /// Asks for no kicks, as far as that can be said.
    pub(super) fn refuse_kicks(&self) {
        let used = self.addresses.used();
        match (self.format, self.event_index) {
            (Format::Split, true) => put_u16(self.kick_event(), self.next_available ^ 0x8000),
            (Format::Split, false) => put_u16(used, 1),
            (Format::Packed, _) => put_u16(used + 2, 1),
        }
    }

    fn kick_event(&self) -> u64 {
        self.addresses.used() + 4 + 8 * u64::from(self.entries)
    }

    /// Tells whether the device wants a kick for what was made available from one position to
    /// another, requests or descriptors of the driver's.
    pub(super) fn wants_kick(&self, (old, new): (u16, u16)) -> bool {
        let used = self.addresses.used();
        match (self.format, self.event_index) {
            (Format::Split, true) => {
                let event = u16_at(self.kick_event());
                passed(old, new, |position| position == event)
            }
            (Format::Split, false) => old != new && u16_at(used) & 1 == 0,
            (Format::Packed, event_index) => match u16_at(used + 2) & 3 {
                1 => false,
                2 if event_index => {
                    let event = u16_at(used);
                    passed(old, new, |position| self.event(position) == event)
                }
                _ => old != new,
            },
        }
    }

    /// Tells whether the driver wants an interrupt for what was used from one position to another.
    pub(super) fn wants_interrupt(&self, (old, new): (u16, u16)) -> bool {
        let driver = self.addresses.available();
        match (self.format, self.event_index) {
            (Format::Split, true) => {
                let event = u16_at(driver + 4 + 2 * u64::from(self.entries));
                passed(old, new, |position| position == event)
            }
            (Format::Split, false) => u16_at(driver) & 1 == 0,
            (Format::Packed, event_index) => match u16_at(driver + 2) & 3 {
                0 => true,
                2 if event_index => {
                    let event = u16_at(driver);
                    passed(old, new, |position| self.event(position) == event)
                }
                _ => false,
            },
        }
    }
}

/// Tells whether an event lies at one of the positions from `old` to the one before `new`.
fn passed(old: u16, new: u16, is_event: impl Fn(u16) -> bool) -> bool {
    let mut position = old;
    while position != new {
        if is_event(position) {
            return true;
        }
        position = position.wrapping_add(1);
    }
    false
}
