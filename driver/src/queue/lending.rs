//! Lending a queue's memory to the device: slots are emptied, and after a reset the memory is taken
//! back or given up for good.
//!
//! The one rule: memory that the device may still write to is never freed, but it is wiped all the
//! same.

use super::{
    Queue,
    batch::Batch,
    block::{INLINE_LEN, StatusAt},
    slot::{Content, State},
};
use crate::{Platform, sync::atomic::Ordering};

impl<P: Platform> Queue<P> {
    /// Takes note that the device is about to learn where the queue lies.
    pub(crate) fn lend(&self) {
        self.lent.store(true, Ordering::Relaxed);
    }

    /// Takes note that the device touches nothing of the queue any more. It has confirmed its
    /// reset, and had nothing of the queue in flight or is trusted to have let go.
    pub(crate) fn take_back(&self) {
        self.lent.store(false, Ordering::Relaxed);
    }

    /// Wipes what requests have left on a queue that has ended, whatever becomes of their futures:
    /// keys, IVs and data do not stay in memory for a future that is never polled again. Buffers
    /// that nobody gets back are freed. If the device may still write to them, they are given up,
    /// as is the queue's own memory.
    ///
    /// A request that had completed keeps its answer until its caller takes or drops it. The keys
    /// of a *create* are no part of the answer and are wiped.
    pub(crate) fn clear(&self) {
        let is_lent = self.lent.load(Ordering::Relaxed);
        if is_lent {
            self.ring_memory.give_up(&self.given_up);
            self.shared.blocks.give_up(&self.given_up);
        }
        self.reap();
        for (slot, word) in (0..).zip(&self.shared.words) {
            let left = self.with(|guarded| {
                let entry = &mut guarded.slots[usize::from(slot)];
                let is_in_flight = word.is_in_flight();
                let is_created = word.is(State::Completed) && entry.status_at == StatusAt::CREATE;
                // Handed to a caller that may never come. One that comes takes the lock before it
                // fills the slot, so the slot is wiped under the lock.
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
        // Bounded, even if others cancel requests all the time. In the common case there is nothing
        // to reap and the lock is taken once.
        for _ in &self.shared.words {
            let reapable = self.with(|guarded| guarded.take_reapable(&self.shared));
            let Some(slot) = reapable else { return };
            self.empty(slot);
            self.give_back(slot);
        }
    }

    /// Empties a slot, without the lock: wipes its block and frees its buffers. From here on the
    /// caller has the slot reserved.
    pub(super) fn empty(&self, slot: u16) {
        let (inline_bytes, buffers) = self.with(|guarded| {
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
        self.with(|guarded| guarded.pass_on(&self.shared, slot, Content::Wiped, &mut batch));
        self.finish(&mut batch);
    }
}

impl<P: Platform> Drop for Queue<P> {
    fn drop(&mut self) {
        if self.lent.load(Ordering::Relaxed) {
            self.ring_memory.give_up(&self.given_up);
            let slots = self.with(|guarded| core::mem::take(&mut guarded.slots));
            // Wiped all the same: no key and no data stays in memory that is given up.
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
