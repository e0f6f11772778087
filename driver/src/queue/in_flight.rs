//! A request in flight: waiting for its completion, reading its answer and passing its slot on.
//!
//! The one rule: nothing of an answer counts before it has been checked, and the block is wiped
//! before the slot is passed on.

use core::task::{Context, Poll, Waker};

use super::{
    Queue,
    batch::Batch,
    block::{BadAnswer, Block, StatusAt},
    body::Extent,
    buffers::Buffers,
    ledger::Ledger,
    opened::Opened,
    sessions::SessionIndex,
    slot::{Purpose, Slot, State, Word},
};
use crate::{Error, Platform, sync::atomic::Ordering};

/// What the first poll of a request that was sent has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FirstPoll {
    /// Nothing: the slot has the waker of the task that polls next.
    WakerRecorded,
    /// Leave a waker with the slot.
    NeedsWaker,
}

/// A request that the device has. Dropping it leaves everything with the slot, as an orphan.
#[derive(Debug)]
pub(crate) struct InFlight<'q, P: Platform> {
    queue: &'q Queue<P>,
    word: &'q Word,
    slot: u16,
    extent: Extent,
    /// The waker of the first poll was recorded when the request was sent.
    waker_is_recorded: bool,
}

/// The queue has ended with a request in flight. Only the conversion into [`Error`] looks up the
/// reason, so a poll returns one word.
#[derive(Debug)]
pub(crate) struct Ended<'q, P: Platform>(&'q Queue<P>);

impl<P: Platform> From<Ended<'_, P>> for Error {
    #[cold]
    #[inline(never)]
    fn from(ended: Ended<'_, P>) -> Self {
        // Under the lock, as `leave_waker` saw it: `Queue::ended` may not tell of it yet.
        let reason = ended.0.with(|guarded| guarded.ended);
        reason.unwrap_or(Self::ShutDown)
    }
}

impl<P: Platform> Queue<P> {
    /// Notifies the device of a request that was sent, if that is due. The slot is the device's by
    /// now, so a doorbell that panics leaves an orphan.
    #[inline(always)]
    pub(super) fn sent<'q>(
        &'q self,
        (slot, word): (u16, &'q Word),
        extent: Extent,
        first_poll: FirstPoll,
        kick: bool,
    ) -> InFlight<'q, P> {
        let in_flight = InFlight {
            queue: self,
            word,
            slot,
            extent,
            waker_is_recorded: first_poll == FirstPoll::WakerRecorded,
        };
        if kick {
            self.ring_doorbell();
        }
        in_flight
    }
}

impl<'q, P: Platform> InFlight<'q, P> {
    /// Polls like [`poll`](Self::poll) in the common case. `None` if the queue has ended, no
    /// interrupt comes, or a waker has to be left.
    #[inline(always)]
    pub(crate) fn poll_fast(&mut self) -> Option<Poll<Result<(), Ended<'q, P>>>> {
        if self.word.is(State::Completed) {
            return Some(Poll::Ready(Ok(())));
        }
        // Acquire: as in `Queue::ended`.
        let is_plain = self.queue.poll_flags.load(Ordering::Acquire) == 0;
        if !is_plain || !core::mem::take(&mut self.waker_is_recorded) {
            return None;
        }
        self.queue.pending_polls.fetch_add(1, Ordering::Relaxed);
        Some(Poll::Pending)
    }

    /// Tells whether the device has used the request. If it has not, the completion wakes the
    /// context's waker.
    ///
    /// # Errors
    ///
    /// [`Ended`] if the queue has ended with this request in flight.
    #[inline]
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Ended<'q, P>>> {
        if self.word.is(State::Completed) {
            return Poll::Ready(Ok(()));
        }
        if self.queue.ended().is_some() {
            return Poll::Ready(Err(Ended(self.queue)));
        }
        if !core::mem::take(&mut self.waker_is_recorded)
            && let Poll::Ready(outcome) = self.leave_waker(context)
        {
            return Poll::Ready(outcome);
        }
        self.queue.pending_polls.fetch_add(1, Ordering::Relaxed);
        Poll::Pending
    }

    /// Leaves the context's waker with the slot, unless there is nothing to wait for any more.
    #[cold]
    fn leave_waker(&self, context: &Context<'_>) -> Poll<Result<(), Ended<'q, P>>> {
        // A common second poll clones nothing; clones and drops happen without the lock.
        let mut spare: Option<Waker> = None;
        loop {
            let (outcome, kick) = self.queue.with(|guarded| {
                if self.word.is(State::Completed) {
                    return (Some(Poll::Ready(Ok(()))), false);
                }
                if guarded.ended.is_some() {
                    return (Some(Poll::Ready(Err(Ended(self.queue)))), false);
                }
                let kick = guarded.decide_kick_before_wait();
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
                self.queue.ring_doorbell();
            }
            match outcome {
                Some(outcome) => return outcome,
                None => spare = Some(context.waker().clone()),
            }
        }
    }

    /// Returns how many bytes the device says that it wrote, which may be more than it was given.
    /// To be called after `poll` was ready.
    #[inline]
    pub(crate) fn written_bytes(&self) -> u32 {
        self.word.written_bytes()
    }

    #[inline]
    fn block(&self) -> Block<'q> {
        self.queue.shared.blocks.block(self.slot)
    }

    /// Checks the answer to a data request after `poll` was ready: that there is one, that its
    /// status is OK, and that all of the output was written.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`], [`Error::ShortAnswer`]: nothing of the output counts.
    #[inline(always)]
    pub(crate) fn check(&self) -> Result<(), Error> {
        self.check_output(self.extent.output_len_bytes)
    }

    /// Like [`check`](Self::check), for an output whose length is up to the device; returns that
    /// length.
    pub(crate) fn check_up_to(&self) -> Result<usize, Error> {
        self.check_output(0)?;
        let len_bytes = self.written_bytes().saturating_sub(1);
        Ok(len_bytes.min(self.extent.output_len_bytes) as usize)
    }

    #[inline(always)]
    fn check_output(&self, len_bytes: u32) -> Result<(), Error> {
        Ok(self.check_answer(len_bytes + 1)?)
    }

    #[inline(always)]
    fn check_answer(&self, expected_bytes: u32) -> Result<(), BadAnswer> {
        let status_at = StatusAt::behind(self.extent.inline_bytes);
        self.block()
            .check_answer(status_at, self.written_bytes(), expected_bytes)
    }

    /// Reads the output of a request whose output is inline, from byte `from` on.
    #[inline(always)]
    pub(crate) fn read_output(&self, from: usize, bytes: &mut [u8]) {
        let Extent {
            inline_bytes,
            output_len_bytes,
        } = self.extent;
        debug_assert!(from + bytes.len() <= output_len_bytes as usize);
        let output_at = usize::from(inline_bytes) - output_len_bytes as usize;
        self.block().read_inline(output_at + from, bytes);
    }

    /// Reads the result, the last that the device writes before the status.
    pub(crate) fn read_result(&self, result: &mut [u8]) {
        let result_at = usize::from(self.extent.inline_bytes) - result.len();
        self.block().read_inline(result_at, result);
    }

    /// Ends the request after `poll` was ready, gives `buffers` back and returns `outcome`. After
    /// an error the buffers are wiped wherever the device has written (half an answer is none) and
    /// `result` is unchanged. Else `result` gets what the device wrote behind the destination.
    /// Spilled parts are wiped and freed.
    #[inline]
    pub(crate) fn finish_with_buffers<T>(
        self,
        outcome: Result<T, Error>,
        buffers: &mut Buffers<P>,
        result: &mut [u8],
    ) -> Result<T, Error> {
        let is_good = outcome.is_ok();
        // If the result was spilled, nothing is inline.
        if is_good && usize::from(self.extent.inline_bytes) >= result.len() {
            self.read_result(result);
        }
        *buffers = self.take(|_, entry| core::mem::take(&mut entry.buffers));
        if !is_good {
            buffers.wipe_destinations();
        }
        let spilled = buffers.spilled.take();
        if is_good
            && let Some(spilled) = spilled.and_then(|spilled| spilled.result)
            && let Some(spilled) = spilled.get(..result.len())
        {
            result.copy_from_slice(spilled);
        }
        outcome
    }

    /// Ends a request without buffers after `poll` was ready.
    #[inline(always)]
    pub(crate) fn finish(self) {
        self.take(|_, entry| debug_assert!(entry.buffers.is_none()));
    }

    /// Ends a request after `poll` was ready and puts its output in the place of `data`: the end of
    /// the fast path. An [`Error`] is made off that path.
    ///
    /// # Errors
    ///
    /// Those of [`check`](Self::check); `data` is unchanged then.
    #[inline(always)]
    pub(crate) fn finish_in_place(self, data: &mut [u8]) -> Result<(), Error> {
        if let Err(bad) = self.check_answer(self.extent.output_len_bytes + 1) {
            return Err(self.refuse(bad));
        }
        self.read_output(0, data);
        self.finish();
        Ok(())
    }

    /// Ends a request whose answer is bad, and says why.
    #[cold]
    #[inline(never)]
    fn refuse(self, bad: BadAnswer) -> Error {
        self.finish();
        bad.into()
    }

    /// Ends a *create* after `poll` was ready; returns the session, or why there is none.
    #[inline(always)]
    pub(crate) fn take_session(self) -> Result<SessionIndex, Error> {
        let queue = self.queue;
        let Some(id) = self.block().session_id(self.written_bytes()) else {
            return Err(self.refuse_session());
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
            Some(queue.open_session(session, id))
        });
        session.map(Opened::into_index).ok_or(Error::ShutDown)
    }

    /// Ends a *create* whose answer brings no session, and says why.
    #[cold]
    #[inline(never)]
    fn refuse_session(self) -> Error {
        let error = self.block().why_not_created(self.written_bytes());
        // A long key is dropped here, without the lock.
        drop(self.take(|ledger, entry| {
            if let (Some(ledger), Purpose::Create(session)) = (ledger, entry.purpose) {
                ledger.free(session);
            }
            core::mem::take(&mut entry.buffers)
        }));
        error
    }

    /// Ends a *destroy* after `poll` was ready; returns what the device answered.
    #[inline(always)]
    pub(crate) fn take_destroyed(self) -> Result<(), BadAnswer> {
        let checked = self.block().check_destroyed(self.written_bytes());
        self.take(|ledger, entry| {
            if let (Some(ledger), Purpose::Destroy(session)) = (ledger, entry.purpose) {
                ledger.free(session);
            }
        });
        checked
    }

    /// Wipes the block, runs `f` on the slot, and passes the slot on.
    #[inline(always)]
    fn take<R>(self, f: impl FnOnce(Option<&mut Ledger>, &mut Slot<P>) -> R) -> R {
        debug_assert!(self.word.is(State::Completed));
        let Self {
            queue,
            word,
            slot,
            extent,
            ..
        } = self;
        core::mem::forget(self);
        queue
            .shared
            .blocks
            .block(slot)
            .wipe_inline(usize::from(extent.inline_bytes));
        let (taken, is_free) = queue.with(|guarded| {
            let entry = &mut guarded.slots[usize::from(slot)];
            let taken = f(guarded.ledger.as_mut(), entry);
            (taken, guarded.try_set_free(word, slot))
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
        let (waker, is_answered) = self.queue.with(|guarded| {
            guarded.stats.abandoned += 1;
            let word = self.word;
            let entry = &mut guarded.slots[usize::from(self.slot)];
            let waker = entry.waker.take();
            if word.is(State::Submitted) {
                word.set(State::Orphaned);
                return (waker, false);
            }
            if let Purpose::Create(_) | Purpose::Destroy(_) = entry.purpose {
                // Completed, and nobody has taken the answer: settled as if it completed now.
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
        // First what the device has to hear of: whoever is woken by the other may panic.
        self.queue.finish(&mut batch);
        self.queue.reap();
        drop(waker);
    }
}
