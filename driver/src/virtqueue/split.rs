//! The split virtqueue (Virtio 1.3, 2.7), driver's half.
//!
//! # Invariant
//!
//! *Inside*: the parts of [`SplitAvailable`] and [`SplitUsed`] are those of one memory, as long as
//! the queue's size calls for, which the queue owns beside both; indices are masked by the size, a
//! power of two.
//!
//! *One writer a field*: the descriptor table, the available ring and `used_event` are written by
//! the driver only, the used ring and `avail_event` by the device only. What is written there is
//! handed over by a release store of an index and taken by an acquire load of it.
#![expect(unsafe_code, reason = "fields of the ring, in parts looked up once")]

use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use super::{
    descriptor::{Chain, DESCRIPTOR_LEN, INDIRECT, NEXT, Segment, UsedElement, UsedIndex},
    event::need_event,
    half::{AvailableHalf, RingLayout, Steps, UsedHalf},
    memory::{Part, RingMemory},
    outstanding::Outstanding,
};
use crate::{Error, dma::barrier, transport::QueueAddresses};

const USED_ELEMENT_LEN: usize = 8;
const CACHE_LINE_LEN: usize = 64;

/// In the available ring's flags: no used buffer notifications, please.
const AVAIL_F_NO_INTERRUPT: u16 = 1;
/// In the used ring's flags: no available buffer notifications, please.
const USED_F_NO_NOTIFY: u16 = 1;

// Of the available and of the used ring.
const FLAGS: usize = 0;
const INDEX: usize = 2;
const RING: usize = 4;

/// Where requests are made available.
#[derive(Debug)]
pub(crate) struct SplitAvailable<M: RingMemory> {
    mask: u16,
    /// Descriptors of a slot: 1 with tables. Slot and table have the number of the descriptor.
    stride: u16,
    event_index: bool,
    descriptors: M::Part,
    available: M::Part,
    used: M::Part,
    available_event: M::Part,
    /// Entries made available so far, modulo 2^16.
    next_available: u16,
    /// `next_available` when the kick was last decided.
    kick_decided: u16,
}

/// Where used requests are found.
#[derive(Debug)]
pub(crate) struct SplitUsed<M: RingMemory> {
    mask: u16,
    /// That of [`SplitAvailable`].
    stride: u16,
    event_index: bool,
    available: M::Part,
    used_event: M::Part,
    used: M::Part,
    /// Used elements taken so far, modulo 2^16.
    next_used: u16,
}

/// Makes an empty ring: its memory, where that is for the device, and both halves of the driver's.
///
/// # Errors
///
/// [`Error::OutOfDeviceMemory`].
pub(super) fn new<M: RingMemory>(
    layout: RingLayout,
) -> Result<(M, QueueAddresses, SplitAvailable<M>, SplitUsed<M>), Error> {
    let entries = usize::from(layout.entries);
    assert!(entries.is_power_of_two());
    let available = entries * DESCRIPTOR_LEN;
    // The used ring wants an alignment of 4; it gets a cache line of its own, because the device
    // writes it while the driver writes what is before it.
    let used_event = available + RING + 2 * entries;
    let used = (used_event + 2).next_multiple_of(CACHE_LINE_LEN);
    let available_event = used + RING + entries * USED_ELEMENT_LEN;
    let memory = M::allocate(available_event + 2)?;
    // SAFETY: memory of the queue's own, laid out for so many entries. It is given up rather than
    // freed unless the device has confirmed a reset, and so is what the descriptors lead to.
    let addresses = unsafe {
        QueueAddresses::new(
            memory.bus_address(0),
            memory.bus_address(available),
            memory.bus_address(used),
        )
    };
    let (mask, stride, event_index) = (layout.entries - 1, layout.stride, layout.event_index);
    let available_part = memory.part(available, used_event - available);
    let used_part = memory.part(used, available_event - used);
    let mut available_half = SplitAvailable {
        mask,
        stride,
        event_index,
        descriptors: memory.part(0, available),
        available: available_part,
        used: used_part,
        available_event: memory.part(available_event, 2),
        next_available: 0,
        kick_decided: 0,
    };
    if let Some(tables) = layout.tables.filter(|_| !layout.in_order) {
        // Once and for all (2.7.5.3). A chain in a table may be shorter: it ends where a descriptor
        // names no next one.
        for slot in 0..layout.slots {
            let place = (tables.address(slot), tables.len_bytes);
            available_half.write_descriptor(slot, place, (INDIRECT, 0));
        }
    }
    let used_half = SplitUsed {
        mask,
        stride,
        event_index,
        available: available_part,
        used_event: memory.part(used_event, 2),
        used: used_part,
        next_used: 0,
    };
    Ok((memory, addresses, available_half, used_half))
}

impl<M: RingMemory> SplitAvailable<M> {
    /// Writes descriptor `index` of the table.
    pub(super) fn write_descriptor(
        &mut self,
        index: u16,
        (bus_address, len_bytes): (u64, u32),
        (flags, next): (u16, u16),
    ) {
        let at = usize::from(index & self.mask) * DESCRIPTOR_LEN;
        let high = u64::from(len_bytes) | u64::from(flags) << 32 | u64::from(next) << 48;
        // SAFETY: *Inside*, masked.
        unsafe {
            self.descriptors.store(at, bus_address, Relaxed);
            self.descriptors.store(at + 8, high, Relaxed);
        }
    }

    /// Writes a chain into descriptors of the table, from `head` on.
    #[cold]
    pub(super) fn write_chain(&mut self, head: u16, segments: &[Segment]) {
        let last = segments.len().saturating_sub(1);
        for (count, segment) in (0..).zip(segments) {
            let index = head.wrapping_add(count);
            let link = match usize::from(count) == last {
                true => (0, 0),
                // In ring order the chain may pass the table's end.
                false => (NEXT, self.masked(index.wrapping_add(1))),
            };
            let place = (segment.bus_address, segment.len_bytes);
            self.write_descriptor(index, place, (segment.flags() | link.0, link.1));
        }
    }

    /// Returns the descriptor's index of a count of descriptors.
    pub(super) fn masked(&self, index: u16) -> u16 {
        index & self.mask
    }

    /// Makes the chain at `head` available, which has been written.
    #[inline(always)]
    pub(super) fn expose(&mut self, head: u16) {
        let (available, next) = (self.available, self.next_available.wrapping_add(1));
        let at = RING + 2 * usize::from(self.next_available & self.mask);
        self.next_available = next;
        // SAFETY: *Inside*, masked.
        unsafe { available.store(at, head, Relaxed) };
        // Release: pairs with the device's barrier between reading `idx` and reading the entry
        // and the descriptors it leads to (2.7.13.3).
        barrier::between_stores();
        // SAFETY: *Inside*.
        unsafe { available.store(INDEX, next, Release) };
    }
}

impl<M: RingMemory> AvailableHalf for SplitAvailable<M> {
    #[inline(always)]
    fn publish(&mut self, slot: u16, chain: Chain<'_>) -> u16 {
        let head = match chain {
            // Slot, table and descriptor have the same number.
            Chain::InTable(_) => slot,
            Chain::Direct(segments) => {
                let head = slot * self.stride;
                self.write_chain(head, segments);
                head
            }
        };
        self.expose(head);
        head
    }

    #[inline(always)]
    fn decide_kick(&mut self) -> bool {
        let (old, new) = (self.kick_decided, self.next_available);
        if old == new {
            return false;
        }
        self.kick_decided = new;
        // Full barrier between the store of `idx` and the load of the device's suppression state
        // (2.7.13.4.1). Pairs with the device's barrier between writing `avail_event` (or flags)
        // and reading `idx` again. Without it both may miss the other and the request sleeps
        // for ever: x86 reorders a store with a later load too.
        barrier::full();
        if self.event_index {
            // SAFETY: *Inside*.
            let event = unsafe { self.available_event.load(0, Relaxed) };
            need_event(event, new, old)
        } else {
            // SAFETY: *Inside*.
            let flags: u16 = unsafe { self.used.load(FLAGS, Relaxed) };
            flags & USED_F_NO_NOTIFY == 0
        }
    }

    #[inline(always)]
    fn must_decide(&self) -> bool {
        self.next_available.wrapping_sub(self.kick_decided) > self.mask
    }

    fn position(&self) -> u16 {
        // Offset and wrap counter together are the index.
        self.next_available
    }
}

impl<M: RingMemory> SplitUsed<M> {
    fn set_flags(&mut self, flags: u16) {
        // SAFETY: *Inside*.
        unsafe { self.available.store(FLAGS, flags, Relaxed) };
    }
}

impl<M: RingMemory> UsedHalf for SplitUsed<M> {
    #[inline(always)]
    fn used_index(&mut self, _: u16, _: &Outstanding) -> UsedIndex {
        // Acquire: pairs with the device's release of `idx` after it wrote the elements and the
        // buffers they stand for (2.7.8.2).
        // SAFETY: *Inside*.
        let index = unsafe { self.used.load(INDEX, Acquire) };
        barrier::between_loads();
        UsedIndex {
            index,
            passes_event_again: false,
        }
    }

    #[inline(always)]
    fn taken(&self) -> u16 {
        self.next_used
    }

    #[inline(always)]
    fn take_used(&mut self, _: &mut Outstanding) -> UsedElement {
        let (id, len_bytes) = self.element();
        self.next_used = self.next_used.wrapping_add(1);
        let slot = match u32::from(self.stride) {
            1 => id,
            // The whole id counts: its upper bits, and that it names a head.
            stride if id.is_multiple_of(stride) => id / stride,
            _ => UsedElement::NO_SLOT,
        };
        UsedElement {
            id,
            slot,
            len_bytes,
        }
    }

    #[inline(always)]
    fn arm(&mut self) {
        if self.event_index {
            // SAFETY: *Inside*.
            unsafe { self.used_event.store(0, self.next_used, Relaxed) };
            // Full barrier between the store of `used_event` and the load of `idx`: pairs with
            // the device's barrier between publishing `idx` and reading `used_event` (2.7.10.2).
            barrier::full();
        }
    }

    fn suppress_interrupts(&mut self) {
        // With EVENT_IDX the flag must stay 0; `used_event` is then simply never moved (2.7.7).
        if !self.event_index {
            self.set_flags(AVAIL_F_NO_INTERRUPT);
        }
    }

    fn allow_interrupts(&mut self) {
        if !self.event_index {
            self.set_flags(0);
            // Full barrier between the store of the flag and the load of `idx`: pairs with the
            // device's barrier between publishing `idx` and reading the flag (2.7.7.2).
            barrier::full();
        }
    }
}

impl<M: RingMemory> Steps for SplitUsed<M> {
    #[inline(always)]
    fn element(&self) -> (u32, u32) {
        let at = RING + USED_ELEMENT_LEN * usize::from(self.next_used & self.mask);
        // SAFETY: *Inside*, masked. A device that writes them at the same time changes what is
        // read, and nothing else: nothing is believed.
        unsafe { (self.used.load(at, Relaxed), self.used.load(at + 4, Relaxed)) }
    }

    fn step(&mut self, _: u16) {
        // The used ring has an entry for each request, written or not.
        self.next_used = self.next_used.wrapping_add(1);
    }

    fn count(&mut self, limit: u16, _: (u16, u16), outstanding: &Outstanding) -> UsedIndex {
        self.used_index(limit, outstanding)
    }
}
