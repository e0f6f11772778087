//! Who holds a slot: a caller that has reserved it, or one whose request is in flight.

use core::task::{Context, Poll, Waker};

use arrayvec::ArrayVec;

use super::{
    Buffers, Queue,
    block::{Block, CREATE_STATUS, INLINE, MAX_SEGMENTS},
    ending::{created_session, destroy_result},
    sessions::{Ledger, SessionIndex},
    slot::{Batch, Purpose, Slot, State, Word},
};
use crate::{Error, Platform, sync::atomic::Ordering, virtqueue::Segment};

/// A slot that a caller has and the device does not know of. Dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Reserved<'q, P: Platform> {
    pub(super) queue: &'q Queue<P>,
    pub(super) slot: u16,
}

/// What a request is about to do to the session table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Intent {
    /// Use a session, which the caller holds.
    Data(SessionIndex),
    /// Bring its own key, and use no session.
    Stateless,
    /// Make one, of a service whose sessions end with this opcode.
    Create {
        /// The opcode.
        destroy_opcode: u32,
    },
}

/// What is sent in a slot, beside the bytes in its block.
#[derive(Debug)]
pub(crate) struct Submission<'a, P: Platform> {
    /// Bytes after the header to wipe afterwards. Right behind them the device writes the status of a
    /// data request.
    pub(crate) inline_bytes: u16,
    pub(crate) intent: Intent,
    /// Taken, to be held by the slot until the device has used the request; left where they are
    /// if it is not sent.
    pub(crate) buffers: Option<&'a mut Buffers<P>>,
    /// Woken when it has: the waker of the task that polls the request next.
    pub(crate) waker: Option<Waker>,
}

impl<'q, P: Platform> Reserved<'q, P> {
    /// Returns the slot's device memory, for filling.
    #[inline]
    pub(crate) fn block(&self) -> Block<'q> {
        self.queue.shared.blocks.block(self.slot)
    }

    /// Returns how many segments a request can have.
    pub(crate) fn max_segments(&self) -> usize {
        usize::from(self.queue.max_segments)
    }

    /// Sends the request, of at most [`max_segments`](Self::max_segments).
    ///
    /// # Errors
    ///
    /// The reason for which the queue is closed, or that all places for sessions are taken; the
    /// buffers are where they were.
    #[inline(always)]
    pub(crate) fn publish(
        self,
        segments: &[Segment],
        mut submission: Submission<'_, P>,
    ) -> Result<InFlight<'q, P>, Error> {
        let Self { queue, slot } = self;
        let inline_bytes = submission.inline_bytes;
        let waker_is_left = submission.waker.is_some();
        let status_at = match submission.intent {
            Intent::Create { .. } => CREATE_STATUS as u16,
            Intent::Data(_) | Intent::Stateless => INLINE as u16 + inline_bytes,
        };
        // A slot that was not sent is given back by the drop.
        if queue.is_indirect {
            // Here and not in `send`: here the compiler knows how many segments there are.
            self.block().write_table(segments);
            queue.send(slot, status_at, &[], &mut submission)?;
        } else {
            // A copy, so that where it is not needed the segments take no memory at all.
            let chain: ArrayVec<_, MAX_SEGMENTS> = segments.iter().copied().collect();
            queue.send(slot, status_at, &chain, &mut submission)?;
        }
        core::mem::forget(self);
        Ok(InFlight {
            queue,
            word: &queue.shared.words[usize::from(slot)],
            slot,
            inline_bytes,
            waker_is_left,
        })
    }
}

impl<P: Platform> Queue<P> {
    /// Sends the request in `slot`, whose block is filled; `chain` goes into the ring itself, where
    /// there are no indirect tables.
    #[inline(never)]
    fn send(
        &self,
        slot: u16,
        status_at: u16,
        chain: &[Segment],
        submission: &mut Submission<'_, P>,
    ) -> Result<(), Error> {
        let sent = self.guarded.with(|guarded| {
            if let Some(error) = guarded.closed {
                return Err(error);
            }
            let purpose = match (submission.intent, &mut guarded.ledger) {
                (Intent::Data(session), _) => {
                    self.shared.sessions.add_use(session);
                    Purpose::Data(session)
                }
                (Intent::Stateless, _) => Purpose::Nothing,
                (Intent::Create { destroy_opcode }, Some(ledger)) => {
                    let session = ledger.reserve()?;
                    self.shared.sessions.prepare(session, destroy_opcode);
                    Purpose::Create(session)
                }
                (Intent::Create { .. }, None) => return Err(Error::TooManySessions { max: 0 }),
            };
            let entry = &mut guarded.slots[usize::from(slot)];
            entry.purpose = purpose;
            entry.status_at = status_at;
            entry.inline_bytes = submission.inline_bytes;
            // A free slot holds nothing, so nothing is dropped here. Swapped only if there is
            // something: most requests have no buffers.
            if let Some(buffers) = &mut submission.buffers
                && !buffers.is_none()
            {
                core::mem::swap(&mut entry.buffers, *buffers);
            }
            core::mem::swap(&mut entry.waker, &mut submission.waker);
            self.shared.words[usize::from(slot)].set(State::Submitted);
            guarded.write_chain(slot, chain);
            guarded.publish(slot);
            Ok(guarded.decide_kick())
        });
        match sent {
            Ok(true) => self.doorbell.ring(),
            Ok(false) => {}
            Err(error) => {
                let block = self.shared.blocks.block(slot);
                block.wipe_inline(usize::from(submission.inline_bytes));
                return Err(error);
            }
        }
        Ok(())
    }
}

impl<P: Platform> Drop for Reserved<'_, P> {
    fn drop(&mut self) {
        self.queue.give_back(self.slot);
    }
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
    /// A request that was sent with the waker of the task that polls it next.
    #[inline]
    pub(super) fn with_waker(queue: &'q Queue<P>, slot: u16, inline_bytes: u16) -> Self {
        Self {
            queue,
            word: &queue.shared.words[usize::from(slot)],
            slot,
            inline_bytes,
            waker_is_left: true,
        }
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
            let outcome = self.queue.guarded.with(|guarded| {
                if self.word.is(State::Completed) {
                    return Some(Poll::Ready(Ok(())));
                }
                if let Some(error) = guarded.ended {
                    return Some(Poll::Ready(Err(error)));
                }
                let kept = &mut guarded.slots[usize::from(self.slot)].waker;
                if kept
                    .as_ref()
                    .is_some_and(|kept| kept.will_wake(context.waker()))
                {
                    return Some(Poll::Pending);
                }
                spare.as_ref()?;
                core::mem::swap(kept, &mut spare);
                Some(Poll::Pending)
            });
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

    /// Ends the request after `poll` was ready, and gives back the buffers.
    #[inline]
    pub(crate) fn finish_with_buffers(self) -> Buffers<P> {
        self.take(|_, entry| core::mem::take(&mut entry.buffers))
    }

    /// Ends a request without buffers after `poll` was ready.
    #[inline]
    pub(crate) fn finish(self) {
        self.take(|_, entry| debug_assert!(entry.buffers.is_none()));
    }

    /// Ends a request whose answer is an error, which it returns.
    #[cold]
    pub(crate) fn refuse(self, error: Error) -> Error {
        drop(self.finish_with_buffers());
        error
    }

    /// Ends a *create* after `poll` was ready: the session, or why there is none.
    #[inline]
    pub(crate) fn take_session(self) -> Result<SessionIndex, Error> {
        let shared = &self.queue.shared;
        let id = match created_session(shared, self.slot, self.written_bytes()) {
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
        let result = destroy_result(&self.queue.shared, self.slot, self.written_bytes());
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
        let (waker, empty) = self.queue.guarded.with(|guarded| {
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
        drop(waker);
        self.queue.finish(&mut batch);
        if empty {
            self.queue.empty(self.slot);
        }
        self.queue.reap();
    }
}
