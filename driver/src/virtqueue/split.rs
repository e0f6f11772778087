//! The split virtqueue (Virtio 1.3, 2.7), driver's half.
//!
//! # Invariant
//!
//! *Inside*: the pointers of a [`SplitQueue`] point into the memory that it owns, each to as many
//! elements as the queue has entries (or to the one field that it names); indices are masked by the
//! size, a power of two.
//!
//! *One writer a field*: the descriptor table, the available ring and `used_event` are written by
//! the driver only, the used ring and `avail_event` by the device only. The shared 16-bit fields
//! are atomics; everything else is handed over by a release store of an index and taken by an
//! acquire load of it.
#![expect(unsafe_code, reason = "fields of the ring, by pointers computed once")]

use core::{
    ptr::NonNull,
    sync::atomic::{AtomicU16, Ordering},
};

use crate::{
    Error, Platform,
    dma::{DmaRegion, GivenUp, barrier},
    transport::QueueAddresses,
};

/// Bytes of one descriptor.
pub(crate) const DESCRIPTOR_LEN: usize = 16;
const USED_ELEMENT_LEN: usize = 8;
const CACHE_LINE_LEN: usize = 64;

const DESCRIPTOR_NEXT: u16 = 1;
const DESCRIPTOR_WRITE: u16 = 2;
const DESCRIPTOR_INDIRECT: u16 = 4;
/// In the available ring's flags: no used buffer notifications, please.
const AVAIL_F_NO_INTERRUPT: u16 = 1;
/// In the used ring's flags: no available buffer notifications, please.
const USED_F_NO_NOTIFY: u16 = 1;

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

/// What the device wrote into the used ring. Nothing about it has been checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UsedElement {
    /// Head of a chain, if the device keeps to the rules.
    pub(crate) id: u32,
    /// Bytes written, if the device keeps to the rules.
    pub(crate) len_bytes: u32,
}

/// Tells whether the step from index `old` to `new` passed `event` (Virtio 1.3, 2.7.10).
///
/// All arithmetic is modulo 2^16, so a batch that crosses the wrap is judged like any other.
#[inline]
pub const fn need_event(event: u16, new: u16, old: u16) -> bool {
    new.wrapping_sub(event).wrapping_sub(1) < new.wrapping_sub(old)
}

/// Encodes one descriptor.
#[inline]
fn encode(segment: Segment, next: Option<u16>) -> [u8; DESCRIPTOR_LEN] {
    let mut flags = if segment.writable {
        DESCRIPTOR_WRITE
    } else {
        0
    };
    if next.is_some() {
        flags |= DESCRIPTOR_NEXT;
    }
    raw(
        segment.bus_address,
        segment.len_bytes,
        flags,
        next.unwrap_or(0),
    )
}

#[inline]
fn raw(bus_address: u64, len_bytes: u32, flags: u16, next: u16) -> [u8; DESCRIPTOR_LEN] {
    let high = u64::from(len_bytes) | u64::from(flags) << 32 | u64::from(next) << 48;
    let value = u128::from(bus_address) | u128::from(high) << 64;
    value.to_le_bytes()
}

/// Encodes a chain as a table of descriptors, for `write` to put each in its place.
#[inline(always)]
pub(crate) fn write_table(
    segments: &[Segment],
    mut write: impl FnMut(usize, &[u8; DESCRIPTOR_LEN]),
) {
    for (index, segment) in segments.iter().enumerate() {
        let next = (index + 1 < segments.len()).then_some(index as u16 + 1);
        write(index, &encode(*segment, next));
    }
}

/// One split virtqueue.
#[derive(Debug)]
pub(crate) struct SplitQueue<P: Platform> {
    memory: DmaRegion<P>,
    mask: u16,
    event_index: bool,
    descriptors: NonNull<[u8; DESCRIPTOR_LEN]>,
    available_flags: NonNull<AtomicU16>,
    available_index: NonNull<AtomicU16>,
    available_ring: NonNull<AtomicU16>,
    used_event: NonNull<AtomicU16>,
    used_flags: NonNull<AtomicU16>,
    used_index: NonNull<AtomicU16>,
    /// Pairs of id and length.
    used_ring: NonNull<u32>,
    available_event: NonNull<AtomicU16>,
    addresses: QueueAddresses,
    /// Entries made available so far, modulo 2^16.
    next_available: u16,
    /// `next_available` when the kick was last decided.
    kick_decided: u16,
    /// Used elements taken so far, modulo 2^16.
    next_used: u16,
}

// SAFETY: the pointers lead into memory that the queue owns (*Inside*), which every CPU reaches.
unsafe impl<P: Platform> Send for SplitQueue<P> {}

/// Loads a field of the ring.
#[inline(always)]
fn load(field: NonNull<AtomicU16>, ordering: Ordering) -> u16 {
    // SAFETY: *Inside*; fields that both halves use are atomics on this side.
    u16::from_le(unsafe { field.as_ref() }.load(ordering))
}

/// Stores a field of the ring.
#[inline(always)]
fn store(field: NonNull<AtomicU16>, value: u16, ordering: Ordering) {
    // SAFETY: as in `load`.
    unsafe { field.as_ref() }.store(value.to_le(), ordering);
}

impl<P: Platform> SplitQueue<P> {
    /// Makes an empty queue of `size` entries, a power of two.
    pub(crate) fn new(size: u16, event_index: bool) -> Result<Self, Error> {
        assert!(size.is_power_of_two());
        let entries = usize::from(size);
        let available = entries * DESCRIPTOR_LEN;
        // flags, idx, ring, used_event. The used ring wants an alignment of 4; it gets a cache line
        // of its own, because the device writes it while the driver writes what is before it.
        let used_event = available + 4 + 2 * entries;
        let used = (used_event + 2).next_multiple_of(CACHE_LINE_LEN);
        // flags, idx, ring, avail_event
        let available_event = used + 4 + entries * USED_ELEMENT_LEN;
        let memory = DmaRegion::new(available_event + 2)?;
        Ok(Self {
            mask: size - 1,
            event_index,
            descriptors: memory.field(0),
            available_flags: memory.field(available),
            available_index: memory.field(available + 2),
            available_ring: memory.field(available + 4),
            used_event: memory.field(used_event),
            used_flags: memory.field(used),
            used_index: memory.field(used + 2),
            used_ring: memory.field(used + 4),
            available_event: memory.field(available_event),
            // SAFETY: memory of the queue's own, laid out for `size` entries. It is given up rather
            // than freed unless the device has confirmed a reset, and so is what the descriptors
            // lead to.
            addresses: unsafe {
                QueueAddresses::new(
                    memory.bus_address(0),
                    memory.bus_address(available),
                    memory.bus_address(used),
                )
            },
            memory,
            next_available: 0,
            kick_decided: 0,
            next_used: 0,
        })
    }

    pub(crate) fn addresses(&self) -> QueueAddresses {
        self.addresses
    }

    /// Gives the ring's memory up for good.
    pub(crate) fn give_up(&self, total: &GivenUp) {
        self.memory.give_up(total);
    }

    /// Writes descriptor `index` of the table.
    #[inline]
    fn write_descriptor(&mut self, index: u16, descriptor: &[u8; DESCRIPTOR_LEN]) {
        let index = usize::from(index & self.mask);
        // SAFETY: *Inside*, masked; the driver alone writes the table.
        unsafe { self.descriptors.add(index).write(*descriptor) };
    }

    /// Writes a chain into the descriptor table itself, from index `first` on.
    #[cold]
    pub(crate) fn write_chain(&mut self, first: u16, segments: &[Segment]) {
        let last = segments.len().saturating_sub(1);
        for (index, segment) in (first..).zip(segments) {
            let next = (usize::from(index - first) < last).then_some(index + 1);
            self.write_descriptor(index, &encode(*segment, next));
        }
    }

    /// Makes descriptor `index` refer to an indirect table (Virtio 1.3, 2.7.5.3) with room for so
    /// many descriptors. A chain in it may be shorter: it ends where a descriptor names no next
    /// one.
    pub(crate) fn write_indirect(&mut self, index: u16, table: u64, descriptors: usize) {
        let len_bytes = (descriptors * DESCRIPTOR_LEN) as u32;
        self.write_descriptor(index, &raw(table, len_bytes, DESCRIPTOR_INDIRECT, 0));
    }

    /// Makes the chain at `head` available to the device.
    ///
    /// The caller keeps at most as many chains in the ring as it has entries, and has recorded
    /// whose this one is: the device may have used it before this returns.
    #[inline]
    pub(crate) fn publish(&mut self, head: u16) {
        let entry = usize::from(self.next_available & self.mask);
        // SAFETY: *Inside*, masked.
        store(
            unsafe { self.available_ring.add(entry) },
            head,
            Ordering::Relaxed,
        );
        self.next_available = self.next_available.wrapping_add(1);
        // Release: pairs with the device's barrier between reading `idx` and reading the entry
        // and the descriptors it leads to (2.7.13.3).
        barrier::between_stores();
        store(self.available_index, self.next_available, Ordering::Release);
    }

    /// Decides whether the device must be notified of what was published since the last decision.
    #[inline]
    pub(crate) fn decide_kick(&mut self) -> bool {
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
            need_event(load(self.available_event, Ordering::Relaxed), new, old)
        } else {
            load(self.used_flags, Ordering::Relaxed) & USED_F_NO_NOTIFY == 0
        }
    }

    /// Reads how many elements the device has used, modulo 2^16.
    #[inline]
    pub(crate) fn used_index(&self) -> u16 {
        // Acquire: pairs with the device's release of `idx` after it wrote the elements and the
        // buffers they stand for (2.7.8.2).
        let index = load(self.used_index, Ordering::Acquire);
        barrier::between_loads();
        index
    }

    /// Returns how many used elements have been taken, modulo 2^16.
    #[inline]
    pub(crate) fn next_used(&self) -> u16 {
        self.next_used
    }

    /// Takes the next used element. The caller has seen in [`used_index`](Self::used_index) that
    /// there is one.
    #[inline]
    pub(crate) fn take_used(&mut self) -> UsedElement {
        let entry = usize::from(self.next_used & self.mask);
        self.next_used = self.next_used.wrapping_add(1);
        // SAFETY: *Inside*, masked. A device that writes them at the same time changes what is
        // read, and nothing else: nothing is believed.
        let [id, len_bytes] = [0, 1].map(|half| unsafe {
            let field = self.used_ring.add(2 * entry + half);
            u32::from_le(field.read_volatile())
        });
        UsedElement { id, len_bytes }
    }

    /// Asks for an interrupt at the next used element, and reads the used index again: an element
    /// may have come meanwhile.
    #[inline]
    pub(crate) fn arm(&mut self) -> u16 {
        if self.event_index {
            store(self.used_event, self.next_used, Ordering::Relaxed);
            // Full barrier between the store of `used_event` and the load of `idx`: pairs with
            // the device's barrier between publishing `idx` and reading `used_event` (2.7.10.2).
            barrier::full();
        }
        self.used_index()
    }

    /// Asks the device for no interrupts at all. A hint: it may send some all the same (2.7.7).
    pub(crate) fn suppress_interrupts(&mut self) {
        // With EVENT_IDX the flag must stay 0; `used_event` is then simply never moved.
        if !self.event_index {
            let flags = AVAIL_F_NO_INTERRUPT;
            store(self.available_flags, flags, Ordering::Relaxed);
        }
    }

    /// Takes back [`suppress_interrupts`](Self::suppress_interrupts). The caller then reads `idx`
    /// again, and so finds what the device used before it knew. With EVENT_IDX [`arm`](Self::arm)
    /// asks for interrupts, and there is nothing to take back.
    pub(crate) fn allow_interrupts(&mut self) {
        if !self.event_index {
            store(self.available_flags, 0, Ordering::Relaxed);
            // Full barrier between the store of the flag and the load of `idx`: pairs with the
            // device's barrier between publishing `idx` and reading the flag (2.7.7.2).
            barrier::full();
        }
    }
}
