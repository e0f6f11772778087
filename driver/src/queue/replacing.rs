//! A queue that was reset by itself, and the one in its place (Virtio 1.3, 2.6.1).
//!
//! For `device/queue_reset`, which takes these steps in their order. A reset leaves nothing of a
//! queue on the device, so another one takes its place, with a ring and slots of its own. The one
//! before ends, as all queues do at a recovery: what its requests were in is wiped, and given up if
//! the device may still write there. Whoever has a reference to it finds the one of now by
//! [`Queue::current`].
//!
//! The one rule: what belongs to the place moves on in the hold of the lock in which the queue
//! learns of its successor. That is: callers that poll, sections that put kicks off, whether the
//! hardware is ready, and what is owed in interrupts. Whoever changes any of it asks for the queue
//! of now under its lock ([`Queue::with_current`]).

use alloc::boxed::Box;

use super::{
    ENDED, Locked, Queue, batch::Batch, guarded::Guarded, sessions::SessionIndex, slot::Purpose,
};
use crate::{
    Error, Platform,
    stats::QueueStats,
    sync::{atomic::Ordering, run_all},
};

/// How often the queue in a place can be reset. Each time the memory of the one before is kept
/// until the device is recovered.
pub(crate) const MAX_RESETS: usize = 16;

impl<P: Platform> Queue<P> {
    /// Returns the queue that is in this one's place now.
    #[inline(always)]
    pub(crate) fn current(&self) -> &Self {
        match self.successor.get() {
            None => self,
            Some(next) => next.last(),
        }
    }

    #[cold]
    fn last(&self) -> &Self {
        let mut queue = self;
        while let Some(next) = queue.successor.get() {
            queue = next;
        }
        queue
    }

    /// Returns this queue and those that came after it.
    fn successors(&self) -> impl Iterator<Item = &Self> {
        core::iter::successors(Some(self), |queue| {
            queue.successor.get().map(|next| &**next)
        })
    }

    /// Tells whether another queue is in this one's place now.
    pub(crate) fn is_replaced(&self) -> bool {
        self.successor.get().is_some()
    }

    /// Returns how often the queue in this one's place has been reset since.
    pub(crate) fn resets(&self) -> usize {
        self.successors().count() - 1
    }

    /// Returns the counters of this queue and of those after it.
    pub(crate) fn stats_since_set_up(&self) -> QueueStats {
        self.successors().map(Self::stats).sum()
    }

    /// Runs `f` under the lock of the queue that is in this one's place now, and returns that one.
    pub(super) fn with_current<'q, R>(
        &'q self,
        mut f: impl FnMut(&'q Self, &mut Locked<P>) -> R,
    ) -> (&'q Self, R) {
        loop {
            let queue = self.current();
            let outcome = queue.locked.with(|locked| {
                let is_current = queue.successor.get().is_none();
                is_current.then(|| f(queue, locked))
            });
            if let Some(outcome) = outcome {
                return (queue, outcome);
            }
        }
    }

    /// Sends nothing more; callers wait for the queue that comes in this one's place.
    pub(crate) fn close_for_reset(&self) {
        let kick = self.with(|guarded| {
            // What has been put off, too: the device is given the time to answer it.
            let kick = guarded.decide_deferred_kick();
            // One that has just broken stays so.
            if guarded.ended.is_none() {
                guarded.closed = Some(Error::QueueReset);
                guarded.send_or_not();
            }
            kick
        });
        if kick {
            self.ring_doorbell();
        }
    }

    /// Puts `next`, which the device has by now, in this queue's place, and ends this one. Returns
    /// how many requests the device still had, and why this queue has ended meanwhile, if it has:
    /// then so has the next one. [`forget_requests`](Self::forget_requests), [`clear`](Self::clear)
    /// and [`wake_waiters`](Self::wake_waiters) have to follow.
    pub(crate) fn replace_by(&self, mut next: Box<Self>) -> (u32, Option<Error>) {
        let outcome = self.with(|guarded| {
            let ended = guarded.ended;
            // Nobody else has it yet.
            let Locked { used, guarded: to } = next.locked.get_mut();
            to.pollers = guarded.pollers;
            if to.pollers > 0 {
                used.suppress_interrupts();
            }
            core::mem::swap(&mut to.deferring, &mut guarded.deferring);
            to.is_ready = guarded.is_ready;
            to.close_or_open();
            to.send_or_not();
            to.accounting.inherit(guarded.accounting.hand_over());
            if let Some(error) = ended {
                to.end(error);
                next.poll_flags.fetch_or(ENDED, Ordering::Relaxed);
            }
            self.successor.call_once(|| next);
            let lost = core::mem::take(&mut guarded.in_flight);
            guarded.stats.lost += u64::from(lost);
            guarded.end(Error::QueueReset);
            (u32::from(lost), ended)
        });
        // Release: as in `end`.
        self.poll_flags.fetch_or(ENDED, Ordering::Release);
        outcome
    }

    /// Takes their sessions off the requests that the device still had. Returns those sessions
    /// whose last use has gone by that. If the device is not trusted to have let go, it may still
    /// meet a session by such a request: then the session stays, and is not returned.
    pub(crate) fn forget_requests(&self, is_trusted: bool) -> impl Iterator<Item = SessionIndex> {
        let mut words = (0..).zip(&self.shared.words);
        core::iter::from_fn(move || {
            words.find_map(|(slot, word): (u16, _)| {
                let session = self.with(|guarded| {
                    let entry = &mut guarded.slots[usize::from(slot)];
                    let Purpose::Data(session) = entry.purpose else {
                        return None;
                    };
                    if !word.is_in_flight() {
                        return None;
                    }
                    entry.purpose = Purpose::Nothing;
                    Some(session)
                })?;
                if !is_trusted {
                    self.shared.sessions.lose_use(session);
                    return None;
                }
                self.shared.sessions.release_use(session).then_some(session)
            })
        })
    }

    /// Wakes those who wait for the ends of sessions, to look whether they still may.
    pub(crate) fn wake_closers(&self) {
        let mut place = 0;
        run_all(|| {
            let mut batch = Batch::default();
            let more = self.with(|guarded: &mut Guarded<P>| {
                while !batch.is_full() {
                    let ledger = guarded.ledger.as_mut();
                    let Some(waker) = ledger.and_then(|ledger| ledger.take_waker(place)) else {
                        return false;
                    };
                    place += 1;
                    batch.wake(waker);
                }
                true
            });
            batch.wake_all();
            more
        });
    }
}
