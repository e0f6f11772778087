//! One virtqueue with its slots behind the interrupt-disabling lock: reserve, publish, drain.
//!
//! A request goes `reserve` (first come first served) -> the slot's block is filled, without the
//! lock, which nobody else can see -> `publish` (under the lock: record, then make available, then
//! decide the kick) -> the doorbell, without the lock. Its completion comes back through `drain`,
//! called by the interrupt or by a poller, which moves the slot on under the lock and wakes
//! outside of it.

mod accounting;
mod block;
mod sessions;
mod slot;
mod state;
mod wait;

use alloc::{boxed::Box, sync::Arc};
use core::task::{Context, Poll, Waker};

use self::{
    accounting::Accounting,
    block::Blocks,
    sessions::Ledger,
    slot::{NONE, Purpose, Slot, State, Word},
    state::{Guarded, Shared},
};
pub(crate) use self::{
    block::{ANSWER, ANSWER_LEN, Block, HEADER, HEADER_LEN, INLINE, INLINE_LEN, MAX_SEGMENTS},
    sessions::{SessionIndex, SessionTable},
    slot::Batch,
};
use crate::{
    Error, Platform,
    dma::DmaBuffer,
    stats::QueueStats,
    sync::{
        IrqMutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    transport::{Doorbell, QueueAddresses, QueueIndex},
    virtqueue::{Segment, SplitQueue},
};

/// A buffer or two that a request holds.
pub(crate) type Buffers<P> = [Option<DmaBuffer<P>>; 2];

/// How a queue is laid out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    pub(crate) queue: QueueIndex,
    /// Entries that the device allows.
    pub(crate) max_entries: u16,
    /// Slots that the caller wants.
    pub(crate) slots: u16,
    pub(crate) indirect: bool,
    pub(crate) event_index: bool,
    /// Sessions whose places this queue keeps; 0 for a data queue.
    pub(crate) sessions: u16,
}

/// One virtqueue with its slots.
#[derive(Debug)]
pub(crate) struct Queue<P: Platform> {
    guarded: IrqMutex<P, Guarded<P>>,
    shared: Shared<P>,
    /// `guarded.ended` is set: for a look without the lock.
    ended: AtomicBool,
    doorbell: Doorbell,
    addresses: QueueAddresses,
    entries: u16,
    /// The device may touch the queue's memory and whatever is in flight.
    lent: AtomicBool,
    /// Counted without the lock: the first poll after a publish does not take it.
    pending_polls: AtomicU64,
}

/// What an interrupt found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Used elements that it took.
    pub(crate) drained: u32,
    /// A credit that it spent.
    pub(crate) spent: bool,
}

impl<P: Platform> Queue<P> {
    /// Makes an empty queue; the device does not know of it yet.
    pub(crate) fn new(
        layout: Layout,
        sessions: Arc<SessionTable>,
        doorbell: Doorbell,
    ) -> Result<Self, Error> {
        let Layout {
            queue,
            max_entries,
            indirect,
            event_index,
            ..
        } = layout;
        if max_entries == 0 {
            return Err(Error::QueueMissing { queue });
        }
        let stride = if indirect { 1 } else { MAX_SEGMENTS as u16 };
        // A device's limit need not be a power of two; a split ring's size has to be (2.7).
        let largest = 1 << max_entries.ilog2();
        let wanted = layout.slots.max(1).saturating_mul(stride);
        let entries = wanted
            .checked_next_power_of_two()
            .unwrap_or(largest)
            .min(largest);
        let slots = (entries / stride).min(layout.slots.max(1));
        // An indirect table may not be longer than the queue (2.7.5.3.1).
        let needed = MAX_SEGMENTS as u16;
        if slots == 0 || entries < needed && largest < needed {
            return Err(Error::QueueTooSmall {
                queue,
                entries: max_entries,
                needed,
            });
        }
        let entries = entries.max(needed);

        let ring = SplitQueue::new(entries, event_index)?;
        let addresses = ring.addresses();
        let next = |slot: u16| if slot + 1 < slots { slot + 1 } else { NONE };
        let guarded = Guarded {
            ring,
            slots: (0..slots).map(|slot| Slot::new(next(slot))).collect(),
            stride,
            free: 0,
            reapable: NONE,
            in_flight: 0,
            waiters: pin_list::PinList::new(pin_list::id::Checked::new()),
            accounting: Accounting::new(event_index),
            ledger: (layout.sessions > 0).then(|| Ledger::new(layout.sessions)),
            closed: None,
            ended: None,
            deferring: 0,
            polled: false,
            stats: QueueStats::default(),
        };
        let words: Box<[Word]> = (0..slots).map(|_| Word::new()).collect();
        let name = if layout.sessions > 0 {
            "control queue"
        } else {
            "data queue"
        };
        Ok(Self {
            guarded: IrqMutex::new(name, guarded),
            shared: Shared {
                words,
                blocks: Blocks::new(slots)?,
                sessions,
            },
            ended: AtomicBool::new(false),
            doorbell,
            addresses,
            entries,
            lent: AtomicBool::new(false),
            pending_polls: AtomicU64::new(0),
        })
    }

    pub(crate) fn addresses(&self) -> QueueAddresses {
        self.addresses
    }

    pub(crate) fn entries(&self) -> u16 {
        self.entries
    }

    /// The device is about to learn where the queue lies.
    pub(crate) fn lend(&self) {
        self.lent.store(true, Ordering::Relaxed);
    }

    /// The device has confirmed its reset and can be trusted to have let go of everything.
    pub(crate) fn take_back(&self) {
        self.lent.store(false, Ordering::Relaxed);
    }

    /// No interrupt will come: asks for none, and leaves draining to those who wait.
    pub(crate) fn set_polled(&self) {
        self.guarded.with(|guarded| {
            guarded.polled = true;
            guarded.ring.suppress_interrupts();
        });
    }

    /// Reserves a slot if one is free and nobody has waited longer.
    pub(crate) fn try_reserve(&self) -> Result<Reserved<'_, P>, Error> {
        self.reap();
        self.guarded.with(
            |guarded| match (guarded.closed, guarded.take_free(&self.shared)) {
                (Some(error), _) => Err(error),
                (None, Some(slot)) => Ok(Reserved { queue: self, slot }),
                (None, None) => Err(Error::QueueFull),
            },
        )
    }

    /// Takes what the device has used; the caller then hands the batch to
    /// [`finish`](Self::finish). `true` when there is more.
    pub(crate) fn drain(&self, batch: &mut Batch) -> bool {
        self.look(batch, false).0
    }

    /// Like [`drain`](Self::drain), for an interrupt, which spends a credit if `spend` says so.
    pub(crate) fn interrupt(&self, batch: &mut Batch, spend: bool) -> (bool, Answer) {
        self.look(batch, spend)
    }

    #[inline]
    fn look(&self, batch: &mut Batch, spend: bool) -> (bool, Answer) {
        let mut answer = Answer {
            drained: 0,
            spent: false,
        };
        let outcome = self.guarded.with(|guarded| {
            if guarded.ended.is_some() {
                // What the ring says no longer counts; what was owed still does.
                answer.spent = spend && guarded.accounting.spend();
                return Ok(false);
            }
            let more = guarded.drain(&self.shared, batch, &mut answer.drained);
            answer.spent = spend && guarded.accounting.spend();
            more
        });
        match outcome {
            Ok(more) => (more, answer),
            Err(breakage) => {
                self.end(Error::Broken(breakage));
                (false, answer)
            }
        }
    }

    /// Does what a batch calls for, without the lock: notify, then wake. The sessions in it are
    /// the caller's to end.
    #[inline]
    pub(crate) fn finish(&self, batch: &mut Batch) {
        if core::mem::take(&mut batch.kick) {
            self.doorbell.ring();
        }
        batch.wake_all();
    }

    /// Ends the queue: everybody who waits, for whatever, is told `error` at once. What is in
    /// flight stays in its slots. The first reason counts.
    pub(crate) fn end(&self, error: Error) {
        self.guarded.with(|guarded| {
            guarded.ended.get_or_insert(error);
        });
        // Release: pairs with the acquire in `poll`. A waiter that reads `false` goes on to look
        // under the lock, so it can never sleep on an ended queue.
        self.ended.store(true, Ordering::Release);
        self.close(error);
    }

    /// Gives out no more slots, and tells those who wait for one. What is in flight goes on.
    pub(crate) fn close(&self, error: Error) {
        self.guarded.with(|guarded| {
            guarded.closed.get_or_insert(error);
        });
        loop {
            let mut batch = Batch::default();
            let more = self
                .guarded
                .with(|guarded| guarded.collect_waiters(&mut batch));
            batch.wake_all();
            if !more {
                break;
            }
        }
    }

    /// Returns how many requests the device has, and whether sessions still wait for their end.
    pub(crate) fn is_busy(&self) -> bool {
        self.guarded.with(|guarded| {
            let waiting = guarded.ledger.as_ref().is_some_and(Ledger::has_backlog);
            guarded.in_flight > 0 || waiting
        })
    }

    /// Returns why nothing goes on any more; for the common `None` without the lock.
    #[inline]
    pub(crate) fn ended(&self) -> Option<Error> {
        // Acquire: pairs with the release in `end`.
        if !self.ended.load(Ordering::Acquire) {
            return None;
        }
        self.guarded.with(|guarded| guarded.ended)
    }

    /// Sends the *destroy* of a session without uses, now or as soon as there is a slot. Any
    /// context.
    pub(crate) fn destroy(&self, session: SessionIndex) {
        let mut batch = Batch::default();
        self.guarded.with(|guarded| {
            let Some(ledger) = &mut guarded.ledger else {
                return;
            };
            ledger.push_backlog(session);
            guarded.start_backlog(&self.shared, &mut batch);
        });
        self.finish(&mut batch);
    }

    /// Sends the *destroy* of a session from before a reset, if there is a place for it.
    pub(crate) fn destroy_stray(&self, id: u64, destroy_opcode: u32) {
        let place = self.with_ledger(Ledger::reserve);
        if let Some(Ok(place)) = place {
            self.shared.sessions.prepare(place, destroy_opcode);
            self.shared.sessions.open(place, id, 0);
            self.destroy(place);
        }
    }

    /// Empties the slots that the device gave back after their caller had gone.
    pub(crate) fn reap(&self) {
        // One lock for the common case: nothing to reap.
        while let Some(slot) = self
            .guarded
            .with(|guarded| guarded.take_reapable(&self.shared))
        {
            self.empty(slot);
        }
    }

    /// Wipes and frees what a slot held, without the lock, and passes the slot on.
    fn empty(&self, slot: u16) {
        let (inline_bytes, buffers) = self.guarded.with(|guarded| {
            let entry = &mut guarded.slots[usize::from(slot)];
            (entry.inline_bytes, core::mem::take(&mut entry.buffers))
        });
        self.shared
            .blocks
            .block(slot)
            .wipe_inline(usize::from(inline_bytes));
        drop(buffers);
        self.give_back(slot);
    }

    fn give_back(&self, slot: u16) {
        let mut batch = Batch::default();
        self.guarded
            .with(|guarded| guarded.give(&self.shared, slot, &mut batch));
        self.finish(&mut batch);
    }

    /// Puts off kicks until as many [`resume_kicks`](Self::resume_kicks).
    pub(crate) fn defer_kicks(&self) {
        self.guarded.with(|guarded| guarded.deferring += 1);
    }

    /// Makes up for the kicks put off, with one.
    pub(crate) fn resume_kicks(&self) {
        let kick = self.guarded.with(|guarded| {
            guarded.deferring -= 1;
            guarded.decide_kick()
        });
        if kick {
            self.doorbell.ring();
        }
    }

    /// Forgets what is owed in interrupts, if nothing is in flight.
    pub(crate) fn settle(&self) -> bool {
        self.guarded.with(|guarded| {
            let idle = guarded.in_flight == 0;
            if idle {
                guarded.accounting.settle();
            }
            idle
        })
    }

    pub(crate) fn stats(&self) -> QueueStats {
        self.guarded.with(|guarded| QueueStats {
            in_flight: guarded.in_flight,
            published: guarded.accounting.published(),
            interrupt_credit: guarded.accounting.credit(),
            pending_polls: self.pending_polls.load(Ordering::Relaxed),
            ..guarded.stats
        })
    }

    /// Returns how many session places are taken.
    pub(crate) fn sessions_taken(&self) -> usize {
        self.guarded
            .with(|guarded| guarded.ledger.as_ref().map_or(0, Ledger::taken))
    }

    /// Runs `f` on the places of the sessions. `None` for a data queue.
    pub(crate) fn with_ledger<R>(&self, f: impl FnOnce(&mut Ledger) -> R) -> Option<R> {
        self.guarded.with(|guarded| guarded.ledger.as_mut().map(f))
    }
}

impl<P: Platform> Drop for Queue<P> {
    fn drop(&mut self) {
        if self.lent.load(Ordering::Relaxed) {
            self.guarded.with(|guarded| {
                guarded.ring.quarantine();
                for slot in &mut guarded.slots {
                    for buffer in core::mem::take(&mut slot.buffers).into_iter().flatten() {
                        buffer.quarantine();
                    }
                }
            });
            self.shared.blocks.quarantine();
        }
    }
}

/// A slot that a caller has and the device does not know of. Dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Reserved<'q, P: Platform> {
    queue: &'q Queue<P>,
    slot: u16,
}

/// What a request is about to do to the session table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Intent {
    /// Use a session, which the caller holds.
    Data(SessionIndex),
    /// Make one, of a service whose sessions end with this opcode.
    Create {
        /// The opcode.
        destroy_opcode: u32,
    },
}

/// What is sent in a slot, beside the bytes in its block.
#[derive(Debug)]
pub(crate) struct Submission<'a, P: Platform, const N: usize> {
    pub(crate) segments: &'a [Segment; N],
    /// Bytes after the header to wipe afterwards.
    pub(crate) inline_bytes: u16,
    pub(crate) intent: Intent,
    /// Taken, to be held by the slot until the device has used the request; left where they are
    /// if it is not sent.
    pub(crate) buffers: &'a mut Buffers<P>,
    /// Woken when it has: the waker of the task that polls the request next.
    pub(crate) waker: Option<Waker>,
}

impl<'q, P: Platform> Reserved<'q, P> {
    /// Returns the slot's device memory, for filling.
    #[inline]
    pub(crate) fn block(&self) -> Block<'q> {
        self.queue.shared.blocks.block(self.slot)
    }

    /// Sends the request.
    ///
    /// # Errors
    ///
    /// The reason for which the queue is closed, or that all places for sessions are taken; the
    /// buffers are where they were.
    #[inline]
    pub(crate) fn publish<const N: usize>(
        self,
        submission: Submission<'_, P, N>,
    ) -> Result<InFlight<'q, P>, Error> {
        let Submission {
            segments,
            inline_bytes,
            intent,
            buffers,
            mut waker,
        } = submission;
        let waker_is_left = waker.is_some();
        let Self { queue, slot } = self;
        let block = self.block();
        block.write_table(segments);
        let writable = segments.iter().filter(|segment| segment.writable);
        let writable_bytes = writable.map(|segment| segment.len_bytes).sum();

        let sent = queue.guarded.with(|guarded| {
            if let Some(error) = guarded.closed {
                return Err(error);
            }
            let purpose = match (intent, &mut guarded.ledger) {
                (Intent::Data(session), _) => {
                    queue.shared.sessions.add_use(session);
                    Purpose::Data(session)
                }
                (Intent::Create { destroy_opcode }, Some(ledger)) => {
                    let session = ledger.reserve()?;
                    queue.shared.sessions.prepare(session, destroy_opcode);
                    Purpose::Create(session)
                }
                (Intent::Create { .. }, None) => return Err(Error::TooManySessions { max: 0 }),
            };
            let entry = &mut guarded.slots[usize::from(slot)];
            entry.purpose = purpose;
            entry.writable_bytes = writable_bytes;
            entry.inline_bytes = inline_bytes;
            // A free slot holds nothing, so nothing is dropped here. Swapped only if there is
            // something: most requests have no buffers.
            for (held, given) in entry.buffers.iter_mut().zip(buffers) {
                if given.is_some() {
                    core::mem::swap(held, given);
                }
            }
            core::mem::swap(&mut entry.waker, &mut waker);
            queue.shared.words[usize::from(slot)].set(State::Submitted);
            guarded.publish(&queue.shared, slot, segments);
            Ok(guarded.decide_kick())
        });
        match sent {
            Ok(kick) => {
                core::mem::forget(self);
                if kick {
                    queue.doorbell.ring();
                }
                Ok(InFlight {
                    queue,
                    slot,
                    inline_bytes,
                    waker_is_left,
                })
            }
            Err(error) => {
                block.wipe_inline(usize::from(inline_bytes));
                Err(error)
            }
        }
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
    slot: u16,
    inline_bytes: u16,
    /// The waker of the first poll has been left with the slot when it was published.
    waker_is_left: bool,
}

impl<'q, P: Platform> InFlight<'q, P> {
    fn word(&self) -> &'q Word {
        &self.queue.shared.words[usize::from(self.slot)]
    }

    /// Tells how the request is doing; when it is still in flight, the context's waker is woken at
    /// its end.
    ///
    /// # Errors
    ///
    /// The reason for which the queue has ended, with this request in flight.
    #[inline]
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let word = self.word();
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
    fn leave_waker(&self, context: &Context<'_>) -> Poll<Result<(), Error>> {
        // A common second poll clones nothing; clones and drops happen without the lock.
        let mut spare: Option<Waker> = None;
        loop {
            let outcome = self.queue.guarded.with(|guarded| {
                if self.word().is(State::Completed) {
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

    /// Returns how many bytes the device wrote, clamped to what it was given. Once `poll` was
    /// ready.
    #[inline]
    pub(crate) fn written_bytes(&self) -> u32 {
        self.word().written_bytes()
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
        self.take(|_, entry| debug_assert!(entry.buffers.iter().all(Option::is_none)));
    }

    /// Ends a *create* after `poll` was ready: the session, or why there is none.
    #[inline]
    pub(crate) fn take_session(self) -> Result<SessionIndex, Error> {
        let shared = &self.queue.shared;
        let created = state::created_session(shared, self.slot, self.written_bytes());
        self.take(|ledger, entry| match (entry.purpose, created) {
            (Purpose::Create(session), Ok(id)) => {
                shared.sessions.open(session, id, 1);
                Ok(session)
            }
            (Purpose::Create(session), Err(error)) => {
                if let Some(ledger) = ledger {
                    ledger.free(session);
                }
                Err(error)
            }
            (Purpose::Data(_) | Purpose::Destroy(_), _) => Err(Error::ShutDown),
        })
    }

    /// Wipes the block, takes what is wanted from the slot, and passes the slot on.
    #[inline]
    fn take<R>(self, f: impl FnOnce(Option<&mut Ledger>, &mut Slot<P>) -> R) -> R {
        debug_assert!(self.word().is(State::Completed));
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
        let mut batch = Batch::default();
        let taken = queue.guarded.with(|guarded| {
            let entry = &mut guarded.slots[usize::from(slot)];
            let taken = f(guarded.ledger.as_mut(), entry);
            guarded.give(&queue.shared, slot, &mut batch);
            taken
        });
        queue.finish(&mut batch);
        taken
    }
}

impl<P: Platform> Drop for InFlight<'_, P> {
    fn drop(&mut self) {
        let mut batch = Batch::default();
        let (waker, empty) = self.queue.guarded.with(|guarded| {
            guarded.stats.abandoned += 1;
            let word = self.word();
            let entry = &mut guarded.slots[usize::from(self.slot)];
            let waker = entry.waker.take();
            if word.is(State::Submitted) {
                word.set(State::Orphaned);
                return (waker, false);
            }
            if let Purpose::Create(_) = entry.purpose {
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
