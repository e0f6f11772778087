//! One split virtqueue, filled by hand (Virtio 1.3, 2.7).

use core::sync::atomic::{Ordering, fence};

use kernel::memory::Shared;
use virtio_crypto::transport::{Doorbell, QueueAddresses, QueueIndex, Transport};

use crate::requests::chain::{Chain, Part, shared};

const NEXT: u16 = 1;
const WRITABLE: u16 = 2;
/// Most entries that a queue gets.
const MOST_ENTRIES: u16 = 256;

/// One split virtqueue.
#[derive(Debug)]
pub struct Ring {
    size: u16,
    descriptors: Shared,
    available: Shared,
    used: Shared,
    doorbell: Doorbell,
    /// Entries of the available ring that have been written.
    added: u16,
    /// Used elements that have been taken.
    taken: u16,
}

impl Ring {
    /// Sets a queue up; `None` where the device has none of this number.
    pub fn new(transport: &dyn Transport, index: QueueIndex) -> Option<Self> {
        let size = transport.read_max_queue_size(index).min(MOST_ENTRIES);
        if size == 0 {
            return None;
        }
        let entries = u64::from(size);
        let ring = Self {
            size,
            descriptors: shared(16 * entries),
            available: shared(6 + 2 * entries),
            used: shared(6 + 8 * entries),
            doorbell: transport.doorbell(index).ok()?,
            added: 0,
            taken: 0,
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

    /// Returns where a chain lies beside one from descriptor 0 on.
    pub fn second_head(&self) -> u16 {
        self.size / 2
    }

    /// Publishes `parts` as one chain from the descriptor `head` on, and kicks.
    pub fn publish(&mut self, head: u16, parts: &[Part]) -> Chain {
        let chain = Chain::new(parts);
        self.add(head, &chain);
        self.expose();
        self.kick();
        chain
    }

    /// Writes a chain from the descriptor `head` on, which the device does not see yet.
    pub fn add(&mut self, head: u16, chain: &Chain) {
        let pieces = chain.pieces();
        for (number, piece) in (u64::from(head)..).zip(pieces) {
            let mut flags = if piece.is_writable() { WRITABLE } else { 0 };
            if number + 1 < u64::from(head) + pieces.len() as u64 {
                flags |= NEXT;
            }
            let (address, len) = (piece.address(), u64::from(piece.len_bytes()));
            self.descriptors
                .write_descriptor(number, address, len, flags, number + 1);
        }
        self.add_head(head);
    }

    /// Makes a chain available whose descriptors have been written.
    pub fn add_head(&mut self, head: u16) {
        let slot = self.added % self.size;
        self.available.write(4 + 2 * u64::from(slot), head);
        self.added = self.added.wrapping_add(1);
    }

    /// Lets the device see what was added.
    pub fn expose(&mut self) {
        // Release: the chains before the index that publishes them, to the device.
        fence(Ordering::Release);
        self.available.write(2, self.added);
        fence(Ordering::SeqCst);
    }

    pub fn kick(&self) {
        self.doorbell.ring();
    }

    /// Takes the next used element, if there is one: id and length.
    pub fn take_used(&mut self) -> Option<(u32, u32)> {
        if self.used.read::<u16>(2) == self.taken {
            return None;
        }
        // Acquire: the element after the index that publishes it, by the device.
        fence(Ordering::Acquire);
        let slot = u64::from(self.taken % self.size);
        self.taken = self.taken.wrapping_add(1);
        Some((self.used.read(4 + 8 * slot), self.used.read(8 + 8 * slot)))
    }
}
