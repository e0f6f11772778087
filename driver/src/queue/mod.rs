//! One virtqueue with its slots, behind the lock that masks interrupts: reserve, submit, drain.
//!
//! A request goes down like this:
//!
//! ```text
//! Queue::reserve            a slot, first come first served            (waiting, guarded/passing)
//! Reserved::submit          fills the slot's block, without the lock   (reserved, body, framing)
//! Guarded::make_available   records the request, under the lock        (guarded)
//! AvailableHalf::publish    the device can see it from here on         (virtqueue)
//! AvailableHalf::decide_kick, unless this CPU puts off its kicks       (virtqueue, guarded/kicks)
//! Doorbell::ring            without the lock                           (transport)
//! ```
//!
//! A short request takes these steps in one hold of the lock if a slot is free and the queue is
//! open (`fast`). A completion comes back by `Queue::drain` (`draining`, `guarded/drain`), which
//! records it under the lock and wakes without it. `InFlight` then polls, reads the answer and
//! passes the slot on. A queue that is reset by itself is replaced by another one (`replacing`).
//!
//! The one rule: this room alone knows where bytes lie in a slot's block (`block`, `body`,
//! `framing`). Other rooms hand in parts and lengths, and take out output, result and answer.

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
mod opened;
mod readiness;
mod replacing;
mod reserved;
mod sessions;
mod slot;
mod waiting;

use alloc::{boxed::Box, sync::Arc};

use spin::Once;

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
    accounting::Owed,
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
    replacing::MAX_RESETS,
    reserved::Reserved,
    sessions::{SessionIndex, SessionTable},
    waiting::Reserve,
};
pub use self::{deferral::begin_wait, framing::Framing, layout::WhenNotReady};
use crate::{
    Error, Platform,
    dma::{DmaRegion, GivenUp},
    heap::boxed,
    stats::QueueStats,
    sync::{
        IrqMutex,
        atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering},
    },
    transport::{Doorbell, QueueAddresses},
    virtqueue::{Format, Ring, RingLayout, Used},
};

/// `guarded.ended` is set.
const ENDED: u8 = 1;
/// No interrupt comes: each waiting task drains.
const POLLED: u8 = 2;

/// What the queue's lock guards.
#[derive(Debug)]
struct Locked<P: Platform> {
    /// Beside all else: a drain holds it while what it does changes anything else.
    used: Used<DmaRegion<P>>,
    guarded: Guarded<P>,
}

/// One virtqueue with its slots.
#[derive(Debug)]
pub(crate) struct Queue<P: Platform> {
    locked: IrqMutex<P, Locked<P>>,
    shared: Shared<P>,
    /// What the ring lies in.
    ring_memory: DmaRegion<P>,
    /// What a poll of a request in flight reads without the lock: [`ENDED`], [`POLLED`].
    poll_flags: AtomicU8,
    doorbell: Doorbell,
    addresses: QueueAddresses,
    entries: u16,
    max_segments: u16,
    format: Format,
    /// Chains lie in indirect tables, one a slot.
    is_indirect: bool,
    /// A data request that is short may be sent by [`submit_fast`](Self::submit_fast).
    takes_fast_path: bool,
    framing: Framing,
    /// The device may touch the queue's memory and the buffers in flight.
    lent: AtomicBool,
    /// Counts the memory that is given up to the device for good.
    given_up: Arc<GivenUp>,
    /// Counted without the lock, which the first poll of a request does not take.
    pending_polls: AtomicU64,
    /// The queue in its place, if it was reset by itself: see `replacing`.
    successor: Once<Box<Self>>,
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
        let blocks = Blocks::new(slots)?;
        let ring = Ring::new(RingLayout {
            format: layout.format,
            entries,
            slots,
            stride,
            event_index: layout.event_index,
            in_order: layout.in_order,
            tables: layout.indirect.then(|| blocks.tables(max_segments)),
        })?;
        let next = |slot: u16| if slot + 1 < slots { slot + 1 } else { NONE };
        let ledger = match layout.sessions {
            0 => None,
            sessions => Some(Ledger::new(sessions)?),
        };
        let guarded = Guarded {
            available: ring.available,
            outstanding: ring.outstanding,
            slots: boxed((0..slots).map(|_| Slot::new()))?,
            is_indirect: layout.indirect,
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
        let words = boxed((0..slots).map(|slot| Word::new(next(slot))))?;
        let name = if layout.sessions > 0 {
            "control queue"
        } else {
            "data queue"
        };
        Ok(Self {
            locked: IrqMutex::new(
                name,
                Locked {
                    used: ring.used,
                    guarded,
                },
            ),
            shared: Shared {
                words,
                blocks,
                sessions,
            },
            ring_memory: ring.memory,
            poll_flags: AtomicU8::new(0),
            doorbell,
            addresses: ring.addresses,
            entries,
            max_segments,
            format: layout.format,
            is_indirect: layout.indirect,
            takes_fast_path: layout.takes_fast_path(),
            framing: layout.framing,
            lent: AtomicBool::new(false),
            given_up,
            pending_polls: AtomicU64::new(0),
            successor: Once::new(),
        })
    }

    /// Runs `f` on all that the lock guards but the half of the ring that is drained.
    #[inline(always)]
    fn with<R>(&self, f: impl FnOnce(&mut Guarded<P>) -> R) -> R {
        self.locked.with(|locked| f(&mut locked.guarded))
    }

    /// Notifies the device. Without the lock.
    #[inline(always)]
    fn ring_doorbell(&self) {
        self.doorbell.ring(|| self.position());
    }

    /// Returns how far the driver has come by now: no less than what a kick was decided for.
    #[cold]
    fn position(&self) -> u16 {
        // A kick that was decided before the queue was reset meets the ring of now.
        let (_, position) = self.with_current(|_, locked| locked.guarded.available.position());
        position
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

    /// Takes note that so many queues share the queue's vector, itself included.
    pub(crate) fn share_vector(&self, queues: usize) {
        let queues = u16::try_from(queues).unwrap_or(u16::MAX);
        self.with(|guarded| guarded.accounting.share_vector(queues));
    }

    /// Takes note that the queue's vector is about to move to another CPU.
    pub(crate) fn move_vector(&self) {
        self.with(|guarded| guarded.accounting.move_vector());
    }

    /// Takes over the credit of the queue that was here before a reset.
    pub(crate) fn inherit(&self, owed: Owed) {
        self.with(|guarded| guarded.accounting.inherit(owed));
    }

    /// Returns what the queue is owed in interrupts over a reset.
    pub(crate) fn owed(&self) -> Owed {
        self.with(|guarded| guarded.accounting.owed())
    }

    /// Spends a credit, if there is one, for an interrupt of a queue that is gone.
    pub(crate) fn spend_for_another(&self) -> bool {
        self.with(|guarded| guarded.accounting.spend())
    }

    /// Returns how much the device has published, as far as has been seen.
    pub(crate) fn published(&self) -> u64 {
        self.with(|guarded| guarded.accounting.published())
    }

    /// Forgets all credit if nothing is in flight, nothing has been published since `published` was
    /// read, and no message can arrive any more (see [`Accounting::settle`]).
    pub(crate) fn settle(&self, published: u64, now_ns: u64, travel_ns: u64) -> bool {
        self.with(|guarded| {
            let is_quiet = guarded.in_flight == 0 && guarded.accounting.published() == published;
            is_quiet && guarded.accounting.settle(now_ns, travel_ns)
        })
    }

    /// Takes note that a message may still be on its way when a register read is answered.
    pub(crate) fn let_messages_travel(&self) {
        self.with(|guarded| guarded.accounting.let_messages_travel());
    }

    pub(crate) fn stats(&self) -> QueueStats {
        self.with(|guarded| QueueStats {
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
        self.with(|guarded| guarded.ledger.as_ref().map_or(0, Ledger::taken))
    }

    /// Runs `f` on the places of the sessions. `None` for a data queue.
    pub(crate) fn with_ledger<R>(&self, f: impl FnOnce(&mut Ledger) -> R) -> Option<R> {
        self.with(|guarded| guarded.ledger.as_mut().map(f))
    }
}
