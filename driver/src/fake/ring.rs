//! The device's half of a ring, and the chains that it takes from it.

use alloc::{vec, vec::Vec};
use core::sync::atomic::{Ordering, fence};

use virtio_queue::{Queue, QueueT};
use vm_memory::{Bytes, GuestAddress};

use super::platform::{is_live, memory};
use crate::transport::QueueAddresses;

/// `VIRTQ_AVAIL_F_NO_INTERRUPT`.
const NO_INTERRUPT: u16 = 1;

/// A chain that was taken from the ring and not used yet.
#[derive(Clone, Debug)]
pub(super) struct Chain {
    pub(super) head: u16,
    /// Address, length, writable.
    segments: Vec<(u64, u32, bool)>,
}

pub(super) struct Ring {
    pub(super) queue: Queue,
    addresses: QueueAddresses,
    size: u16,
    pub(super) taken: Vec<Chain>,
    pub(super) enabled: bool,
}

/// Returns where what has these lengths begins, one behind the other; without what is empty.
fn begins(lens: impl Iterator<Item = usize>) -> Vec<usize> {
    let mut at = 0;
    let begin = |len| {
        at += len;
        at - len
    };
    lens.filter(|len| *len > 0).map(begin).collect()
}

fn half(address: u64) -> (Option<u32>, Option<u32>) {
    (Some(address as u32), Some((address >> 32) as u32))
}

impl Ring {
    pub(super) fn new(size: u16, addresses: QueueAddresses, event_index: bool) -> Self {
        let mut queue = Queue::new(1024).unwrap();
        queue.set_size(size);
        let (low, high) = half(addresses.descriptors());
        queue.set_desc_table_address(low, high);
        let (low, high) = half(addresses.available());
        queue.set_avail_ring_address(low, high);
        let (low, high) = half(addresses.used());
        queue.set_used_ring_address(low, high);
        queue.set_event_idx(event_index);
        Self {
            queue,
            addresses,
            size,
            taken: vec![],
            enabled: false,
        }
    }

    pub(super) fn enable(&mut self) {
        self.queue.set_ready(true);
        assert!(
            self.queue.is_valid(memory()),
            "the driver laid the queue out wrongly"
        );
        self.enabled = true;
    }

    /// Takes every available chain.
    pub(super) fn take(&mut self) {
        if !self.enabled {
            return;
        }
        while let Some(chain) = self.queue.pop_descriptor_chain(memory()) {
            let head = chain.head_index();
            let segment =
                |d: virtio_queue::desc::split::Descriptor| (d.addr().0, d.len(), d.is_write_only());
            let segments: Vec<_> = chain.map(segment).collect();
            let readable = segments.iter().take_while(|segment| !segment.2).count();
            assert!(
                segments[readable..].iter().all(|segment| segment.2),
                "readable after writable"
            );
            assert!(
                segments.iter().all(|segment| segment.1 > 0),
                "an empty descriptor"
            );
            self.taken.push(Chain { head, segments });
        }
    }

    /// Tells whether the driver wants to hear of what has just been used. `virtio_queue` knows
    /// about EVENT_IDX, not about the flag that there is without (Virtio 1.3, 2.7.7.2).
    pub(super) fn needs_notification(&mut self) -> bool {
        let needed = self.queue.needs_notification(memory()).unwrap();
        // Pairs with the driver's barrier between allowing interrupts and looking at `idx`.
        fence(Ordering::SeqCst);
        let flags: u16 = memory()
            .read_obj(GuestAddress(self.addresses.available()))
            .unwrap();
        needed && u16::from_le(flags) & NO_INTERRUPT == 0
    }

    /// Writes a used element by hand, whatever it says, and moves the index by `advance`.
    pub(super) fn use_raw(&mut self, id: u32, len: u32, advance: u16) {
        let index = self.queue.next_used();
        let at = self.addresses.used() + 4 + 8 * u64::from(index % self.size);
        memory()
            .write_obj(
                (u64::from(len) << 32 | u64::from(id)).to_le(),
                GuestAddress(at),
            )
            .unwrap();
        let next = index.wrapping_add(advance);
        fence(Ordering::SeqCst);
        memory()
            .write_obj(next.to_le(), GuestAddress(self.addresses.used() + 2))
            .unwrap();
        self.queue.set_next_used(next);
    }
}

impl Chain {
    pub(super) fn check_live(&self) {
        for (address, len, _) in &self.segments {
            assert!(
                is_live(*address, *len),
                "the driver freed what the device has"
            );
        }
    }

    pub(super) fn read(&self) -> Vec<u8> {
        let mut bytes = vec![];
        for (address, len, _) in self.segments.iter().filter(|segment| !segment.2) {
            let mut part = vec![0; *len as usize];
            memory()
                .read_slice(&mut part, GuestAddress(*address))
                .unwrap();
            bytes.extend(part);
        }
        bytes
    }

    pub(super) fn writable(&self) -> u32 {
        self.segments
            .iter()
            .filter(|segment| segment.2)
            .map(|segment| segment.1)
            .sum()
    }

    /// Tells whether each of the fields, readable and writable ones of these lengths, begins a
    /// descriptor.
    pub(super) fn begins(&self, fields: &[Vec<usize>; 2]) -> bool {
        let [readable, writable] = fields;
        [(false, readable), (true, writable)]
            .into_iter()
            .all(|(is_writable, lens)| {
                let segments = self
                    .segments
                    .iter()
                    .filter(|segment| segment.2 == is_writable);
                let of_segments = begins(segments.map(|segment| segment.1 as usize));
                let of_fields = begins(lens.iter().copied());
                of_fields.iter().all(|begin| of_segments.contains(begin))
            })
    }

    pub(super) fn write(&self, mut skip: usize, mut bytes: &[u8]) {
        for (address, len, _) in self.segments.iter().filter(|segment| segment.2) {
            let len = *len as usize;
            if skip >= len {
                skip -= len;
                continue;
            }
            let part = bytes.len().min(len - skip);
            let at = GuestAddress(address + skip as u64);
            memory().write_slice(&bytes[..part], at).unwrap();
            bytes = &bytes[part..];
            skip = 0;
        }
    }
}
