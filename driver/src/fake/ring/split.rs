//! The device's half of a split ring: rust-vmm's, and what a hostile device writes over it.

use alloc::vec::Vec;
use core::sync::atomic::{Ordering, fence};

use virtio_queue::{Queue, QueueT, desc::split::Descriptor};
use vm_memory::{Bytes, GuestAddress};

use super::chain::{Chain, Stretch};
use crate::{fake::memory::memory, transport::QueueAddresses, virtqueue::need_event};

/// `VIRTQ_DESC_F_INDIRECT`.
const INDIRECT: u16 = 4;
/// `VIRTQ_AVAIL_F_NO_INTERRUPT`.
const NO_INTERRUPT: u16 = 1;

pub(super) struct SplitHalf {
    queue: Queue,
    addresses: QueueAddresses,
    size: u16,
    /// Where the next chain has to begin: the driver uses descriptors in ring order, too
    /// (Virtio 1.3, 2.7.5).
    next_head: Option<u16>,
    /// How far the used index was moved by hand since the driver's event was last looked at.
    moved: u16,
}

fn half(address: u64) -> (Option<u32>, Option<u32>) {
    (Some(address as u32), Some((address >> 32) as u32))
}

impl SplitHalf {
    pub(super) fn new(
        size: u16,
        addresses: QueueAddresses,
        event_index: bool,
        in_order: bool,
    ) -> Self {
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
            next_head: in_order.then_some(0),
            moved: 0,
        }
    }

    pub(super) fn enable(&mut self) {
        self.queue.set_ready(true);
        assert!(
            self.queue.is_valid(&*memory()),
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
        let stretches: Vec<_> = chain.map(stretch).collect();
        if let Some(next_head) = &mut self.next_head {
            assert_eq!(head, *next_head, "descriptors are not used in ring order");
            let at = self.addresses.descriptors() + 16 * u64::from(head) + 12;
            let flags: u16 = memory().read_obj(GuestAddress(at)).unwrap();
            let descriptors = match u16::from_le(flags) & INDIRECT {
                0 => stretches.len() as u16,
                _ => 1,
            };
            *next_head = (head + descriptors) % self.size;
        }
        Some(Chain::new(head, 1, stretches))
    }

    pub(super) fn use_chain(&mut self, head: u16, written: u32) {
        self.queue.add_used(&*memory(), head, written).unwrap();
    }

    /// `virtio_queue` knows about EVENT_IDX, not about the flag that there is without (Virtio 1.3,
    /// 2.7.7.2), nor about elements that were written by hand.
    pub(super) fn needs_notification(&mut self) -> bool {
        let is_over_event = self.has_moved_over_event();
        let needed = self.queue.needs_notification(&*memory()).unwrap() || is_over_event;
        // Pairs with the driver's barrier between allowing interrupts and looking at `idx`.
        fence(Ordering::SeqCst);
        let at = GuestAddress(self.addresses.available());
        let flags: u16 = memory().load(at, Ordering::Relaxed).unwrap();
        needed && u16::from_le(flags) & NO_INTERRUPT == 0
    }

    fn has_moved_over_event(&mut self) -> bool {
        let moved = core::mem::take(&mut self.moved);
        if !self.queue.event_idx_enabled() {
            return false;
        }
        let at = self.addresses.available() + 4 + 2 * u64::from(self.size);
        // As the driver stores it: by one access.
        let event: u16 = memory().load(GuestAddress(at), Ordering::Relaxed).unwrap();
        let new = self.queue.next_used();
        need_event(u16::from_le(event), new, new.wrapping_sub(moved))
    }

    pub(super) fn disable_notification(&mut self) {
        self.queue.disable_notification(&*memory()).unwrap();
    }

    pub(super) fn enable_notification(&mut self) -> bool {
        self.queue.enable_notification(&*memory()).unwrap()
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
        let at = GuestAddress(self.addresses.used() + 2);
        memory().store(next.to_le(), at, Ordering::Release).unwrap();
        self.queue.set_next_used(next);
        self.moved = self.moved.wrapping_add(advance);
    }
}
