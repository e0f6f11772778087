//! One virtqueue with its slots behind the interrupt-disabling lock: reserve, publish, drain.
//!
//! A request goes `reserve` (first come first served) -> the slot's block is filled, without the
//! lock, which nobody else can see -> `publish` (under the lock: record, then make available, then
//! decide the kick) -> the doorbell, without the lock. What is short goes all that way in one hold
//! of the lock, where nothing is in its way (`opening`, `sending`). A completion comes back through
//! `interrupt`, called by the handler or by who looks, which moves the slot on under the lock and
//! wakes outside of it.

mod accounting;
mod block;
mod buffers;
mod closing;
mod ending;
mod framing;
mod in_flight;
mod kicks;
mod layout;
mod lending;
mod opening;
mod passing;
mod polling;
mod readiness;
mod reserved;
mod sending;
mod sessions;
mod slot;
mod state;
mod wait;

use alloc::sync::Arc;

use self::{
    accounting::Accounting,
    block::Blocks,
    kicks::Deferring,
    layout::Size,
    sessions::Ledger,
    slot::{NONE, Slot, Word},
    state::{Guarded, Shared, keep_reason},
};
pub(crate) use self::{
    block::{ANSWER, ANSWER_LEN, Block, INLINE, INLINE_LEN, MAX_SEGMENTS, NO_ANSWER},
    buffers::{Buffers, List, joined},
    closing::{Closing, Watch},
    framing::Fields,
    in_flight::InFlight,
    kicks::{Deferred, Place},
    layout::Layout,
    reserved::{Intent, Reserved, Submission},
    sessions::{SessionIndex, SessionTable},
    slot::Batch,
    wait::Reserve,
};
pub use self::{framing::Framing, kicks::begin_wait, readiness::WhenNotReady};
use crate::{
    Error, Platform,
    dma::GivenUp,
    error::DeviceFault,
    heap::boxed,
    stats::QueueStats,
    sync::{
        IrqMutex,
        atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering},
        run_all,
    },
    transport::{Doorbell, QueueAddresses},
    virtqueue::SplitQueue,
};

/// `guarded.ended` is set.
const ENDED: u8 = 1;
/// No interrupt comes: whoever waits drains.
const POLLED: u8 = 2;

/// One virtqueue with its slots.
#[derive(Debug)]
pub(crate) struct Queue<P: Platform> {
    guarded: IrqMutex<P, Guarded<P>>,
    shared: Shared<P>,
    /// What a poll of a request in flight has to know, for a look without the lock: [`ENDED`],
    /// [`POLLED`].
    special: AtomicU8,
    doorbell: Doorbell,
    addresses: QueueAddresses,
    entries: u16,
    max_segments: u16,
    /// Chains are in indirect tables, one a slot, and compact: what nearly all are.
    is_plain: bool,
    framing: Framing,
    /// The device may touch the queue's memory and whatever is in flight.
    lent: AtomicBool,
    /// What the device has been left for good.
    given_up: Arc<GivenUp>,
    /// Counted without the lock: the first poll after a publish does not take it.
    pending_polls: AtomicU64,
}

/// What a look at the used ring found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Used elements that it took.
    pub(crate) drained: u32,
    /// A credit that it spent.
    pub(crate) spent: bool,
    /// The batch was full before the ring was empty.
    pub(crate) more: bool,
    /// The queue has ended.
    pub(crate) ended: bool,
    /// It has ended just now, by a breakage: everybody who waits is to be told.
    pub(crate) broke: bool,
}

impl<P: Platform> Queue<P> {
    /// Makes an empty queue; the device does not know of it yet.
    pub(crate) fn new(
        layout: Layout,
        sessions: Arc<SessionTable>,
        doorbell: Doorbell,
        given_up: Arc<GivenUp>,
    ) -> Result<Self, Error> {
        let Size {
            entries,
            slots,
            stride,
            max_segments,
        } = layout.size()?;
        let mut ring = SplitQueue::new(entries, layout.event_index)?;
        let blocks = Blocks::new(slots)?;
        if layout.indirect {
            // Once and for all: descriptor and slot have the same number.
            for slot in 0..slots {
                let table = blocks.block(slot).table_address();
                ring.write_indirect(slot, table, max_segments.into());
            }
        }
        let addresses = ring.addresses();
        let next = |slot: u16| if slot + 1 < slots { slot + 1 } else { NONE };
        let ledger = match layout.sessions {
            0 => None,
            sessions => Some(Ledger::new(sessions)?),
        };
        let guarded = Guarded {
            ring,
            slots: boxed((0..slots).map(|slot| Slot::new(next(slot))))?,
            stride,
            is_plain: layout.is_plain(),
            framing: layout.framing,
            free: 0,
            reapable: NONE,
            in_flight: 0,
            waiters: pin_list::PinList::new(pin_list::id::Checked::new()),
            accounting: Accounting::new(layout.event_index),
            ledger,
            closed: None,
            ended: None,
            is_ready: true,
            sends: true,
            when_not_ready: layout.when_not_ready,
            deferring: Deferring::new(),
            pollers: 0,
            stats: QueueStats::default(),
        };
        let words = boxed((0..slots).map(|_| Word::new()))?;
        let name = if layout.sessions > 0 {
            "control queue"
        } else {
            "data queue"
        };
        Ok(Self {
            guarded: IrqMutex::new(name, guarded),
            shared: Shared {
                words,
                blocks,
                sessions,
            },
            special: AtomicU8::new(0),
            doorbell,
            addresses,
            entries,
            max_segments,
            is_plain: layout.is_plain(),
            framing: layout.framing,
            lent: AtomicBool::new(false),
            given_up,
            pending_polls: AtomicU64::new(0),
        })
    }

    pub(crate) fn addresses(&self) -> QueueAddresses {
        self.addresses
    }

    pub(crate) fn entries(&self) -> u16 {
        self.entries
    }

    /// Returns how many requests there is room for at a time.
    pub(crate) fn slots(&self) -> usize {
        self.shared.words.len()
    }

    /// Takes what the device has used, on behalf of an interrupt, which spends a credit if `spend` says so,
    /// or of a caller that looks. Who calls this hands the batch to [`finish`](Self::finish), and sees to
    /// what the answer says.
    #[inline(never)]
    pub(crate) fn interrupt(&self, batch: &mut Batch, spend: bool) -> Answer {
        let mut answer = Answer::default();
        self.guarded.with(|guarded| {
            // Of a queue that has ended the ring no longer counts; what was owed still does.
            answer.ended = guarded.ended.is_some();
            if !answer.ended
                && let Err(breakage) = guarded.drain(&self.shared, batch, &mut answer)
            {
                self.mark_broken(guarded, breakage, &mut answer);
            }
            answer.spent = spend && guarded.accounting.spend();
        });
        answer
    }

    /// Like [`interrupt`](Self::interrupt), spending a credit, for the one place that nearly all
    /// interrupts come by: how many elements it took, and whether it spent one.
    ///
    /// # Errors
    ///
    /// The whole answer, where there is more to it.
    #[inline(always)]
    pub(crate) fn interrupt_in_place(&self, batch: &mut Batch) -> Result<(u32, bool), Answer> {
        self.guarded.with(|guarded| {
            let mut answer = Answer::default();
            let outcome = match guarded.ended {
                None => Some(guarded.drain(&self.shared, batch, &mut answer)),
                Some(_) => None,
            };
            match outcome {
                Some(Ok(())) if !answer.more => Ok((answer.drained, guarded.accounting.spend())),
                rest => Err(self.answer_rest(guarded, rest, answer)),
            }
        })
    }

    /// Completes an answer that [`interrupt_in_place`](Self::interrupt_in_place) begins; `None` of
    /// a queue that had ended.
    #[cold]
    #[inline(never)]
    fn answer_rest(
        &self,
        guarded: &mut Guarded<P>,
        drained: Option<Result<(), DeviceFault>>,
        mut answer: Answer,
    ) -> Answer {
        match drained {
            None => answer.ended = true,
            Some(Ok(())) => {}
            Some(Err(breakage)) => self.mark_broken(guarded, breakage, &mut answer),
        }
        answer.spent = guarded.accounting.spend();
        answer
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

    /// The device has broken the rules: nothing more is taken from the ring, from under this lock on.
    #[cold]
    fn mark_broken(&self, guarded: &mut Guarded<P>, breakage: DeviceFault, answer: &mut Answer) {
        guarded.end(Error::Broken(breakage));
        self.special.fetch_or(ENDED, Ordering::Release);
        (answer.ended, answer.broke) = (true, true);
    }

    /// Ends the queue as [`end`](Self::end) does, unless the device has requests, or sessions still wait for
    /// their end: `false` then. In one go, so that nothing is sent between.
    pub(crate) fn end_if_idle(&self, error: Error) -> bool {
        let is_ended = self.guarded.with(|guarded| {
            let is_ended = guarded.ended.is_some() || !guarded.is_busy();
            if is_ended {
                guarded.end(error);
            }
            is_ended
        });
        if is_ended {
            // Release: as in `end`.
            self.special.fetch_or(ENDED, Ordering::Release);
        }
        is_ended
    }

    /// Ends the queue, for whoever looks; [`tell`](Self::tell) then wakes. What is in flight stays in its
    /// slots. The first reason counts, but for a shutdown, which is the last.
    pub(crate) fn end(&self, error: Error) {
        // In one go: nothing is published on a queue that has ended.
        self.guarded.with(|guarded| guarded.end(error));
        // Release: pairs with the acquire in `ended`. A waiter that reads `false` there has left its
        // waker under the lock, at its publish or by its poll, where `tell` finds it.
        self.special.fetch_or(ENDED, Ordering::Release);
    }

    /// Gives out no more slots, and tells those who wait for one. What is in flight goes on.
    pub(crate) fn close(&self, error: Error) {
        let kick = self.guarded.with(|guarded| {
            keep_reason(&mut guarded.closed, error);
            // Kicks are put off no more.
            guarded.sends && guarded.decide_kick()
        });
        if kick {
            self.doorbell.ring();
        }
        self.tell();
    }

    /// Wakes those who wait in vain: for a slot of a queue that is closed; for anything, of one that has
    /// ended. One pass, which a waker that polls at once does not make longer: nobody begins to wait for
    /// what will not come.
    pub(crate) fn tell(&self) {
        let mut from = 0;
        run_all(|| {
            let mut batch = Batch::default();
            let collect = |guarded: &mut Guarded<P>| guarded.collect_waiters(&mut from, &mut batch);
            let more = self.guarded.with(collect);
            batch.wake_all();
            more
        });
    }

    /// Tells whether the device has requests, or sessions still wait for their end.
    pub(crate) fn is_busy(&self) -> bool {
        self.guarded.with(|guarded| guarded.is_busy())
    }

    /// Returns why nothing goes on any more; for the common `None` without the lock.
    #[inline]
    pub(crate) fn ended(&self) -> Option<Error> {
        // Acquire: pairs with the release in `end`.
        if self.special.load(Ordering::Acquire) & ENDED == 0 {
            return None;
        }
        self.guarded.with(|guarded| guarded.ended)
    }

    /// So many queues have the queue's vector, itself included.
    pub(crate) fn share_vector(&self, queues: usize) {
        let queues = u16::try_from(queues).unwrap_or(u16::MAX);
        self.guarded
            .with(|guarded| guarded.accounting.share_vector(queues));
    }

    /// The queue's vector is about to move to another CPU.
    pub(crate) fn move_vector(&self) {
        self.guarded
            .with(|guarded| guarded.accounting.move_vector());
    }

    /// Takes over what a queue that was here before a reset is owed in interrupts.
    pub(crate) fn inherit_credit(&self, credit: u16) {
        self.guarded
            .with(|guarded| guarded.accounting.inherit(credit));
    }

    /// Spends a credit for an interrupt of a queue that is no more, if there is one.
    pub(crate) fn spend_for_another(&self) -> bool {
        self.guarded.with(|guarded| guarded.accounting.spend())
    }

    /// Forgets what is owed in interrupts, if nothing is in flight and no message can arrive any more
    /// (see [`Accounting::settle`]).
    pub(crate) fn settle(&self, now_ns: u64, travel_ns: u64) -> bool {
        self.guarded
            .with(|guarded| guarded.in_flight == 0 && guarded.accounting.settle(now_ns, travel_ns))
    }

    /// Messages of the queue travel by themselves.
    pub(crate) fn let_messages_travel(&self) {
        self.guarded
            .with(|guarded| guarded.accounting.let_messages_travel());
    }

    pub(crate) fn stats(&self) -> QueueStats {
        self.guarded.with(|guarded| QueueStats {
            in_flight: guarded.in_flight.into(),
            published: guarded.accounting.published(),
            interrupt_credit: guarded.accounting.credit(),
            pending_polls: self.pending_polls.load(Ordering::Relaxed),
            ..guarded.stats
        })
    }

    #[cfg(all(test, not(loom)))]
    pub(crate) fn free_slots(&self) -> usize {
        let words = self.shared.words.iter();
        words.filter(|word| word.is(slot::State::Free)).count()
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
