//! What the device may touch of a queue, and what becomes of that: slots are emptied, memory is
//! taken back after a reset or given up for good.

use super::{
    Queue,
    batch::Batch,
    block::{INLINE_LEN, StatusAt},
    slot::{Content, State},
};
use crate::{Platform, sync::atomic::Ordering};

impl<P: Platform> Queue<P> {
    /// The device is about to learn where the queue lies.
    pub(crate) fn lend(&self) {
        self.lent.store(true, Ordering::Relaxed);
    }

    /// Takes back what the device had, which has confirmed its reset and touches nothing of the
    /// queue any more. It had nothing in flight on it, or can be trusted to have let go.
    pub(crate) fn take_back(&self) {
        self.lent.store(false, Ordering::Relaxed);
    }

    /// Wipes what requests have left on a queue that has ended, whatever becomes of their futures.
    /// Keys, IVs and data do not stay in memory for somebody who may never look. Buffers that
    /// nobody gets back are freed, or given up with the queue's own memory where the device may
    /// still write to them.
    ///
    /// What the device had answered before is its caller's until the caller takes or drops it,
    /// except for the keys of a *create*, which are no part of the answer.
    pub(crate) fn clear(&self) {
        let is_lent = self.lent.load(Ordering::Relaxed);
        if is_lent {
            self.guarded
                .with(|guarded| guarded.ring.give_up(&self.given_up));
            self.shared.blocks.give_up(&self.given_up);
        }
        self.reap();
        for (slot, word) in (0..).zip(&self.shared.words) {
            let left = self.guarded.with(|guarded| {
                let entry = &mut guarded.slots[usize::from(slot)];
                let is_in_flight = word.is_in_flight();
                let is_created = word.is(State::Completed) && entry.status_at == StatusAt::CREATE;
                // Handed to a caller that may not come. One that does takes the lock before it
                // fills the slot, so all of them are wiped under it.
                let is_left = word.is(State::Emptying);
                let is_wiped = is_in_flight || is_created || is_left;
                is_wiped.then(|| {
                    self.shared.blocks.block(slot).wipe_inline(INLINE_LEN);
                    (is_in_flight, core::mem::take(&mut entry.buffers))
                })
            });
            let Some((is_in_flight, buffers)) = left else {
                continue;
            };
            if is_lent && is_in_flight {
                buffers.give_up(&self.given_up);
            }
        }
    }

    /// Empties the slots that the device gave back after their caller had gone.
    pub(crate) fn reap(&self) {
        // Bounded also where others cancel requests all the time. One lock for the common case:
        // nothing to reap.
        for _ in &self.shared.words {
            let reapable = self
                .guarded
                .with(|guarded| guarded.take_reapable(&self.shared));
            let Some(slot) = reapable else { return };
            self.empty(slot);
            self.give_back(slot);
        }
    }

    /// Wipes and frees what a slot held that is the caller's to empty, without the lock. From here
    /// on the slot is reserved by the caller.
    pub(super) fn empty(&self, slot: u16) {
        let (inline_bytes, buffers) = self.guarded.with(|guarded| {
            self.shared.words[usize::from(slot)].set(State::Reserved);
            let entry = &mut guarded.slots[usize::from(slot)];
            (entry.inline_bytes, core::mem::take(&mut entry.buffers))
        });
        self.shared
            .blocks
            .block(slot)
            .wipe_inline(usize::from(inline_bytes));
        drop(buffers);
    }

    /// Passes an empty slot on.
    #[cold]
    pub(super) fn give_back(&self, slot: u16) {
        let mut batch = Batch::default();
        self.guarded
            .with(|guarded| guarded.pass_on(&self.shared, slot, Content::Wiped, &mut batch));
        self.finish(&mut batch);
    }
}

impl<P: Platform> Drop for Queue<P> {
    fn drop(&mut self) {
        if self.lent.load(Ordering::Relaxed) {
            let slots = self.guarded.with(|guarded| {
                guarded.ring.give_up(&self.given_up);
                core::mem::take(&mut guarded.slots)
            });
            // Wiped all the same: keys and data do not stay behind in what nobody gets again.
            for slot in slots {
                slot.buffers.give_up(&self.given_up);
            }
            self.shared.blocks.give_up(&self.given_up);
        }
        for (slot, word) in (0..).zip(&self.shared.words) {
            // A free slot has been wiped.
            if !word.is(State::Free) {
                let block = self.shared.blocks.block(slot);
                block.wipe_inline(INLINE_LEN);
            }
        }
    }
}
