//! The packed virtqueue (Virtio 1.3, 2.8), driver's half.
//!
//! Both halves go round one ring of descriptors, by positions (`position`).
//!
//! # Invariant
//!
//! *Inside*: the parts of [`PackedAvailable`] and [`PackedUsed`] are those of one memory, as long
//! as the queue's size calls for, which the queue owns beside both; positions are masked by the
//! size.
//!
//! *One writer at a time*: a descriptor is the driver's until a release store of the flags hands it
//! over, and the device's from there on until an acquire load finds the flags changed. The driver's
//! event suppression is written by the driver only, the device's by the device only.
#![expect(unsafe_code, reason = "fields of the ring, in parts looked up once")]

use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use super::{
    descriptor::{Chain, DESCRIPTOR_LEN, INDIRECT, NEXT, Segment, UsedElement, UsedIndex},
    half::{AvailableHalf, RingLayout, Steps, Tables, UsedHalf},
    memory::{Part, RingMemory},
    outstanding::Outstanding,
    position::{Size, passes},
};
use crate::{Error, dma::barrier, transport::QueueAddresses};

const CACHE_LINE_LEN: usize = 64;

// A descriptor (2.8.13).
const ADDRESS: usize = 0;
const LEN: usize = 8;
const ID: usize = 12;
const FLAGS: usize = 14;

/// In a descriptor's flags: equal to the driver's wrap counter where it is available.
const AVAILABLE: u16 = 1 << 7;
/// In a descriptor's flags: equal to the device's wrap counter where it is used, as is
/// [`AVAILABLE`].
const USED: u16 = 1 << 15;

// An event suppression structure (2.8.14).
const EVENT_POSITION: usize = 0;
const EVENT_FLAGS: usize = 2;
const EVENT_LEN: usize = 4;

/// Notifications for every descriptor.
const ENABLE: u16 = 0;
/// None at all.
const DISABLE: u16 = 1;
/// One for the descriptor at a position: with `VIRTIO_F_EVENT_IDX`.
const AT_POSITION: u16 = 2;
/// The bits that count.
const FLAGS_MASK: u16 = 3;

/// Where requests are made available.
#[derive(Debug)]
pub(crate) struct PackedAvailable<M: RingMemory> {
    size: Size,
    /// With tables a request takes one descriptor.
    tables: Option<Tables>,
    event_index: bool,
    descriptors: M::Part,
    device_events: M::Part,
    /// Position of the next descriptor to make available.
    next_available: u16,
    /// `next_available` when the kick was last decided.
    kick_decided: u16,
}

/// Where used requests are found.
#[derive(Debug)]
pub(crate) struct PackedUsed<M: RingMemory> {
    size: Size,
    event_index: bool,
    descriptors: M::Part,
    driver_events: M::Part,
    /// Position of the next descriptor that the device uses.
    next_used: u16,
    /// Used requests taken so far, modulo 2^16.
    taken: u16,
    /// Position behind the last descriptor that was seen to be used.
    seen: u16,
    /// What was taken when the driver last asked for an interrupt at a position.
    armed: u16,
    /// The driver asks for no interrupts.
    is_suppressed: bool,
}

/// Makes an empty ring: its memory, where that is for the device, and both halves of the driver's.
///
/// # Errors
///
/// [`Error::OutOfDeviceMemory`].
pub(super) fn new<M: RingMemory>(
    layout: RingLayout,
) -> Result<(M, QueueAddresses, PackedAvailable<M>, PackedUsed<M>), Error> {
    assert!(layout.entries.is_power_of_two());
    let driver_events = usize::from(layout.entries) * DESCRIPTOR_LEN;
    // A cache line of its own: the device writes it.
    let device_events = (driver_events + EVENT_LEN).next_multiple_of(CACHE_LINE_LEN);
    let memory = M::allocate(device_events + EVENT_LEN)?;
    // SAFETY: memory of the queue's own, laid out for so many entries. It is given up rather than
    // freed unless the device has confirmed a reset, and so is what the descriptors lead to.
    let addresses = unsafe {
        QueueAddresses::new(
            memory.bus_address(0),
            memory.bus_address(driver_events),
            memory.bus_address(device_events),
        )
    };
    let (size, event_index) = (Size(layout.entries), layout.event_index);
    let descriptors = memory.part(0, driver_events);
    let available = PackedAvailable {
        size,
        tables: layout.tables,
        event_index,
        descriptors,
        device_events: memory.part(device_events, EVENT_LEN),
        next_available: 0,
        kick_decided: 0,
    };
    let mut used = PackedUsed {
        size,
        event_index,
        descriptors,
        driver_events: memory.part(driver_events, EVENT_LEN),
        next_used: 0,
        taken: 0,
        seen: 0,
        armed: 0,
        is_suppressed: event_index,
    };
    // Until then zeroed memory says that every descriptor is to be told of.
    used.arm();
    Ok((memory, addresses, available, used))
}

impl<M: RingMemory> PackedAvailable<M> {
    /// Writes the descriptor of a position but for its flags, and returns those that make it
    /// available.
    #[inline(always)]
    fn write_body(
        &mut self,
        position: u16,
        (bus_address, len_bytes): (u64, u32),
        slot: u16,
        flags: u16,
    ) -> u16 {
        let at = self.size.at(position);
        // SAFETY: *Inside*, masked.
        unsafe {
            self.descriptors.store(at + ADDRESS, bus_address, Relaxed);
            self.descriptors.store(at + LEN, len_bytes, Relaxed);
            self.descriptors.store(at + ID, slot, Relaxed);
        }
        let wrap = self.size.wrap(position);
        flags | if wrap { AVAILABLE } else { USED }
    }

    /// Writes a chain into the ring, but for the flags of its first descriptor, which are returned:
    /// the device must not see a part of it (2.8.6).
    #[cold]
    fn write_chain(&mut self, slot: u16, segments: &[Segment]) -> u16 {
        let first = self.next_available;
        let mut first_flags = 0;
        for (index, segment) in (0..).zip(segments) {
            let position = first.wrapping_add(index);
            let is_last = usize::from(index) + 1 == segments.len();
            let flags = segment.flags() | if is_last { 0 } else { NEXT };
            let place = (segment.bus_address, segment.len_bytes);
            let flags = self.write_body(position, place, slot, flags);
            if index == 0 {
                first_flags = flags;
                continue;
            }
            let at = self.size.at(position) + FLAGS;
            // SAFETY: *Inside*, masked.
            unsafe { self.descriptors.store(at, flags, Relaxed) };
        }
        self.next_available = first.wrapping_add(segments.len() as u16);
        first_flags
    }
}

impl<M: RingMemory> AvailableHalf for PackedAvailable<M> {
    #[inline(always)]
    fn publish(&mut self, slot: u16, chain: Chain<'_>) -> u16 {
        let first = self.next_available;
        let flags = match (chain, self.tables) {
            (Chain::InTable(descriptors), Some(tables)) => {
                // As long as the chain: a table has no links that say where it ends (2.8.7).
                let len_bytes = u32::from(descriptors) * DESCRIPTOR_LEN as u32;
                self.next_available = first.wrapping_add(1);
                self.write_body(first, (tables.address(slot), len_bytes), slot, INDIRECT)
            }
            (Chain::Direct(segments), None) => self.write_chain(slot, segments),
            (Chain::InTable(_), None) | (Chain::Direct(_), Some(_)) => {
                unreachable!("a queue has tables or has none, and makes its chains for that")
            }
        };
        // Release: pairs with the device's barrier between reading these flags and reading the
        // rest of the descriptor, what it leads to, and the descriptors behind it (2.8.21.1).
        barrier::between_stores();
        let at = self.size.at(first) + FLAGS;
        // SAFETY: *Inside*, masked.
        unsafe { self.descriptors.store(at, flags, Release) };
        slot
    }

    #[inline(always)]
    fn decide_kick(&mut self) -> bool {
        let (old, new) = (self.kick_decided, self.next_available);
        if old == new {
            return false;
        }
        self.kick_decided = new;
        // Full barrier between the store of a descriptor's flags and the load of the device's event
        // suppression (2.8.21.3.1). Pairs with the device's barrier between writing it and reading
        // the next descriptor's flags again. Without it both may miss the other and the request
        // sleeps for ever: x86 reorders a store with a later load too.
        barrier::full();
        // Acquire: pairs with the device's barrier between writing the position and these flags,
        // when it asks for notifications.
        // SAFETY: *Inside*.
        let flags: u16 = unsafe { self.device_events.load(EVENT_FLAGS, Acquire) };
        match flags & FLAGS_MASK {
            DISABLE => false,
            AT_POSITION if self.event_index => {
                // SAFETY: *Inside*.
                let event = unsafe { self.device_events.load(EVENT_POSITION, Relaxed) };
                passes(self.size, event, (old, new))
            }
            // One notification too many is better than one too few.
            _ => true,
        }
    }

    #[inline(always)]
    fn must_decide(&self) -> bool {
        // Below two rings, whatever chain comes next, and that is what `passes` tells apart.
        self.next_available.wrapping_sub(self.kick_decided) >= self.size.0
    }

    fn position(&self) -> u16 {
        self.size.event(self.next_available)
    }
}

impl<M: RingMemory> PackedUsed<M> {
    /// Tells whether the device has used the descriptor of a position.
    #[inline(always)]
    fn is_used(&self, position: u16) -> bool {
        // Acquire: pairs with the device's barrier between writing what the request stands for, id
        // and length, and these flags (2.8.22).
        // SAFETY: *Inside*, masked.
        let flags: u16 = unsafe {
            self.descriptors
                .load(self.size.at(position) + FLAGS, Acquire)
        };
        barrier::between_loads();
        let used = AVAILABLE | USED;
        flags & used == if self.size.wrap(position) { used } else { 0 }
    }

    /// Returns the id of the used descriptor of a position.
    #[inline(always)]
    fn used_id(&self, position: u16) -> u16 {
        // Whatever it is: it is checked by whoever uses it.
        // SAFETY: *Inside*, masked.
        unsafe { self.descriptors.load(self.size.at(position) + ID, Relaxed) }
    }

    /// Takes note of how far the device has come.
    #[inline(always)]
    fn see(&mut self, position: u16, count: u16) -> UsedIndex {
        let index = self.taken.wrapping_add(count);
        let before = core::mem::replace(&mut self.seen, position);
        let has_passed_end = (before ^ position) & self.size.0 != 0;
        let since_armed = index.wrapping_sub(self.armed);
        UsedIndex {
            index,
            // QEMU judges by offsets, and takes any event of the lap before for one that has just
            // been passed (`virtio_packed_should_notify` in hw/virtio/virtio.c).
            passes_event_again: has_passed_end && self.event_index && since_armed > 1,
        }
    }

    fn set_event_flags(&mut self, flags: u16) {
        // Release: pairs with the device's barrier between reading the flags and the position.
        barrier::between_stores();
        // SAFETY: *Inside*.
        unsafe { self.driver_events.store(EVENT_FLAGS, flags, Release) };
    }
}

impl<M: RingMemory> UsedHalf for PackedUsed<M> {
    #[inline(always)]
    fn used_index(&mut self, limit: u16, outstanding: &Outstanding) -> UsedIndex {
        let (mut position, mut count) = (self.next_used, 0);
        while count < limit && self.is_used(position) {
            let descriptors = outstanding.descriptors(self.used_id(position));
            position = position.wrapping_add(descriptors);
            count += 1;
        }
        self.see(position, count)
    }

    #[inline(always)]
    fn taken(&self) -> u16 {
        self.taken
    }

    #[inline(always)]
    fn take_used(&mut self, outstanding: &mut Outstanding) -> UsedElement {
        // Once more: by now the device may have changed what was counted. What is believed of it is
        // checked against what is in flight.
        let (id, len_bytes) = self.element();
        self.step(outstanding.descriptors(id as u16));
        UsedElement {
            id,
            slot: id,
            len_bytes,
        }
    }

    #[inline(always)]
    fn arm(&mut self) {
        if self.event_index {
            let event = self.size.event(self.next_used);
            // SAFETY: *Inside*.
            unsafe { self.driver_events.store(EVENT_POSITION, event, Relaxed) };
            self.armed = self.taken;
            if self.is_suppressed {
                self.is_suppressed = false;
                self.set_event_flags(AT_POSITION);
            }
            // Full barrier between the store of the event and the load of the next descriptor's
            // flags: pairs with the device's barrier between writing those and reading the event
            // (2.8.22).
            barrier::full();
        }
    }

    fn suppress_interrupts(&mut self) {
        // With EVENT_IDX too: an event that stays where it is comes round again after two laps.
        self.is_suppressed = true;
        self.set_event_flags(DISABLE);
    }

    fn allow_interrupts(&mut self) {
        if !self.event_index {
            self.is_suppressed = false;
            self.set_event_flags(ENABLE);
            // Full barrier between the store of the flags and the load of the next descriptor's:
            // pairs with the device's barrier between writing those and reading these (2.8.22).
            barrier::full();
        }
    }
}

impl<M: RingMemory> Steps for PackedUsed<M> {
    #[inline(always)]
    fn element(&self) -> (u32, u32) {
        let id = self.used_id(self.next_used);
        let at = self.size.at(self.next_used) + LEN;
        // The length counts whether or not the WRITE flag says so (2.8.5 has it count with the flag
        // alone): QEMU never sets the flag (`virtqueue_packed_fill_desc` in hw/virtio/virtio.c).
        // SAFETY: *Inside*, masked.
        (id.into(), unsafe { self.descriptors.load(at, Relaxed) })
    }

    #[inline(always)]
    fn step(&mut self, descriptors: u16) {
        self.next_used = self.next_used.wrapping_add(descriptors);
        self.taken = self.taken.wrapping_add(1);
    }

    fn count(
        &mut self,
        limit: u16,
        (left, descriptors): (u16, u16),
        outstanding: &Outstanding,
    ) -> UsedIndex {
        let (mut position, mut count) = (self.next_used.wrapping_add(descriptors), left);
        while count < limit && self.is_used(position) {
            let id = self.used_id(position);
            let Some((before, descriptors)) = outstanding.find(id, count.into()) else {
                // It is taken for one request, which it is not, and refused.
                count += 1;
                break;
            };
            position = position.wrapping_add(descriptors);
            count += before + 1;
        }
        self.see(position, count)
    }
}
