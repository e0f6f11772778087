//! One split virtqueue, filled by hand.

use alloc::vec::Vec;
use core::sync::atomic::{Ordering, fence};

use kernel::{exit, memory::Shared};
use virtio_crypto::transport::{Doorbell, QueueAddresses, QueueIndex, Transport};

const NEXT: u16 = 1;
const WRITABLE: u16 = 2;
/// What memory holds before the device writes it.
pub const UNWRITTEN: u8 = 0xee;

/// One descriptor's worth of a request.
#[derive(Clone, Debug)]
pub enum Part {
    Readable(Vec<u8>),
    Writable(usize),
}

/// One split virtqueue.
#[derive(Debug)]
pub struct Ring {
    size: u16,
    descriptors: Shared,
    available: Shared,
    used: Shared,
    doorbell: Doorbell,
    published: u16,
    /// Used elements that have been taken.
    taken: u16,
}

/// A chain in a ring.
#[derive(Debug)]
pub struct Chain {
    writable: Vec<(Shared, usize)>,
}

impl Chain {
    /// Reads all that was writable; what was not written is [`UNWRITTEN`].
    pub fn written(&self) -> Vec<u8> {
        let parts = self.writable.iter();
        let bytes = parts.flat_map(|(place, len)| (0..*len).map(|at| place.read(at as u64)));
        bytes.collect()
    }
}

fn shared(len_bytes: u64) -> Shared {
    match Shared::allocate(len_bytes) {
        Some(memory) => memory,
        None => exit::fail(format_args!("no memory for {len_bytes} bytes")),
    }
}

impl Ring {
    /// Sets a queue up; `None` where the device has none of this number.
    pub fn new(transport: &dyn Transport, index: QueueIndex) -> Option<Self> {
        let size = transport.read_max_queue_size(index).min(256);
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
            published: 0,
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

    /// Publishes `parts` as one chain from the descriptor `head` on.
    pub fn publish(&mut self, head: u16, parts: &[Part]) -> Chain {
        let mut writable = Vec::new();
        for (number, part) in (u64::from(head)..).zip(parts) {
            let (len_bytes, mut flags) = match part {
                Part::Readable(bytes) => (bytes.len(), 0),
                Part::Writable(len_bytes) => (*len_bytes, WRITABLE),
            };
            // Its own frames, never used again: a device that writes late writes to nobody.
            let place = shared(len_bytes.max(1) as u64).part(0, len_bytes as u64);
            for at in 0..len_bytes {
                let byte = match part {
                    Part::Readable(bytes) => bytes[at],
                    Part::Writable(_) => UNWRITTEN,
                };
                place.write(at as u64, byte);
            }
            if number + 1 < u64::from(head) + parts.len() as u64 {
                flags |= NEXT;
            }
            let (address, next) = (place.address(), number + 1);
            self.descriptors
                .write_descriptor(number, address, len_bytes as u64, flags, next);
            if flags & WRITABLE != 0 {
                writable.push((place, len_bytes));
            }
        }
        let slot = self.published % self.size;
        self.available.write(4 + 2 * u64::from(slot), head);
        self.published = self.published.wrapping_add(1);
        // Release: the chain before the index that publishes it, to the device.
        fence(Ordering::Release);
        self.available.write(2, self.published);
        fence(Ordering::SeqCst);
        self.doorbell.ring();
        Chain { writable }
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
