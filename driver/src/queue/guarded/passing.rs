//! Passing slots on: who gets a slot that has no owner any more.
//!
//! [`Guarded::pass_on`] alone passes a slot on, at once, emptied or not: to a session that waits
//! for its end, to the caller that has waited longest, or to the lists of free and reapable slots.
//! A caller that gets a slot that has not been emptied empties it.
//!
//! The one rule: while somebody waits both lists are empty, and every slot has an owner. So no
//! caller's turn depends on what another one in the line does. A caller that is handed a slot and
//! never comes for it (forgotten, or no longer polled) keeps that slot and no other.
//!
//! While nothing may be sent, slots go to the lists even if somebody waits: see `readiness`.

use super::{Guarded, Shared};
use crate::{
    Platform,
    queue::{
        batch::Batch,
        ledger::Ledger,
        slot::{Content, NONE, State, Word},
    },
};

impl<P: Platform> Guarded<P> {
    /// Takes a free slot for a caller to fill.
    #[inline]
    pub(in crate::queue) fn take_free(&mut self, shared: &Shared<P>) -> Option<u16> {
        let slot = self.pop_free(shared)?;
        shared.words[usize::from(slot)].set(State::Reserved);
        Some(slot)
    }

    /// Takes a free slot for a request that is sent in this hold of the lock, which sets its next
    /// state. Nobody waits while a slot is free and something may be sent (see the top). There is
    /// one brief exception: the hardware has just returned, and more callers wait than are woken at
    /// a time.
    #[inline(always)]
    pub(in crate::queue) fn pop_free(&mut self, shared: &Shared<P>) -> Option<u16> {
        if self.free == NONE {
            return None;
        }
        let slot = self.free;
        self.free = shared.word(slot).next();
        Some(slot)
    }

    /// Takes a free slot, or one that the caller has to empty.
    pub(in crate::queue) fn take_any(&mut self, shared: &Shared<P>) -> Option<u16> {
        self.take_free(shared)
            .or_else(|| self.take_reapable(shared))
    }

    /// Passes on a slot that has no owner any more: see the top.
    pub(in crate::queue) fn pass_on(
        &mut self,
        shared: &Shared<P>,
        slot: u16,
        content: Content,
        batch: &mut Batch,
    ) {
        if self.sends
            && let Some(session) = self.ledger.as_mut().and_then(Ledger::pop_backlog)
        {
            // Its content is wiped afterwards: an interrupt may come here, and it does not wipe.
            let state = match content {
                Content::Wiped => State::Detached,
                Content::Left => State::Orphaned,
            };
            batch.kick |= self.send_destroy(shared, slot, session, state);
            return;
        }
        let word = &shared.words[usize::from(slot)];
        let handed = match self.sends {
            true => self.waiters.cursor_front_mut().remove_current(Some(slot)),
            false => Err(Some(slot)),
        };
        match (handed, content) {
            (Ok(waker), Content::Wiped) => {
                word.set(State::Reserved);
                batch.wake(waker);
            }
            (Ok(waker), Content::Left) => {
                word.set(State::Emptying);
                batch.wake(waker);
            }
            (Err(_), Content::Wiped) => self.set_free(word, slot),
            (Err(_), Content::Left) => {
                word.set(State::Reapable);
                word.set_next(self.reapable);
                self.reapable = slot;
            }
        }
    }

    /// Puts an empty slot on the list of free ones, unless somebody waits for one: `false` then,
    /// and the slot is still the caller's to pass on.
    #[inline(always)]
    pub(in crate::queue) fn try_set_free(&mut self, word: &Word, slot: u16) -> bool {
        let wanted = self.ledger.as_ref().is_some_and(Ledger::has_backlog);
        if wanted || !self.waiters.is_empty() {
            word.set(State::Emptying);
            return false;
        }
        self.set_free(word, slot);
        true
    }

    #[inline(always)]
    fn set_free(&mut self, word: &Word, slot: u16) {
        word.set(State::Free);
        word.set_next(self.free);
        self.free = slot;
    }

    /// Takes a slot that waits to be emptied.
    #[inline]
    pub(in crate::queue) fn take_reapable(&mut self, shared: &Shared<P>) -> Option<u16> {
        if self.reapable == NONE {
            return None;
        }
        let slot = self.reapable;
        let word = shared.word(slot);
        self.reapable = word.next();
        word.set(State::Emptying);
        Some(slot)
    }
}
