//! What the queue's lock guards: the slots, the waiters, the accounting, and the ring but for the
//! half that a drain holds.
//!
//! Everything here runs with local interrupts masked and for a bounded time: at most one pass over
//! a full batch. Nothing here wakes, allocates, frees or touches a device register.

mod destroys;
mod drain;
mod kicks;
mod passing;
mod readiness;

use alloc::{boxed::Box, sync::Arc};
use core::task::Waker;

use pin_list::{PinList, id};

pub(crate) use self::drain::DrainReport;
pub(in crate::queue) use self::drain::Drained;
use crate::{
    Error, Platform,
    dma::DmaRegion,
    queue::{
        accounting::Accounting,
        batch::{BATCH, Batch},
        block::{Blocks, StatusAt},
        deferral::Deferring,
        framing::Framing,
        layout::WhenNotReady,
        ledger::Ledger,
        sessions::SessionTable,
        slot::{Purpose, Slot, State, Word},
    },
    stats::QueueStats,
    virtqueue::{Available, AvailableHalf, Chain, Format, Outstanding},
};

/// A caller that waits for a slot is a node of this list, in the caller's own future.
#[derive(Debug)]
pub(in crate::queue) struct WaiterTypes;

impl pin_list::Types for WaiterTypes {
    type Id = id::Checked;
    type Protected = Option<Waker>;
    /// The slot that was handed over: reserved, or still to be emptied. None where the queue is
    /// closed.
    type Removed = Option<u16>;
    type Unprotected = ();
}

/// The slots' shared parts: reached with and without the lock.
#[derive(Debug)]
pub(in crate::queue) struct Shared<P: Platform> {
    pub(in crate::queue) words: Box<[Word]>,
    pub(in crate::queue) blocks: Blocks<P>,
    pub(in crate::queue) sessions: Arc<SessionTable>,
}

impl<P: Platform> Shared<P> {
    /// Returns the word of a slot.
    #[inline(always)]
    pub(in crate::queue) fn word(&self, slot: u16) -> &Word {
        &self.words[usize::from(slot)]
    }
}

/// The queue's guarded part.
#[derive(Debug)]
pub(in crate::queue) struct Guarded<P: Platform> {
    pub(in crate::queue) available: Available<DmaRegion<P>>,
    pub(in crate::queue) outstanding: Outstanding,
    pub(in crate::queue) slots: Box<[Slot<P>]>,
    /// Chains are in indirect tables.
    pub(in crate::queue) is_indirect: bool,
    /// They are, and compact, as with nearly all devices.
    pub(in crate::queue) is_plain: bool,
    pub(in crate::queue) framing: Framing,
    /// First free slot.
    pub(in crate::queue) free: u16,
    /// First slot that the device has given back and whose owner is gone.
    pub(in crate::queue) reapable: u16,
    pub(in crate::queue) in_flight: u16,
    pub(in crate::queue) waiters: PinList<WaiterTypes>,
    pub(in crate::queue) accounting: Accounting,
    /// The control queue's.
    pub(in crate::queue) ledger: Option<Ledger>,
    /// Why nobody gets a slot any more; what is in flight goes on, and sessions can end.
    pub(in crate::queue) closed: Option<Error>,
    /// Why nothing at all goes on: nothing is sent, and what is in flight has failed.
    pub(in crate::queue) ended: Option<Error>,
    /// The device's hardware is ready, as far as is known: see `readiness`.
    pub(in crate::queue) is_ready: bool,
    /// Something may be sent: the hardware is ready, and the queue has not ended and is not about
    /// to be reset.
    pub(in crate::queue) sends: bool,
    pub(in crate::queue) when_not_ready: WhenNotReady,
    pub(in crate::queue) deferring: Deferring,
    /// How many callers poll the ring: while there is one, no interrupt is asked for.
    pub(in crate::queue) pollers: u32,
    pub(in crate::queue) stats: QueueStats,
}

impl<P: Platform> Guarded<P> {
    /// Records what the request of `slot`, whose block is filled, is for, and where its status
    /// comes; then makes the chain that `write` writes available. `true` when the device has to be
    /// notified.
    #[inline(always)]
    pub(in crate::queue) fn make_available<'c>(
        &mut self,
        (slot, word): (u16, &Word),
        purpose: Purpose,
        status_at: StatusAt,
        state: State,
        write: impl FnOnce(Format) -> Chain<'c>,
    ) -> bool {
        let entry = &mut self.slots[usize::from(slot)];
        entry.purpose = purpose;
        entry.status_at = status_at;
        word.set(state);
        self.in_flight += 1;
        self.stats.submitted += 1;
        let puts_off = self.puts_kicks_off();
        let kick = match &mut self.available {
            Available::Split(half) => send(half, slot, write(Format::Split), puts_off).kick,
            _ => self.send_otherwise(slot, write, puts_off),
        };
        self.stats.kicks += u64::from(kick);
        kick
    }

    /// Makes a request available where the ring is not a plain split one. Apart, with all that
    /// depends on which one it is, so that the plain one costs one comparison.
    #[inline(never)]
    fn send_otherwise<'c>(
        &mut self,
        slot: u16,
        write: impl FnOnce(Format) -> Chain<'c>,
        puts_off: bool,
    ) -> bool {
        let sent = match &mut self.available {
            Available::Packed(half) => send(half, slot, write(Format::Packed), puts_off),
            Available::SplitInOrder(half) => send(half, slot, write(Format::Split), puts_off),
            Available::Split(_) => unreachable!("its caller has seen that the ring is another"),
        };
        // Before anybody drains: the lock is held.
        self.outstanding.push(slot, sent.id, sent.descriptors);
        sent.kick
    }

    /// Tells whether the device has requests, or sessions still wait for their end.
    pub(in crate::queue) fn is_busy(&self) -> bool {
        let waiting = self.ledger.as_ref().is_some_and(Ledger::has_backlog);
        self.in_flight > 0 || waiting
    }

    /// Ends the queue: see [`Queue::end`](super::Queue::end).
    pub(in crate::queue) fn end(&mut self, error: Error) {
        keep_reason(&mut self.closed, error);
        keep_reason(&mut self.ended, error);
        self.sends = false;
    }

    /// Collects the wakers of tasks that wait in vain. On a closed queue those are the tasks in the
    /// line, which leave it. On one that has ended they are also those that wait for an answer,
    /// from the place `from` on, which moves. `true` when there may be more. Bounded, and so is the
    /// number of calls: a task that is woken does not wait here again.
    pub(in crate::queue) fn collect_waiters(
        &mut self,
        from: &mut usize,
        batch: &mut Batch,
    ) -> bool {
        self.dismiss_line(batch);
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

    /// Takes callers out of the line without a slot, as many as the batch has room for.
    fn dismiss_line(&mut self, batch: &mut Batch) {
        while !batch.is_full() {
            let Ok(waker) = self.waiters.cursor_front_mut().remove_current(None) else {
                return;
            };
            batch.wake(waker);
        }
    }
}

/// How a request was sent.
struct Sent {
    /// What the device calls it.
    id: u16,
    /// How many descriptors of the ring it takes.
    descriptors: u16,
    /// The device has to be notified.
    kick: bool,
}

/// Makes a request available and decides whether to kick.
#[inline(always)]
fn send(half: &mut impl AvailableHalf, slot: u16, chain: Chain<'_>, puts_off_kicks: bool) -> Sent {
    Sent {
        id: half.publish(slot, chain),
        descriptors: chain.descriptors(),
        kick: (!puts_off_kicks || half.must_decide()) && half.decide_kick(),
    }
}

/// Keeps the first reason that lasts, or a shutdown.
pub(in crate::queue) fn keep_reason(kept: &mut Option<Error>, error: Error) {
    let passes = matches!(
        kept,
        None | Some(Error::Resetting | Error::HardwareNotReady | Error::QueueReset)
    );
    if passes || error == Error::ShutDown {
        *kept = Some(error);
    }
}
