//! A request in flight: the wait for its completion, and what is taken from its slot afterwards.

use core::task::{Context, Poll, Waker};

use super::{
    Queue,
    batch::Batch,
    block::{Block, INLINE},
    buffers::Buffers,
    ledger::Ledger,
    sessions::SessionIndex,
    slot::{Purpose, Slot, State, Word},
};
use crate::{Error, Platform, sync::atomic::Ordering};

/// What was left with the slot of a request that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// The waker of the task that polls the request next.
    Waker,
    Nothing,
}

/// A request that the device has. Dropping it leaves everything with the slot, as an orphan.
#[derive(Debug)]
pub(crate) struct InFlight<'q, P: Platform> {
    queue: &'q Queue<P>,
    word: &'q Word,
    slot: u16,
    inline_bytes: u16,
    /// The waker of the first poll has been left with the slot when it was published.
    waker_is_left: bool,
}

impl<'q, P: Platform> InFlight<'q, P> {
    /// A request that was sent, with the waker of the task that polls it next if there is one.
    #[inline(always)]
    pub(super) fn new(queue: &'q Queue<P>, slot: u16, inline_bytes: u16, waker: Left) -> Self {
        Self {
            queue,
            word: &queue.shared.words[usize::from(slot)],
            slot,
            inline_bytes,
            waker_is_left: waker == Left::Waker,
        }
    }

    /// Like [`poll`](Self::poll), where all is as it mostly is; `None` where the queue has ended,
    /// where no interrupt comes, or where a waker has to be left.
    #[inline(always)]
    pub(crate) fn poll_plainly(&mut self) -> Option<Poll<Result<(), Error>>> {
        if self.word.is(State::Completed) {
            return Some(Poll::Ready(Ok(())));
        }
        // Acquire: as in `Queue::ended`.
        let is_plain = self.queue.special.load(Ordering::Acquire) == 0;
        if !is_plain || !core::mem::take(&mut self.waker_is_left) {
            return None;
        }
        self.queue.pending_polls.fetch_add(1, Ordering::Relaxed);
        Some(Poll::Pending)
    }

    /// Tells how the request is doing; when it is still in flight, the context's waker is woken at
    /// its end.
    ///
    /// # Errors
    ///
    /// The reason for which the queue has ended, with this request in flight.
    #[inline]
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let word = self.word;
        if word.is(State::Completed) {
            return Poll::Ready(Ok(()));
        }
        if let Some(error) = self.queue.ended() {
            return Poll::Ready(Err(error));
        }
        if !core::mem::take(&mut self.waker_is_left)
            && let Poll::Ready(outcome) = self.leave_waker(context)
        {
            return Poll::Ready(outcome);
        }
        self.queue.pending_polls.fetch_add(1, Ordering::Relaxed);
        Poll::Pending
    }

    /// Leaves the context's waker with the slot, unless there is nothing to wait for any more.
    #[cold]
    fn leave_waker(&self, context: &Context<'_>) -> Poll<Result<(), Error>> {
        // A common second poll clones nothing; clones and drops happen without the lock.
        let mut spare: Option<Waker> = None;
        loop {
            let (outcome, kick) = self.queue.guarded.with(|guarded| {
                if self.word.is(State::Completed) {
                    return (Some(Poll::Ready(Ok(()))), false);
                }
                if let Some(error) = guarded.ended {
                    return (Some(Poll::Ready(Err(error))), false);
                }
                let kick = guarded.kicks_before_wait();
                let kept = &mut guarded.slots[usize::from(self.slot)].waker;
                if kept
                    .as_ref()
                    .is_some_and(|kept| kept.will_wake(context.waker()))
                {
                    return (Some(Poll::Pending), kick);
                }
                if spare.is_none() {
                    return (None, kick);
                }
                core::mem::swap(kept, &mut spare);
                (Some(Poll::Pending), kick)
            });
            if kick {
                self.queue.doorbell.ring();
            }
            match outcome {
                Some(outcome) => return outcome,
                None => spare = Some(context.waker().clone()),
            }
        }
    }

    /// Returns how many bytes the device says that it wrote, which may be more than it was given. Once
    /// `poll` was ready.
    #[inline]
    pub(crate) fn written_bytes(&self) -> u32 {
        self.word.written_bytes()
    }

    /// Returns where the status of a data request lies in the slot's block.
    pub(crate) fn status_at(&self) -> usize {
        INLINE + usize::from(self.inline_bytes)
    }

    /// Returns the slot's device memory, for reading the answer. Once `poll` was ready.
    #[inline]
    pub(crate) fn block(&self) -> Block<'q> {
        self.queue.shared.blocks.block(self.slot)
    }

    /// Ends the request after `poll` was ready, and gives back `buffers`: wiped wherever the device has
    /// written unless `outcome`, which it returns, is good. Half an answer is none.
    #[inline]
    pub(crate) fn finish_with_buffers<T>(
        self,
        outcome: Result<T, Error>,
        buffers: &mut Buffers<P>,
    ) -> Result<T, Error> {
        *buffers = self.take(|_, entry| core::mem::take(&mut entry.buffers));
        if outcome.is_err() {
            buffers.wipe_destinations();
        }
        outcome
    }

    /// Ends a request without buffers after `poll` was ready.
    #[inline(always)]
    pub(crate) fn finish(self) {
        self.take(|_, entry| debug_assert!(entry.buffers.is_none()));
    }

    /// Ends a request whose answer is an error, which it returns.
    #[cold]
    pub(crate) fn refuse(self, error: Error) -> Error {
        let refused = self.finish_with_buffers(Err::<(), _>(error), &mut Buffers::default());
        refused.err().unwrap_or(error)
    }

    /// Ends a *create* after `poll` was ready: the session, or why there is none.
    #[inline(always)]
    pub(crate) fn take_session(self) -> Result<SessionIndex, Error> {
        let shared = &self.queue.shared;
        let id = match self.block().created_session(self.written_bytes()) {
            Ok(id) => id,
            Err(error) => return Err(self.refuse_session(error)),
        };
        // A long key comes back in a buffer, to be wiped and freed without the lock.
        let mut key = None;
        let session = self.take(|_, entry| {
            if !entry.buffers.is_none() {
                key = Some(core::mem::take(&mut entry.buffers));
            }
            // Else a shutdown has taken it.
            let Purpose::Create(session) = entry.purpose else {
                return None;
            };
            shared.sessions.open(session, id);
            Some(session)
        });
        session.ok_or(Error::ShutDown)
    }

    /// Ends a *create* whose answer is an error, which it returns.
    #[cold]
    fn refuse_session(self, error: Error) -> Error {
        // A long key is dropped here, without the lock.
        drop(self.take(|ledger, entry| {
            if let (Some(ledger), Purpose::Create(session)) = (ledger, entry.purpose) {
                ledger.free(session);
            }
            core::mem::take(&mut entry.buffers)
        }));
        error
    }

    /// Ends a *destroy* after `poll` was ready: what the device answered.
    #[inline]
    pub(crate) fn take_destroyed(self) -> Result<(), Error> {
        let result = self.block().destroy_result(self.written_bytes());
        self.take(|ledger, entry| {
            if let (Some(ledger), Purpose::Destroy(session)) = (ledger, entry.purpose) {
                ledger.free(session);
            }
        });
        result
    }

    /// Wipes the block, takes what is wanted from the slot, and passes the slot on.
    #[inline(always)]
    fn take<R>(self, f: impl FnOnce(Option<&mut Ledger>, &mut Slot<P>) -> R) -> R {
        debug_assert!(self.word.is(State::Completed));
        let Self {
            queue,
            slot,
            inline_bytes,
            ..
        } = self;
        core::mem::forget(self);
        queue
            .shared
            .blocks
            .block(slot)
            .wipe_inline(usize::from(inline_bytes));
        let (taken, is_free) = queue.guarded.with(|guarded| {
            let entry = &mut guarded.slots[usize::from(slot)];
            let taken = f(guarded.ledger.as_mut(), entry);
            (taken, guarded.try_set_free(&queue.shared, slot))
        });
        if !is_free {
            queue.give_back(slot);
        }
        taken
    }
}

impl<P: Platform> Drop for InFlight<'_, P> {
    #[inline(always)]
    fn drop(&mut self) {
        self.abandon();
    }
}

impl<P: Platform> InFlight<'_, P> {
    /// Leaves the request to the device.
    #[cold]
    fn abandon(&mut self) {
        let mut batch = Batch::default();
        let (waker, is_answered) = self.queue.guarded.with(|guarded| {
            guarded.stats.abandoned += 1;
            let word = self.word;
            let entry = &mut guarded.slots[usize::from(self.slot)];
            let waker = entry.waker.take();
            if word.is(State::Submitted) {
                word.set(State::Orphaned);
                return (waker, false);
            }
            if let Purpose::Create(_) | Purpose::Destroy(_) = entry.purpose {
                // Answered, and nobody took the answer: as if it were answered now.
                guarded.settle_orphan(
                    &self.queue.shared,
                    self.slot,
                    word.written_bytes(),
                    &mut batch,
                );
                return (waker, false);
            }
            word.set(State::Emptying);
            (waker, true)
        });
        if is_answered {
            self.queue.empty(self.slot);
            self.queue.give_back(self.slot);
        }
        self.queue.reap();
        self.queue.finish(&mut batch);
        drop(waker);
    }
}
