//! The uses of sessions, counted: a *destroy* is sent only when the last one has gone.
//!
//! A device gives the id of a destroyed session to the next one at once, and a request that is
//! still queued then meets a session of another kind: that has killed QEMU. So every request in
//! flight holds a *use* of its session, orphans included, and so does the [`Session`] value.
//!
//! The one rule: the *destroy* is sent when the last use has gone. All that it needs is in place
//! from the time of *create*, so ending a session never allocates, never blocks and never fails.
//!
//! [`Session`]: crate::request::session::Session

use alloc::boxed::Box;

use crate::{
    Error,
    heap::boxed,
    sync::atomic::{AtomicU32, AtomicU64, Ordering},
    wire::{self, Form, PutHead},
};

/// The use of the caller that has the session value, apart from those of requests in flight.
const HELD: u32 = 1 << 31;

/// Nobody has uses to give back: there is no session, or somebody sees to its *destroy*. It differs
/// from 0: then the last use has gone, and nobody sees to the *destroy* yet.
const TAKEN: u32 = 1 << 30;

/// A use was lost: the device may have a request of the session for ever. The session stays until a
/// recovery.
const LOST: u32 = 1 << 29;

/// A session's place in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SessionIndex(pub(crate) u16);

/// Ids and uses, readable without a lock.
#[derive(Debug)]
pub(crate) struct SessionTable {
    entries: Box<[Entry]>,
    form: Form,
}

/// What is known of one session.
#[derive(Debug)]
pub(super) struct Entry {
    id: AtomicU64,
    uses: AtomicU32,
    /// What ends a session of its service.
    destroy_opcode: AtomicU32,
}

impl Entry {
    /// Returns the id that the device gave.
    #[inline(always)]
    pub(super) fn id(&self) -> u64 {
        self.id.load(Ordering::Relaxed)
    }

    /// Adds a use. The caller holds one already.
    #[inline(always)]
    pub(super) fn add_use(&self) {
        // Relaxed: adding to a count that cannot reach 0 meanwhile orders nothing.
        self.uses.fetch_add(1, Ordering::Relaxed);
    }

    /// Puts the head of the session's *destroy* into place; returns its length.
    #[inline(always)]
    pub(super) fn put_destroy(&self, form: Form, to: &mut impl PutHead) -> usize {
        let (id, opcode) = self.id_and_opcode();
        wire::destroy_session(form, opcode, id, to)
    }

    /// Gives the caller's use back: see [`SessionTable::release_held`].
    fn release_held(&self) -> bool {
        // AcqRel: as in `release_use`.
        self.uses.fetch_and(!HELD, Ordering::AcqRel) == HELD
    }

    /// Takes the session once its last use has gone: see [`SessionTable::take_unused`].
    fn take_unused(&self) -> bool {
        // AcqRel: as in `release_use`, which this continues.
        self.uses
            .compare_exchange(0, TAKEN, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
    }

    /// Gives the caller's use back, and takes the session if nobody else has a use of it. `true`
    /// obliges the caller to send the *destroy*, under the lock as for
    /// [`SessionTable::take_unused`].
    #[inline(always)]
    #[must_use]
    pub(super) fn release_held_and_take(&self) -> bool {
        // AcqRel: as in `release_use`. At once in the common case: nothing is in flight.
        let taken = self
            .uses
            .compare_exchange(HELD, TAKEN, Ordering::AcqRel, Ordering::Relaxed);
        taken.is_ok() || (self.release_held() && self.take_unused())
    }

    fn id_and_opcode(&self) -> (u64, u32) {
        (
            self.id.load(Ordering::Relaxed),
            self.destroy_opcode.load(Ordering::Relaxed),
        )
    }
}

impl SessionTable {
    /// # Errors
    ///
    /// [`Error::OutOfMemory`].
    pub(crate) fn new(sessions: u16, form: Form) -> Result<Self, Error> {
        let entry = |_| Entry {
            id: AtomicU64::new(0),
            uses: AtomicU32::new(TAKEN),
            destroy_opcode: AtomicU32::new(0),
        };
        Ok(Self {
            entries: boxed((0..sessions).map(entry))?,
            form,
        })
    }

    /// Returns the form that requests of these sessions have.
    #[inline]
    pub(crate) fn form(&self) -> Form {
        self.form
    }

    pub(super) fn entry(&self, index: SessionIndex) -> &Entry {
        &self.entries[usize::from(index.0)]
    }

    /// Records the id that the device gave to a session that a caller has from here on.
    pub(crate) fn open(&self, index: SessionIndex, id: u64) {
        let entry = self.entry(index);
        entry.id.store(id, Ordering::Relaxed);
        // Release: pairs with the acquires of `take_all` and `take_idle`, for the id.
        entry.uses.store(HELD, Ordering::Release);
    }

    /// Records the id that the device gave to a session that nobody has and that is to end at once,
    /// under the control queue's lock.
    pub(crate) fn record(&self, index: SessionIndex, id: u64) {
        self.entry(index).id.store(id, Ordering::Relaxed);
    }

    /// Takes every session that nobody has taken, to end them all. No request is in flight, or the
    /// device is trusted to have let go, and none is sent any more. The holder of such a session
    /// finds nothing left to end.
    pub(crate) fn take_all(&self) -> impl Iterator<Item = SessionIndex> {
        let used = |entry: &Entry| entry.uses.swap(TAKEN, Ordering::AcqRel) != TAKEN;
        let entries = self.entries.iter().enumerate();
        entries
            .filter(move |(_, entry)| used(entry))
            .map(|(index, _)| SessionIndex(index as u16))
    }

    /// Records how a session that is about to be created will end.
    pub(crate) fn prepare(&self, index: SessionIndex, destroy_opcode: u32) {
        self.entry(index)
            .destroy_opcode
            .store(destroy_opcode, Ordering::Relaxed);
    }

    /// Takes the sessions that nobody has taken and that have no request in flight; none is sent
    /// any more. The holder of such a session finds nothing left to end.
    pub(crate) fn take_idle(&self) -> impl Iterator<Item = SessionIndex> {
        let idle = |entry: &Entry| {
            let take = |uses| (uses == HELD || uses == 0).then_some(TAKEN);
            let taken = entry
                .uses
                .fetch_update(Ordering::AcqRel, Ordering::Relaxed, take);
            taken.is_ok()
        };
        let entries = self.entries.iter().enumerate();
        entries
            .filter(move |(_, entry)| idle(entry))
            .map(|(index, _)| SessionIndex(index as u16))
    }

    /// Takes a session whose last use has gone, to end it; `false` if a shutdown was faster. The
    /// caller holds the control queue's lock until the *destroy* is in the line, so a shutdown
    /// finds the session here or there.
    #[must_use]
    pub(crate) fn take_unused(&self, index: SessionIndex) -> bool {
        self.entry(index).take_unused()
    }

    /// Returns what a *destroy* of the session needs.
    pub(crate) fn id_and_opcode(&self, index: SessionIndex) -> (u64, u32) {
        self.entry(index).id_and_opcode()
    }

    /// Returns the id that the device gave.
    #[inline]
    pub(crate) fn id(&self, index: SessionIndex) -> u64 {
        self.entry(index).id()
    }

    /// Adds a use. The caller holds one already.
    #[inline]
    pub(crate) fn add_use(&self, index: SessionIndex) {
        self.entry(index).add_use();
    }

    /// Gives the caller's use back, unless it has been taken away. `true` obliges the caller to
    /// send the *destroy*.
    #[must_use]
    pub(crate) fn release_held(&self, index: SessionIndex) -> bool {
        self.entry(index).release_held()
    }

    /// Takes note that the use of a request never comes back, so that the session does not end.
    pub(crate) fn lose_use(&self, index: SessionIndex) {
        // Release: pairs with the acquire of `is_lost`, for a closer that is woken.
        self.entry(index).uses.fetch_or(LOST, Ordering::AcqRel);
    }

    /// Tells whether a use of the session has been lost.
    pub(crate) fn is_lost(&self, index: SessionIndex) -> bool {
        let uses = self.entry(index).uses.load(Ordering::Acquire);
        uses & TAKEN == 0 && uses & LOST != 0
    }

    /// Gives the use of a request back. `true` obliges the caller to send the *destroy*.
    #[inline]
    #[must_use]
    pub(crate) fn release_use(&self, index: SessionIndex) -> bool {
        // AcqRel: pairs with itself, so that the last to leave sees all that the others did.
        self.entry(index).uses.fetch_sub(1, Ordering::AcqRel) == 1
    }
}
