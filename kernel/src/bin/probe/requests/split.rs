//! One split virtqueue, filled by hand (Virtio 1.3, 2.7).

use alloc::vec::Vec;
use core::sync::atomic::{Ordering, fence};

use kernel::memory::Shared;
use virtio_crypto::transport::{Doorbell, QueueAddresses, QueueIndex, Transport};

use crate::requests::{
    chain::{Chain, Piece, shared},
    layout::{Interrupts, Layout},
};

const NEXT: u16 = 1;
const WRITABLE: u16 = 2;
const INDIRECT: u16 = 4;
/// Most entries that a queue gets.
const MOST_ENTRIES: u16 = 256;
/// `VIRTQ_AVAIL_F_NO_INTERRUPT`.
const NO_INTERRUPT: u16 = 1;

/// One split virtqueue.
#[derive(Debug)]
pub struct Split {
    size: u16,
    descriptors: Shared,
    available: Shared,
    used: Shared,
    doorbell: Doorbell,
    /// Entries of the available ring that have been written.
    added: u16,
    /// Used elements that have been taken.
    taken: u16,
    /// Where the next chain lies with IN_ORDER: descriptors are used in their order.
    next: Option<u16>,
}

impl Split {
    /// Sets a queue up; `None` where the device has none of this number.
    pub fn new(transport: &dyn Transport, index: QueueIndex, is_in_order: bool) -> Option<Self> {
        // A device that says another size than a power of 2 has broken a rule already.
        let most = transport.read_max_queue_size(index).min(MOST_ENTRIES);
        let size = 1 << most.checked_ilog2()?;
        let entries = u64::from(size);
        let ring = Self {
            size,
            descriptors: shared(16 * entries),
            available: shared(6 + 2 * entries),
            used: shared(6 + 8 * entries),
            doorbell: transport.doorbell(index).ok()?,
            added: 0,
            taken: 0,
            next: is_in_order.then_some(0),
        };
        // SAFETY: frames that are kept for good, as long as the size calls for; descriptors lead
        // into such frames alone.
        let addresses = unsafe {
            QueueAddresses::new(
                ring.descriptors.address(),
                ring.available.address(),
                ring.used.address(),
            )
        };
        transport.set_queue(index, size, addresses);
        transport.enable_queue(index);
        Some(ring)
    }

    pub fn size(&self) -> u16 {
        self.size
    }

    /// Returns where a chain of so many descriptors lies: at `wanted`, if the order is free.
    pub fn head(&mut self, wanted: u16, descriptors: usize) -> u16 {
        let Some(next) = &mut self.next else {
            return wanted;
        };
        let head = *next;
        *next = (head + descriptors as u16) % self.size;
        head
    }

    pub fn add(&mut self, head: u16, chain: &Chain, layout: Layout) {
        let pieces = chain.pieces();
        let direct = match layout {
            Layout::Direct => pieces.len(),
            Layout::Indirect | Layout::WritableIndirect => 0,
            Layout::DirectThenIndirect => 1,
        };
        let (direct, others) = pieces.split_at(direct);
        let end = u64::from(head) + direct.len() as u64;
        for (number, piece) in (u64::from(head)..).zip(direct) {
            let is_last = number + 1 == end && others.is_empty();
            let number = number % u64::from(self.size);
            let next = (number + 1) % u64::from(self.size);
            write(self.descriptors, number, piece, (!is_last).then_some(next));
        }
        if !others.is_empty() {
            let table = shared(16 * others.len() as u64);
            for (number, piece) in (0..).zip(others) {
                let next = Some(number + 1).filter(|next| *next < others.len() as u64);
                write(table, number, piece, next);
            }
            let flags = match layout {
                Layout::WritableIndirect => INDIRECT | WRITABLE,
                _ => INDIRECT,
            };
            let len = 16 * others.len() as u64;
            self.descriptors
                .write_descriptor(end, table.address(), len, flags, 0);
        }
        self.add_head(head);
    }

    /// Makes a chain available whose descriptors have been written.
    pub fn add_head(&mut self, head: u16) {
        let slot = self.added % self.size;
        self.available.write(4 + 2 * u64::from(slot), head);
        self.added = self.added.wrapping_add(1);
    }

    pub fn expose(&mut self) {
        // Release: the chains before the index that publishes them, to the device.
        fence(Ordering::Release);
        self.available.write(2, self.added);
        fence(Ordering::SeqCst);
    }

    pub fn kick(&self) {
        self.doorbell.ring(|| 0);
    }

    pub fn take_used(&mut self) -> Option<(u32, u32)> {
        if self.used_index() == self.taken {
            return None;
        }
        let element = self.used_at(self.taken);
        self.taken = self.taken.wrapping_add(1);
        Some(element)
    }

    /// Returns the index of the used element that is taken next.
    pub fn taken(&self) -> u16 {
        self.taken
    }

    /// Counts used elements as taken that are not written one by one (Virtio 1.3, 2.7.9).
    pub fn skip(&mut self, count: u16) {
        self.taken = self.taken.wrapping_add(count);
    }

    pub fn used_index(&self) -> u16 {
        let index = self.used.read(2);
        // Acquire: the elements after the index that publishes them, by the device.
        fence(Ordering::Acquire);
        index
    }

    /// Makes the next used elements tell whether they were written: they name no chain.
    pub fn mark_used(&mut self, count: u16) {
        for index in (0..count).map(|number| self.taken.wrapping_add(number)) {
            let at = 4 + 8 * u64::from(index % self.size);
            self.used.write(at, u32::MAX);
        }
    }

    /// Reads the used element of an index.
    pub fn used_at(&self, index: u16) -> (u32, u32) {
        let at = 4 + 8 * u64::from(index % self.size);
        (self.used.read(at), self.used.read(at + 4))
    }

    pub fn used_bytes(&self) -> Vec<u8> {
        let len = 4 + 8 * u64::from(self.size);
        (0..len).map(|at| self.used.read(at)).collect()
    }

    pub fn used_flags(&self) -> u16 {
        self.used.read(0)
    }

    pub fn ask_for(&mut self, interrupts: Interrupts, has_event_idx: bool) {
        // Half the numbers away: no completion of these trials comes there.
        const NEVER: u16 = 1 << 15;
        let after = match interrupts {
            Interrupts::Each => 0,
            Interrupts::None => NEVER,
            Interrupts::After(count) => count,
        };
        let flags = match interrupts {
            Interrupts::None if !has_event_idx => NO_INTERRUPT,
            _ => 0,
        };
        self.available.write(0, flags);
        let used_event = 4 + 2 * u64::from(self.size);
        self.available
            .write(used_event, self.taken.wrapping_add(after));
        fence(Ordering::SeqCst);
    }
}

fn write(table: Shared, number: u64, piece: &Piece, next: Option<u64>) {
    let mut flags = if piece.is_writable() { WRITABLE } else { 0 };
    if next.is_some() {
        flags |= NEXT;
    }
    let (address, len) = (piece.address(), u64::from(piece.len_bytes()));
    table.write_descriptor(number, address, len, flags, next.unwrap_or(0));
}
