//! One virtqueue with its slots, behind the lock that masks interrupts: reserve, submit, drain.
//!
//! A request goes down like this:
//!
//! ```text
//! Queue::reserve            a slot, first come first served            (waiting, guarded/passing)
//! Reserved::submit          fills the slot's block, without the lock   (reserved, body, framing)
//! Guarded::make_available   records the request, under the lock        (guarded)
//! SplitQueue::publish       the device can see it from here on         (virtqueue)
//! Guarded::decide_kick      whether to notify the device               (guarded/kicks)
//! Doorbell::ring            without the lock                           (transport)
//! ```
//!
//! What is short goes all that way in one hold of the lock, where nothing is in its way (`fast`). A
//! completion comes back by `Queue::drain` (`draining`, `guarded/drain`): it moves the slot on
//! under the lock, and wakes without it. `InFlight` polls, reads the answer and passes the slot on.
//!
//! The rule of this room: it alone knows where bytes lie in a slot's block (`block`, `body`,
//! `framing`). Everybody else hands in parts and lengths, and takes out output, result and answer.

mod accounting;
mod batch;
mod block;
mod body;
mod buffers;
mod closing;
mod deferral;
mod destroys;
mod draining;
mod ending;
mod fast;
mod framing;
mod guarded;
mod in_flight;
mod kicks;
mod layout;
mod ledger;
mod lending;
mod readiness;
mod reserved;
mod sessions;
mod slot;
mod waiting;

use alloc::sync::Arc;

use self::{
    accounting::Accounting,
    block::Blocks,
    deferral::Deferring,
    guarded::{Guarded, Shared},
    layout::Size,
    ledger::Ledger,
    slot::{NONE, Slot, Word},
};
pub(crate) use self::{
    batch::Batch,
    block::INLINE_LEN,
    body::{Body, Inline},
    buffers::{Buffers, List, len_bytes},
    closing::CloseWatch,
    deferral::Place,
    guarded::DrainReport,
    in_flight::{Ended, InFlight},
    kicks::Deferred,
    layout::Layout,
    reserved::Reserved,
    sessions::{SessionIndex, SessionTable},
    waiting::Reserve,
};
pub use self::{deferral::begin_wait, framing::Framing, layout::WhenNotReady};
use crate::{
    Error, Platform,
    dma::GivenUp,
    heap::boxed,
    stats::QueueStats,
    sync::{
        IrqMutex,
        atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering},
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
    poll_flags: AtomicU8,
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
    /// Counted without the lock: the first poll of a request that was sent does not take it.
    pending_polls: AtomicU64,
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
            poll_flags: AtomicU8::new(0),
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

    /// Forgets what is owed in interrupts, if nothing is in flight and no message can arrive any
    /// more (see [`Accounting::settle`]).
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
