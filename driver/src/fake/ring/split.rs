//! The device's half of a split ring: rust-vmm's, and what a hostile device writes over it.

use alloc::vec::Vec;
use core::sync::atomic::{Ordering, fence};

use virtio_queue::{Queue, QueueT, desc::split::Descriptor};
use vm_memory::{Bytes, GuestAddress};

use super::chain::{Chain, Stretch};
use crate::{fake::platform::memory, transport::QueueAddresses};

/// `VIRTQ_AVAIL_F_NO_INTERRUPT`.
const NO_INTERRUPT: u16 = 1;

pub(super) struct SplitHalf {
    queue: Queue,
    addresses: QueueAddresses,
    size: u16,
}

fn half(address: u64) -> (Option<u32>, Option<u32>) {
    (Some(address as u32), Some((address >> 32) as u32))
}

impl SplitHalf {
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
        }
    }

    pub(super) fn enable(&mut self) {
        self.queue.set_ready(true);
        assert!(
            self.queue.is_valid(memory()),
            "the driver laid the queue out wrongly"
        );
    }

    pub(super) fn take_one(&mut self) -> Option<Chain> {
        let chain = self.queue.pop_descriptor_chain(memory())?;
        let head = chain.head_index();
        let stretch = |descriptor: Descriptor| Stretch {
            address: descriptor.addr().0,
            len: descriptor.len(),
            is_writable: descriptor.is_write_only(),
        };
        Some(Chain::new(head, 1, chain.map(stretch).collect::<Vec<_>>()))
    }

    pub(super) fn use_chain(&mut self, head: u16, written: u32) {
        self.queue.add_used(memory(), head, written).unwrap();
    }

    /// `virtio_queue` knows about EVENT_IDX, not about the flag that there is without (Virtio 1.3,
    /// 2.7.7.2).
    pub(super) fn needs_notification(&mut self) -> bool {
        let needed = self.queue.needs_notification(memory()).unwrap();
        // Pairs with the driver's barrier between allowing interrupts and looking at `idx`.
        fence(Ordering::SeqCst);
        let flags: u16 = memory()
            .read_obj(GuestAddress(self.addresses.available()))
            .unwrap();
        needed && u16::from_le(flags) & NO_INTERRUPT == 0
    }

    pub(super) fn disable_notification(&mut self) {
        self.queue.disable_notification(memory()).unwrap();
    }

    pub(super) fn enable_notification(&mut self) -> bool {
        self.queue.enable_notification(memory()).unwrap()
    }

    /// Writes a used element by hand, whatever it says, and moves the index by `advance`.
    pub(super) fn use_raw(&mut self, id: u32, written: u32, advance: u16) {
        let index = self.queue.next_used();
        let at = self.addresses.used() + 4 + 8 * u64::from(index % self.size);
        memory()
            .write_obj(
                (u64::from(written) << 32 | u64::from(id)).to_le(),
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
