//! A virtqueue of either kind, filled by hand.

use alloc::vec::Vec;

use virtio_crypto::transport::{QueueIndex, Transport};

use crate::requests::{
    chain::{Chain, Part},
    features::{IN_ORDER, RING_PACKED},
    layout::{Interrupts, Layout},
    packed::Packed,
    split::Split,
};

/// A virtqueue.
#[derive(Debug)]
pub enum Ring {
    Split(Split),
    Packed(Packed),
}

impl Ring {
    /// Sets a queue up; `None` where the device has none of this number.
    pub fn new(transport: &dyn Transport, index: QueueIndex, features: u64) -> Option<Self> {
        if features & RING_PACKED != 0 {
            return Packed::new(transport, index).map(Self::Packed);
        }
        let is_in_order = features & IN_ORDER != 0;
        Split::new(transport, index, is_in_order).map(Self::Split)
    }

    /// Returns the head of a chain of so many descriptors: `wanted`, if the order is free.
    pub fn head(&mut self, wanted: u16, descriptors: usize) -> u16 {
        match self {
            Self::Split(ring) => ring.head(wanted, descriptors),
            Self::Packed(_) => wanted,
        }
    }

    pub fn size(&self) -> u16 {
        match self {
            Self::Split(ring) => ring.size(),
            Self::Packed(ring) => ring.size(),
        }
    }

    /// Returns where a chain lies beside one from descriptor 0 on.
    pub fn second_head(&self) -> u16 {
        self.size() / 2
    }

    /// Publishes `parts` as one chain from the descriptor `head` on, and kicks.
    pub fn publish(&mut self, head: u16, parts: &[Part], layout: Layout) -> Chain {
        let chain = Chain::new(parts);
        self.add(head, &chain, layout);
        self.expose();
        self.kick();
        chain
    }

    /// Writes a chain, which the device does not see yet. On a split ring `head` is its first
    /// descriptor, on a packed one no more than its id.
    pub fn add(&mut self, head: u16, chain: &Chain, layout: Layout) {
        match self {
            Self::Split(ring) => ring.add(head, chain, layout),
            Self::Packed(ring) => ring.add(head, chain, layout),
        }
    }

    /// Lets the device see what was added.
    pub fn expose(&mut self) {
        match self {
            Self::Split(ring) => ring.expose(),
            Self::Packed(ring) => ring.expose(),
        }
    }

    pub fn kick(&self) {
        match self {
            Self::Split(ring) => ring.kick(),
            Self::Packed(ring) => ring.kick(),
        }
    }

    /// Takes the next used element, if there is one: id and length.
    pub fn take_used(&mut self) -> Option<(u32, u32)> {
        match self {
            Self::Split(ring) => ring.take_used(),
            Self::Packed(ring) => ring.take_used(),
        }
    }

    /// Copies what the device writes of the ring itself.
    pub fn used_bytes(&self) -> Vec<u8> {
        match self {
            Self::Split(ring) => ring.used_bytes(),
            Self::Packed(_) => Vec::new(),
        }
    }

    /// Says which completions are to interrupt from here on.
    pub fn ask_for(&mut self, interrupts: Interrupts, has_event_idx: bool) {
        match self {
            Self::Split(ring) => ring.ask_for(interrupts, has_event_idx),
            Self::Packed(ring) => ring.ask_for(interrupts),
        }
    }
}
