//! What the queue's lock guards: the ring, the slots, the waiters, the accounting.
//!
//! Everything here runs with local interrupts masked and for a bounded time: at most one pass over
//! a full batch. Nothing here wakes, allocates, frees or touches a device register.
//!
//! # What counts as an answer
//!
//! A device writes a request's status before it uses the request (Virtio 1.3, 2.7.8.2 and 5.9.7), and
//! every request is sent with a status that no device means. A used element whose request still has it
//! is a breakage: it gives nothing back, ends no use of a session and makes no slot free, whether a
//! caller, an orphan or a *destroy* has it. Such elements come from a device that lies, and from one
//! that writes what it had before a forced reset into the ring after it (QEMU 10 and 11.1 with a
//! throttled backend): the heads of both lives are the same.
//!
//! An element from before that finds the status written comes early for a request that the device has
//! done: the request ends as it would have, but for the length, with which the device can lie anyway
//! and which nothing but the length of a public-key result is taken from. The request's own element
//! then comes second. It names a slot that is not in flight, or one whose next request is unanswered,
//! and breaks the device; or, answered too, comes early for that one.

use alloc::boxed::Box;
use core::task::Waker;

use pin_list::{PinList, id};

use super::{
    Answer, Framing, WhenNotReady,
    accounting::Accounting,
    block::Blocks,
    ending::created_session,
    kicks::Deferring,
    sessions::{Ledger, SessionTable},
    slot::{BATCH, Batch, Content, Purpose, Slot, State, Word},
};
use crate::{
    Error, Platform,
    error::DeviceFault,
    stats::QueueStats,
    virtqueue::{Segment, SplitQueue, UsedElement},
};

/// A caller that waits for a slot is a node of this list, in the caller's own future.
#[derive(Debug)]
pub(super) struct WaiterTypes;

impl pin_list::Types for WaiterTypes {
    type Id = id::Checked;
    type Protected = Option<Waker>;
    /// The slot that was handed over: reserved, or still to be emptied. None where the queue is closed.
    type Removed = Option<u16>;
    type Unprotected = ();
}

/// The slots' shared parts: reached with and without the lock.
#[derive(Debug)]
pub(super) struct Shared<P: Platform> {
    pub(super) words: Box<[Word]>,
    pub(super) blocks: Blocks<P>,
    pub(super) sessions: alloc::sync::Arc<SessionTable>,
}

/// The queue's guarded part.
#[derive(Debug)]
pub(super) struct Guarded<P: Platform> {
    pub(super) ring: SplitQueue<P>,
    pub(super) slots: Box<[Slot<P>]>,
    /// Descriptors of a slot in the ring: 1 with indirect tables.
    pub(super) stride: u16,
    /// Chains are in indirect tables, and compact.
    pub(super) is_plain: bool,
    pub(super) framing: Framing,
    /// First free slot.
    pub(super) free: u16,
    /// First slot that the device has given back and whose owner is gone.
    pub(super) reapable: u16,
    pub(super) in_flight: u16,
    pub(super) waiters: PinList<WaiterTypes>,
    pub(super) accounting: Accounting,
    /// The control queue's.
    pub(super) ledger: Option<Ledger>,
    /// Why nobody gets a slot any more; what is in flight goes on, and sessions can end.
    pub(super) closed: Option<Error>,
    /// Why nothing at all goes on: nothing is sent, and what is in flight has failed.
    pub(super) ended: Option<Error>,
    /// The device's hardware is, as far as is known: see `readiness`.
    pub(super) is_ready: bool,
    /// Something may be sent: the hardware is ready, and the queue has not ended.
    pub(super) sends: bool,
    pub(super) when_not_ready: WhenNotReady,
    pub(super) deferring: Deferring,
    /// How many look at the ring by themselves: while there is one, no interrupt is asked for.
    pub(super) pollers: u32,
    pub(super) stats: QueueStats,
}

impl<P: Platform> Guarded<P> {
    /// Writes the chain of `slot`, unless it has been written: into the slot's indirect table, or into
    /// the ring where there are none.
    #[inline(always)]
    pub(super) fn write_chain(&mut self, shared: &Shared<P>, slot: u16, chain: &[Segment]) {
        if !chain.is_empty() {
            self.write_other_chain(shared, slot, chain);
        }
    }

    #[cold]
    fn write_other_chain(&mut self, shared: &Shared<P>, slot: u16, chain: &[Segment]) {
        if self.stride == 1 {
            shared.blocks.block(slot).write_table(chain);
        } else {
            self.ring.write_chain(slot * self.stride, chain);
        }
    }

    /// Makes the request of `slot` available. Everything about it is recorded by now.
    #[inline(always)]
    pub(super) fn publish(&mut self, slot: u16) {
        self.in_flight += 1;
        self.stats.submitted += 1;
        self.ring.publish(slot * self.stride);
    }

    /// Decides whether to notify the device, unless this CPU has put that off; on a closed queue none
    /// has, since whoever waits for its end may be the one.
    #[inline]
    pub(super) fn decide_kick(&mut self) -> bool {
        let deferred = self.deferring.is_here::<P>() && self.closed.is_none();
        !deferred && self.decide_kick_now()
    }

    #[inline]
    pub(super) fn decide_kick_now(&mut self) -> bool {
        let kick = self.ring.decide_kick();
        self.stats.kicks += u64::from(kick);
        kick
    }

    /// Takes used elements until the ring is empty or [`BATCH`] are taken.
    ///
    /// # Errors
    ///
    /// The way in which the device broke the rules. The caller ends the queue.
    #[inline(always)]
    pub(super) fn drain(
        &mut self,
        shared: &Shared<P>,
        batch: &mut Batch,
        answer: &mut Answer,
    ) -> Result<(), DeviceFault> {
        debug_assert!(batch.is_empty());
        debug_assert_eq!(answer.drained, 0);
        let mut used_index = self.ring.used_index();
        // Each round but the first takes something, whatever the device makes of its index meanwhile.
        loop {
            self.accounting.observe(used_index);
            let pending = used_index.wrapping_sub(self.ring.next_used());
            if pending > self.in_flight {
                return Err(DeviceFault::UsedIndexJump {
                    advance: pending,
                    in_flight: self.in_flight,
                });
            }
            for _ in 0..pending {
                if answer.drained == u32::from(BATCH) {
                    answer.more = true;
                    return Ok(());
                }
                self.take_one(shared, batch)?;
                answer.drained += 1;
            }
            if self.pollers > 0 {
                return Ok(());
            }
            // All of it has been taken.
            self.accounting.arm(used_index);
            let taken = used_index;
            used_index = self.ring.arm();
            if used_index == taken {
                return Ok(());
            }
        }
    }

    #[inline(always)]
    fn take_one(&mut self, shared: &Shared<P>, batch: &mut Batch) -> Result<(), DeviceFault> {
        let used = self.ring.take_used();
        let (slot, rest) = match u32::from(self.stride) {
            1 => (used.id, 0),
            stride => (used.id / stride, used.id % stride),
        };
        let word = usize::try_from(slot)
            .ok()
            .and_then(|slot| shared.words.get(slot));
        let bad = DeviceFault::BadUsedId { id: used.id };
        // The whole id counts: its upper bits, and that it names a head.
        let (Some(word), 0) = (word, rest) else {
            return Err(bad);
        };
        let index = slot as u16;
        let entry = &mut self.slots[usize::from(index)];

        let state = word.state();
        if state == State::Submitted as u8 {
            // Behind the acquire of the used index, which the device moved after it wrote the status.
            if !shared.blocks.block(index).is_answered(entry.status_at) {
                return Err(DeviceFault::Unanswered { id: used.id });
            }
            word.complete(used.len_bytes);
            batch.wake(entry.waker.take());
            if let Purpose::Data(session) = entry.purpose
                && shared.sessions.release_use(session)
            {
                batch.end_session(session);
            }
        } else {
            self.take_unheld(shared, index, state, used, batch)?;
        }
        self.in_flight -= 1;
        self.stats.completed += 1;
        Ok(())
    }

    /// The device has used a slot that no caller holds.
    #[inline(never)]
    fn take_unheld(
        &mut self,
        shared: &Shared<P>,
        slot: u16,
        state: u8,
        used: UsedElement,
        batch: &mut Batch,
    ) -> Result<(), DeviceFault> {
        let UsedElement { id, len_bytes } = used;
        let is_detached = state == State::Detached as u8;
        if !is_detached && state != State::Orphaned as u8 {
            return Err(DeviceFault::BadUsedId { id });
        }
        let entry = &self.slots[usize::from(slot)];
        if !shared.blocks.block(slot).is_answered(entry.status_at) {
            return Err(DeviceFault::Unanswered { id });
        }
        if is_detached {
            let purpose = entry.purpose;
            self.finish_destroy(shared, slot, purpose, len_bytes, batch);
            self.pass_on(shared, slot, Content::Wiped, batch);
        } else {
            self.settle_orphan(shared, slot, len_bytes, batch);
        }
        Ok(())
    }

    /// The device has answered a request whose caller is gone, in flight or completed.
    pub(super) fn settle_orphan(
        &mut self,
        shared: &Shared<P>,
        slot: u16,
        written_bytes: u32,
        batch: &mut Batch,
    ) {
        let purpose = self.slots[usize::from(slot)].purpose;
        match purpose {
            Purpose::Create(session) => {
                let created = created_session(shared, slot, written_bytes);
                if let Ok(id) = created {
                    shared.sessions.record(session, id);
                    // The session that nobody wants ends in the slot of its own beginning.
                    if self.sends {
                        batch.kick |= self.send_destroy(shared, slot, session, State::Orphaned);
                        return;
                    }
                }
                if let Some(ledger) = &mut self.ledger {
                    match created {
                        // It waits for the hardware, or for a recovery to end it.
                        Ok(_) => ledger.push_backlog(session),
                        Err(_) => ledger.free(session),
                    }
                }
            }
            Purpose::Data(session) => {
                if shared.sessions.release_use(session) {
                    batch.end_session(session);
                }
            }
            Purpose::Destroy(_) => {
                self.finish_destroy(shared, slot, purpose, written_bytes, batch);
            }
            Purpose::Nothing => {}
        }
        self.pass_on(shared, slot, Content::Left, batch);
    }

    /// Tells whether the device has requests, or sessions still wait for their end.
    pub(super) fn is_busy(&self) -> bool {
        let waiting = self.ledger.as_ref().is_some_and(Ledger::has_backlog);
        self.in_flight > 0 || waiting
    }

    /// Ends the queue: see [`Queue::end`](super::Queue::end).
    pub(super) fn end(&mut self, error: Error) {
        keep_reason(&mut self.closed, error);
        keep_reason(&mut self.ended, error);
        self.sends = false;
    }

    /// Collects wakers of those who wait in vain, and takes them out of the line: for a slot of a queue that
    /// is closed and, where it has ended, for an answer, from the place `from` on, which moves. `true` when
    /// there may be more. Bounded, and so is the number of calls: who is woken does not wait here again.
    pub(super) fn collect_waiters(&mut self, from: &mut usize, batch: &mut Batch) -> bool {
        while !batch.is_full() {
            let Ok(waker) = self.waiters.cursor_front_mut().remove_current(None) else {
                break;
            };
            batch.wake(waker);
        }
        if self.ended.is_none() {
            return batch.is_full();
        }
        for _ in 0..2 * BATCH {
            if batch.is_full() {
                break;
            }
            let waker = match self.slots.get_mut(*from) {
                Some(slot) => slot.waker.take(),
                None => {
                    let place = *from - self.slots.len();
                    let ledger = self.ledger.as_mut();
                    match ledger.and_then(|ledger| ledger.take_waker(place)) {
                        Some(waker) => waker,
                        None => return false,
                    }
                }
            };
            *from += 1;
            batch.wake(waker);
        }
        true
    }
}

/// Keeps the first reason that lasts, or a shutdown.
pub(super) fn keep_reason(kept: &mut Option<Error>, error: Error) {
    let passes = matches!(
        kept,
        None | Some(Error::Resetting | Error::HardwareNotReady)
    );
    if passes || error == Error::ShutDown {
        *kept = Some(error);
    }
}
