//! The device's half of a packed ring (Virtio 1.3, 2.8), for which there is no crate.
//!
//! Written from the specification's text, and otherwise than the driver's half: a place is an
//! offset and a wrap counter here, and events are found by walking.

use alloc::{vec, vec::Vec};
use core::sync::atomic::{Ordering, fence};

use vm_memory::{Bytes, GuestAddress};

use super::chain::{Chain, Stretch};
use crate::{fake::memory::memory, transport::QueueAddresses};

const NEXT: u16 = 1;
const WRITE: u16 = 2;
const INDIRECT: u16 = 4;
const AVAILABLE: u16 = 1 << 7;
const USED: u16 = 1 << 15;

const ENABLE: u16 = 0;
const DISABLE: u16 = 1;
const AT_DESCRIPTOR: u16 = 2;

/// A place in the ring, and the wrap counter of whoever is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    offset: u16,
    wrap: bool,
}

impl Place {
    const START: Self = Self {
        offset: 0,
        wrap: true,
    };

    fn next(self, size: u16) -> Self {
        match self.offset + 1 {
            end if end == size => Self {
                offset: 0,
                wrap: !self.wrap,
            },
            offset => Self { offset, ..self },
        }
    }

    fn of_event(event: u16) -> Self {
        Self {
            offset: event & 0x7fff,
            wrap: event >> 15 == 1,
        }
    }

    fn to_event(self) -> u16 {
        self.offset | u16::from(self.wrap) << 15
    }
}

/// A descriptor as it lies in memory.
#[derive(Clone, Copy, Debug)]
struct Descriptor {
    address: u64,
    len: u32,
    id: u16,
    flags: u16,
}

impl Descriptor {
    fn read(at: u64) -> Self {
        let mut bytes = [0; 16];
        memory().read_slice(&mut bytes, GuestAddress(at)).unwrap();
        let value = u128::from_le_bytes(bytes);
        Self {
            address: value as u64,
            len: (value >> 64) as u32,
            id: (value >> 96) as u16,
            flags: (value >> 112) as u16,
        }
    }

    fn stretch(self) -> Stretch {
        Stretch {
            address: self.address,
            len: self.len,
            is_writable: self.flags & WRITE != 0,
        }
    }
}

pub(super) struct PackedHalf {
    addresses: QueueAddresses,
    size: u16,
    event_index: bool,
    next_available: Place,
    next_used: Place,
    /// Where `next_used` was when it was last asked whether to notify.
    notified: Place,
    /// As QEMU does: an event of the lap before has always just been passed.
    pub(super) judges_by_offsets: bool,
}

fn load(at: u64, ordering: Ordering) -> u16 {
    u16::from_le(memory().load(GuestAddress(at), ordering).unwrap())
}

fn store(at: u64, value: u16, ordering: Ordering) {
    memory()
        .store(value.to_le(), GuestAddress(at), ordering)
        .unwrap();
}

impl PackedHalf {
    pub(super) fn new(size: u16, addresses: QueueAddresses, event_index: bool) -> Self {
        Self {
            addresses,
            size,
            event_index,
            next_available: Place::START,
            next_used: Place::START,
            notified: Place::START,
            judges_by_offsets: false,
        }
    }

    /// Checks how the driver laid the queue out (2.8.10.1), and asks for a kick.
    pub(super) fn enable(&mut self) {
        let addresses = self.addresses;
        assert!(self.size <= 1 << 15, "too many descriptors");
        assert!(
            addresses.descriptors().is_multiple_of(16),
            "descriptor ring"
        );
        assert!(addresses.available().is_multiple_of(4), "driver events");
        assert!(addresses.used().is_multiple_of(4), "device events");
        self.enable_notification();
    }

    fn at(&self, place: Place) -> u64 {
        self.addresses.descriptors() + 16 * u64::from(place.offset)
    }

    fn is_available(&self, place: Place) -> bool {
        let flags = load(self.at(place) + 14, Ordering::Acquire);
        (flags & AVAILABLE != 0) == place.wrap && (flags & USED != 0) != place.wrap
    }

    pub(super) fn take_one(&mut self) -> Option<Chain> {
        let mut place = self.next_available;
        if !self.is_available(place) {
            return None;
        }
        let (mut stretches, mut descriptors) = (vec![], 0);
        let last = loop {
            assert!(
                self.is_available(place),
                "a chain was handed over before all of it was written"
            );
            let descriptor = Descriptor::read(self.at(place));
            place = place.next(self.size);
            descriptors += 1;
            if descriptor.flags & INDIRECT != 0 {
                assert_eq!(descriptor.flags & NEXT, 0, "a table in a chain");
                stretches.extend(self.read_table(descriptor));
            } else {
                stretches.push(descriptor.stretch());
            }
            if descriptor.flags & NEXT == 0 {
                break descriptor;
            }
            assert!(descriptors < self.size, "a chain without an end");
        };
        self.next_available = place;
        Some(Chain::new(last.id, descriptors, stretches))
    }

    fn read_table(&self, table: Descriptor) -> Vec<Stretch> {
        assert!(
            table.len > 0 && table.len.is_multiple_of(16),
            "a table's length"
        );
        assert!(
            table.len / 16 <= self.size.into(),
            "a table longer than the queue"
        );
        let read = |index| {
            let descriptor = Descriptor::read(table.address + 16 * u64::from(index));
            // The driver sets no other flag (2.8.19).
            assert_eq!(descriptor.flags & !WRITE, 0, "a flag in a table");
            descriptor.stretch()
        };
        (0..table.len / 16).map(read).collect()
    }

    pub(super) fn use_chain(&mut self, chain: &Chain, written: u32) {
        self.write_used(chain.id, written);
        self.skip(chain.descriptors);
    }

    fn skip(&mut self, descriptors: u16) {
        for _ in 0..descriptors {
            self.next_used = self.next_used.next(self.size);
        }
    }

    /// Writes a used descriptor: the flags last (2.8.22).
    fn write_used(&self, id: u16, written: u32) {
        let at = self.at(self.next_used);
        memory()
            .write_obj(written.to_le(), GuestAddress(at + 8))
            .unwrap();
        memory()
            .write_obj(id.to_le(), GuestAddress(at + 12))
            .unwrap();
        self.write_used_flags(self.next_used);
    }

    fn write_used_flags(&self, place: Place) {
        let counter = if place.wrap { AVAILABLE | USED } else { 0 };
        store(self.at(place) + 14, WRITE | counter, Ordering::Release);
    }

    /// Writes a used descriptor, whatever it says, skips as many as it stands for, and marks `more`
    /// behind it as used.
    pub(super) fn use_raw(&mut self, id: u32, (written, descriptors): (u32, u16), more: u16) {
        self.write_used(id as u16, written);
        self.skip(descriptors);
        let mut place = self.next_used;
        for _ in 0..more.min(self.size - 1) {
            self.write_used_flags(place);
            place = place.next(self.size);
        }
    }

    pub(super) fn mark_for_another_lap(&self) {
        let Place { offset, wrap } = self.next_used;
        self.write_used_flags(Place {
            offset,
            wrap: !wrap,
        });
    }

    pub(super) fn needs_notification(&mut self) -> bool {
        // Pairs with the driver's barrier between writing its event and looking at the next
        // descriptor's flags.
        fence(Ordering::SeqCst);
        let old = core::mem::replace(&mut self.notified, self.next_used);
        let events = self.addresses.available();
        match load(events + 2, Ordering::Acquire) {
            DISABLE => false,
            AT_DESCRIPTOR if self.event_index => {
                let event = Place::of_event(load(events, Ordering::Relaxed));
                assert!(event.offset < self.size, "an event beyond the ring");
                let mut passed = core::iter::successors(Some(old), |place| {
                    let next = place.next(self.size);
                    (next != self.next_used).then_some(next)
                });
                let has_wrapped = old.wrap != self.next_used.wrap;
                old != self.next_used && passed.any(|place| place == event)
                    || self.judges_by_offsets && has_wrapped
            }
            ENABLE => true,
            flags => panic!("event flags {flags}"),
        }
    }

    pub(super) fn disable_notification(&mut self) {
        store(self.addresses.used() + 2, DISABLE, Ordering::Release);
    }

    pub(super) fn enable_notification(&mut self) -> bool {
        let events = self.addresses.used();
        if self.event_index {
            store(events, self.next_available.to_event(), Ordering::Relaxed);
            store(events + 2, AT_DESCRIPTOR, Ordering::Release);
        } else {
            store(events + 2, ENABLE, Ordering::Release);
        }
        // Pairs with the driver's barrier between handing a descriptor over and reading these.
        fence(Ordering::SeqCst);
        self.is_available(self.next_available)
    }
}
