//! Devices that use requests in the order in which they were sent (`VIRTIO_F_IN_ORDER`).
//!
//! One used element may stand for a batch of requests: it names the last of them, and the next one
//! comes where the next batch begins (Virtio 1.3, 2.7.9 and 2.8.9). Those before the last count as
//! used completely. A split ring wants its descriptors used in ring order as well (2.7.5), which a
//! packed one always does.
//!
//! The one rule: a batch ends at a request that is in flight, and no further than the device has
//! come.

use super::{
    descriptor::{Chain, INDIRECT, UsedElement, UsedIndex},
    half::{AvailableHalf, Steps, Tables, UsedHalf},
    memory::RingMemory,
    outstanding::Outstanding,
    split::SplitAvailable,
};

/// Where requests are made available in a split ring whose descriptors are used in ring order.
#[derive(Debug)]
pub(crate) struct SplitInOrder<M: RingMemory> {
    half: SplitAvailable<M>,
    tables: Option<Tables>,
    /// Descriptors used so far, modulo 2^16.
    next_descriptor: u16,
}

impl<M: RingMemory> SplitInOrder<M> {
    pub(super) fn new(half: SplitAvailable<M>, tables: Option<Tables>) -> Self {
        Self {
            half,
            tables,
            next_descriptor: 0,
        }
    }
}

impl<M: RingMemory> AvailableHalf for SplitInOrder<M> {
    fn publish(&mut self, slot: u16, chain: Chain<'_>) -> u16 {
        let head = self.half.masked(self.next_descriptor);
        match (chain, self.tables) {
            (Chain::InTable(_), Some(tables)) => {
                let place = (tables.address(slot), tables.len_bytes);
                self.half.write_descriptor(head, place, (INDIRECT, 0));
            }
            (Chain::Direct(segments), _) => self.half.write_chain(head, segments),
            (Chain::InTable(_), None) => unreachable!("a queue without tables fills none"),
        }
        self.next_descriptor = self.next_descriptor.wrapping_add(chain.descriptors());
        self.half.expose(head);
        head
    }

    fn decide_kick(&mut self) -> bool {
        self.half.decide_kick()
    }

    fn must_decide(&self) -> bool {
        self.half.must_decide()
    }

    fn position(&self) -> u16 {
        self.half.position()
    }
}

/// Where requests are found that were used in order.
#[derive(Debug)]
pub(crate) struct InOrder<H: Steps> {
    half: H,
    /// Id and length of the batch that has been taken in part.
    batch: Option<(u32, u32)>,
    /// How many requests the device had used when that was last read.
    seen: u16,
}

impl<H: Steps> InOrder<H> {
    pub(super) fn new(half: H) -> Self {
        Self {
            half,
            batch: None,
            seen: 0,
        }
    }
}

impl<H: Steps> UsedHalf for InOrder<H> {
    fn used_index(&mut self, limit: u16, outstanding: &Outstanding) -> UsedIndex {
        let begun = self.batch.and_then(|(id, _)| find(outstanding, id));
        let left = begun.map_or((0, 0), |(before, descriptors)| (before + 1, descriptors));
        let used = self.half.count(limit, left, outstanding);
        self.seen = used.index;
        used
    }

    fn taken(&self) -> u16 {
        self.half.taken()
    }

    fn take_used(&mut self, outstanding: &mut Outstanding) -> UsedElement {
        let due = self.seen.wrapping_sub(self.half.taken());
        let begun = self.batch.take();
        let (id, len_bytes) = begun.unwrap_or_else(|| self.half.element());
        // A batch that has begun was due as a whole.
        let is_due =
            begun.is_some() || find(outstanding, id).is_some_and(|(before, _)| before < due);
        let request = if is_due { outstanding.pop() } else { None };
        let Some(request) = request else {
            self.half.step(1);
            return UsedElement {
                id,
                slot: UsedElement::NO_SLOT,
                len_bytes,
            };
        };
        self.half.step(outstanding.descriptors(request.slot));
        let is_last = u32::from(request.id) == id;
        if !is_last {
            self.batch = Some((id, len_bytes));
        }
        UsedElement {
            id: request.id.into(),
            slot: request.slot.into(),
            // Nobody says how much was written for the others: all that they had room for.
            len_bytes: if is_last { len_bytes } else { u32::MAX },
        }
    }

    fn arm(&mut self) {
        self.half.arm();
    }

    fn suppress_interrupts(&mut self) {
        self.half.suppress_interrupts();
    }

    fn allow_interrupts(&mut self) {
        self.half.allow_interrupts();
    }
}

/// Finds a request by an id as the device gives it.
fn find(outstanding: &Outstanding, id: u32) -> Option<(u16, u16)> {
    outstanding.find(u16::try_from(id).ok()?, 0)
}
