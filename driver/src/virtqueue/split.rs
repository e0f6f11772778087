//! The split virtqueue (Virtio 1.3, 2.7), driver's half.
//!
//! # Invariant
//!
//! *One writer a field*: the descriptor table, the available ring and `used_event` are written by
//! the driver only, the used ring and `avail_event` by the device only. The shared 16-bit fields
//! are atomics; everything else is handed over by a release store of an index and taken by an
//! acquire load of it.

use core::sync::atomic::{Ordering, fence};

use crate::{Error, Platform, dma::DmaRegion, transport::QueueAddresses};

/// Bytes of one descriptor.
pub(crate) const DESCRIPTOR_LEN: usize = 16;
const USED_ELEMENT_LEN: usize = 8;
const CACHE_LINE_LEN: usize = 64;

const DESCRIPTOR_NEXT: u16 = 1;
const DESCRIPTOR_WRITE: u16 = 2;
const DESCRIPTOR_INDIRECT: u16 = 4;
/// Driver: "do not interrupt" (in the available ring's flags); device: "do not notify" (used).
const SUPPRESS: u16 = 1;

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

/// Writes a chain as a table of descriptors at `offset`, the first at index `first` of the table
/// that the device will see.
#[inline]
pub(crate) fn write_table<P: Platform>(
    memory: &DmaRegion<P>,
    offset: usize,
    first: u16,
    segments: &[Segment],
) {
    let last = segments.len() - 1;
    for (i, segment) in segments.iter().enumerate() {
        let next = (i < last).then_some(first + i as u16 + 1);
        memory.write(offset + i * DESCRIPTOR_LEN, &encode(*segment, next));
    }
}

/// One split virtqueue.
#[derive(Debug)]
pub(crate) struct SplitQueue<P: Platform> {
    memory: DmaRegion<P>,
    size: u16,
    event_index: bool,
    /// Where the available ring starts in `memory`; the descriptor table is at 0.
    available: usize,
    used: usize,
    /// Entries made available so far, modulo 2^16.
    next_available: u16,
    /// `next_available` when the kick was last decided.
    kick_decided: u16,
    /// Used elements taken so far, modulo 2^16.
    next_used: u16,
}

impl<P: Platform> SplitQueue<P> {
    /// Makes an empty queue of `size` entries, a power of two.
    pub(crate) fn new(size: u16, event_index: bool) -> Result<Self, Error> {
        debug_assert!(size.is_power_of_two());
        let entries = usize::from(size);
        let available = entries * DESCRIPTOR_LEN;
        // flags, idx, ring, used_event. The used ring wants an alignment of 4; it gets a cache line
        // of its own, because the device writes it while the driver writes what is before it.
        let used = (available + 2 * (entries + 3)).next_multiple_of(CACHE_LINE_LEN);
        // flags, idx, ring, avail_event
        let len_bytes = used + 6 + entries * USED_ELEMENT_LEN;
        Ok(Self {
            memory: DmaRegion::new(len_bytes)?,
            size,
            event_index,
            available,
            used,
            next_available: 0,
            kick_decided: 0,
            next_used: 0,
        })
    }

    pub(crate) fn addresses(&self) -> QueueAddresses {
        QueueAddresses {
            descriptors: self.memory.bus_address(0),
            available: self.memory.bus_address(self.available),
            used: self.memory.bus_address(self.used),
        }
    }

    /// Gives the ring's memory up for good.
    pub(crate) fn quarantine(&self) {
        self.memory.quarantine();
    }

    /// Writes a chain into the descriptor table itself, from index `first` on.
    pub(crate) fn write_chain(&mut self, first: u16, segments: &[Segment]) {
        write_table(
            &self.memory,
            usize::from(first) * DESCRIPTOR_LEN,
            first,
            segments,
        );
    }

    /// Makes descriptor `index` refer to an indirect table (Virtio 1.3, 2.7.5.3).
    #[inline]
    pub(crate) fn write_indirect(&mut self, index: u16, table: u64, descriptors: usize) {
        let descriptor = raw(
            table,
            (descriptors * DESCRIPTOR_LEN) as u32,
            DESCRIPTOR_INDIRECT,
            0,
        );
        self.memory
            .write(usize::from(index) * DESCRIPTOR_LEN, &descriptor);
    }

    /// Makes the chain at `head` available to the device.
    ///
    /// The caller keeps at most `size` chains in the ring, and has recorded whose this one is: the
    /// device may have used it before this returns.
    #[inline]
    pub(crate) fn publish(&mut self, head: u16) {
        let entry = usize::from(self.next_available & (self.size - 1));
        self.memory
            .atomic_u16(self.available + 4 + 2 * entry)
            .store(head.to_le(), Ordering::Relaxed);
        self.next_available = self.next_available.wrapping_add(1);
        // Release: pairs with the device's barrier between reading `idx` and reading the entry
        // and the descriptors it leads to (2.7.13.3).
        self.memory
            .atomic_u16(self.available + 2)
            .store(self.next_available.to_le(), Ordering::Release);
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
        // and looking at `idx` again. Without it both may miss the other and the request sleeps
        // for ever: x86 reorders a store with a later load too.
        fence(Ordering::SeqCst);
        if self.event_index {
            let entries = usize::from(self.size);
            let event = self
                .memory
                .atomic_u16(self.used + 4 + entries * USED_ELEMENT_LEN);
            need_event(u16::from_le(event.load(Ordering::Relaxed)), new, old)
        } else {
            let flags = self.memory.atomic_u16(self.used);
            u16::from_le(flags.load(Ordering::Relaxed)) & SUPPRESS == 0
        }
    }

    /// Reads how many elements the device has used, modulo 2^16.
    #[inline]
    pub(crate) fn used_index(&self) -> u16 {
        // Acquire: pairs with the device's release of `idx` after it wrote the elements and the
        // buffers they stand for (2.7.8.2).
        u16::from_le(
            self.memory
                .atomic_u16(self.used + 2)
                .load(Ordering::Acquire),
        )
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
        let entry = usize::from(self.next_used & (self.size - 1));
        self.next_used = self.next_used.wrapping_add(1);
        let mut bytes = [0; USED_ELEMENT_LEN];
        self.memory
            .read(self.used + 4 + entry * USED_ELEMENT_LEN, &mut bytes);
        let value = u64::from_le_bytes(bytes);
        UsedElement {
            id: value as u32,
            len_bytes: (value >> 32) as u32,
        }
    }

    /// Asks for an interrupt at the next used element, and tells whether one has come meanwhile.
    #[inline]
    pub(crate) fn arm(&mut self) -> bool {
        if self.event_index {
            let entries = usize::from(self.size);
            self.memory
                .atomic_u16(self.available + 4 + 2 * entries)
                .store(self.next_used.to_le(), Ordering::Relaxed);
            // Full barrier between the store of `used_event` and the look at `idx`: pairs with
            // the device's barrier between publishing `idx` and reading `used_event` (2.7.10.2).
            fence(Ordering::SeqCst);
        }
        self.used_index() != self.next_used
    }

    /// Asks the device for no interrupts at all. A hint: it may send some all the same (2.7.7).
    pub(crate) fn suppress_interrupts(&mut self) {
        // With EVENT_IDX the flag must stay 0; `used_event` is then simply never moved.
        if !self.event_index {
            self.memory
                .atomic_u16(self.available)
                .store(SUPPRESS.to_le(), Ordering::Relaxed);
        }
    }
}
