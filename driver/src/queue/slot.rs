//! A slot: everything that the device may touch for one request, and the waker of the task that
//! waits for it.
//!
//! ```text
//! Free -> Reserved -> Submitted -> Completed -- result taken --> passed on, wiped
//!                         |             \-- future dropped --> Emptying --> passed on, wiped
//!                         \-- future dropped --> Orphaned -- drained --> passed on as it is left
//!
//! passed on, wiped:        Detached (a *destroy* without a caller) -- drained --> passed on, wiped
//!                          or Reserved (by the caller that has waited longest)
//!                          or Free
//! passed on as it is left: Orphaned (a *destroy* again)
//!                          or Emptying (by the caller that has waited longest) -> Reserved
//!                          or Reapable -> Emptying --> passed on, wiped
//! ```
//!
//! An orphaned *create* that the device answers with a session stays orphaned, as that session's
//! *destroy*. A *create* or *destroy* whose future is dropped after its completion goes on like an
//! orphan that has been drained.
//!
//! The one rule: from sending to completion the slot owns the block and the buffers, and no
//! reference to them exists. To empty a slot is to wipe its block and free its buffers. That is
//! done outside the lock, and never in an interrupt.

use core::{sync::atomic::AtomicU16, task::Waker};

use super::{block::StatusAt, buffers::Buffers, sessions::SessionIndex};
use crate::{
    Platform,
    sync::atomic::{AtomicU8, AtomicU32, Ordering},
};

/// The end of a list of slots.
pub(super) const NONE: u16 = u16::MAX;

/// The state of a slot: see the top.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum State {
    Free,
    Reserved,
    Submitted,
    Completed,
    Orphaned,
    Reapable,
    Emptying,
    Detached,
}

/// The content of a slot that has no owner any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// Nothing.
    Wiped,
    /// What its last request left: the slot has to be emptied before its next one.
    Left,
}

/// The part of a slot that its waiter reads without the lock.
#[derive(Debug)]
pub(super) struct Word {
    state: AtomicU8,
    written_bytes: AtomicU32,
    /// Next in the list of free or of reapable slots. An atomic because words are shared, though
    /// the lock guards it: here a slot that is passed on is at hand, and [`Slot`] has 128 bytes.
    next: AtomicU16,
}

impl Word {
    pub(super) fn new(next: u16) -> Self {
        Self {
            state: AtomicU8::new(State::Free as u8),
            written_bytes: AtomicU32::new(0),
            next: AtomicU16::new(next),
        }
    }

    /// Returns the next slot of the list that this one is in. Only under the lock.
    #[inline]
    pub(super) fn next(&self) -> u16 {
        self.next.load(Ordering::Relaxed)
    }

    /// Puts a slot in front of `next`. Only under the lock.
    #[inline]
    pub(super) fn set_next(&self, next: u16) {
        self.next.store(next, Ordering::Relaxed);
    }

    /// Moves the slot on. Only under the queue's lock.
    #[inline]
    pub(super) fn set(&self, state: State) {
        // Release: pairs with the acquire of `is`, for the answer in the block.
        self.state.store(state as u8, Ordering::Release);
    }

    /// Records the answer's length and moves the slot to `Completed`. Only under the lock.
    #[inline]
    pub(super) fn complete(&self, written_bytes: u32) {
        self.written_bytes.store(written_bytes, Ordering::Relaxed);
        self.set(State::Completed);
    }

    /// Tells whether the slot is in `state`. Only under the lock, or by the slot's waiter.
    #[inline]
    pub(super) fn is(&self, state: State) -> bool {
        self.state() == state as u8
    }

    /// Tells whether the device has the slot's request. Only under the lock.
    pub(super) fn is_in_flight(&self) -> bool {
        [State::Submitted, State::Orphaned, State::Detached]
            .into_iter()
            .any(|state| self.is(state))
    }

    /// Returns the state's number. Only under the lock, or by the slot's waiter.
    #[inline]
    pub(super) fn state(&self) -> u8 {
        // Acquire: pairs with the release of `set`.
        self.state.load(Ordering::Acquire)
    }

    #[inline]
    pub(super) fn written_bytes(&self) -> u32 {
        self.written_bytes.load(Ordering::Relaxed)
    }
}

/// What the request in a slot does to the session table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Holds a use of the session.
    Data(SessionIndex),
    /// Holds the place of the session that the device may create.
    Create(SessionIndex),
    /// Ends the session.
    Destroy(SessionIndex),
    /// Nothing, or nothing any more: somebody else ends its session.
    Nothing,
}

/// The part of a slot under the queue's lock.
#[derive(Debug)]
pub(super) struct Slot<P: Platform> {
    pub(super) purpose: Purpose,
    pub(super) waker: Option<Waker>,
    pub(super) buffers: Buffers<P>,
    /// Where in the block the device writes the status.
    pub(super) status_at: StatusAt,
    /// How much of the block's inline part has to be wiped.
    pub(super) inline_bytes: u16,
}

impl<P: Platform> Slot<P> {
    pub(super) fn new() -> Self {
        Self {
            purpose: Purpose::Nothing,
            waker: None,
            buffers: Buffers::default(),
            status_at: StatusAt::DESTROY,
            inline_bytes: 0,
        }
    }
}
