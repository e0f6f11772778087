//! The ends of sessions: *destroys* that are sent, wait for a slot, or are answered.
//!
//! The one rule: a *destroy* needs no caller. It is sent where the last use of its session ends, in
//! an interrupt too, and takes a free slot or that of the session's *create*. If a caller waits for
//! the answer, see `closing`.

use super::{
    Queue,
    batch::Batch,
    block::ANSWER_LEN,
    closing::CloseWatch,
    guarded::Guarded,
    ledger::Ledger,
    sessions::SessionIndex,
    slot::{Purpose, State},
};
use crate::{Error, Platform};

impl<P: Platform> Queue<P> {
    /// Gives the caller's use of a session back. The session ends by itself, as soon as none of its
    /// requests is in flight.
    pub(crate) fn leave_session(&self, session: SessionIndex) {
        if self.shared.sessions.release_held(session) {
            self.destroy_unused([session]);
        }
    }

    /// Sends the *destroy* of a session that the caller has taken, now or as soon as there is a
    /// slot. Any context.
    pub(crate) fn destroy(&self, session: SessionIndex) {
        self.with_ledger(|ledger| ledger.push_backlog(session));
        self.start_backlog();
    }

    /// Like [`destroy`](Self::destroy), for sessions whose last use has gone, but for those that a
    /// shutdown has taken meanwhile. All of them are in the line before the doorbell is rung, which
    /// may panic.
    pub(crate) fn destroy_unused(&self, sessions: impl IntoIterator<Item = SessionIndex>) {
        for session in sessions {
            self.with_ledger(|ledger| {
                if self.shared.sessions.take_unused(session) {
                    ledger.push_backlog(session);
                }
            });
        }
        self.start_backlog();
    }

    /// Sends *destroys* that wait, as far as there are slots.
    pub(super) fn start_backlog(&self) {
        let mut batch = Batch::default();
        self.with(|guarded| guarded.start_backlog(&self.shared, &mut batch));
        self.finish(&mut batch);
    }

    /// Sends the *destroy* of a session from before this epoch. What this returns waits for the
    /// answer.
    ///
    /// # Errors
    ///
    /// [`Error::TooManySessions`] when there is no place for it.
    pub(crate) fn destroy_stray(
        &self,
        id: u64,
        destroy_opcode: u32,
    ) -> Result<CloseWatch<'_, P>, Error> {
        let place = self.with_ledger(|ledger| {
            let place = ledger.reserve()?;
            ledger.watch(place, None);
            Ok(place)
        });
        let place = place.unwrap_or(Err(Error::TooManySessions { max: 0 }))?;
        self.shared.sessions.prepare(place, destroy_opcode);
        self.shared.sessions.record(place, id);
        // Before the doorbell is rung, which may panic: its drop leaves the place to the answer.
        let watch = CloseWatch::new(self, place);
        self.destroy(place);
        Ok(watch)
    }

    /// Gives out no more slots for a while, unless a session is open, being opened or still
    /// closing.
    ///
    /// # Errors
    ///
    /// [`Error::SessionsOpen`], or the reason for which the queue is closed already.
    pub(crate) fn close_for_a_while(&self) -> Result<(), Error> {
        self.with(|guarded| {
            if let Some(error) = guarded.closed {
                return Err(error);
            }
            match guarded.ledger.as_ref().map_or(0, Ledger::taken) {
                0 => guarded.closed = Some(Error::Resetting),
                open => return Err(Error::SessionsOpen { open }),
            }
            Ok(())
        })
    }

    /// Gives out slots again.
    pub(crate) fn open_again(&self) {
        self.with(|guarded| {
            if guarded.closed == Some(Error::Resetting) {
                guarded.closed = None;
                guarded.close_or_open();
            }
        });
    }

    /// Takes the sessions that wait for their *destroy* on a queue that has ended.
    pub(crate) fn take_backlog(&self) -> impl Iterator<Item = SessionIndex> {
        core::iter::from_fn(|| self.with_ledger(Ledger::pop_backlog).flatten())
    }

    /// Takes the sessions whose *destroy* the device had and did not answer before its reset.
    pub(crate) fn take_unanswered_destroys(&self) -> impl Iterator<Item = SessionIndex> {
        let mut slots = 0..self.shared.words.len();
        core::iter::from_fn(move || {
            slots.find_map(|slot| {
                self.with(|guarded| {
                    let entry = &mut guarded.slots[slot];
                    let Purpose::Destroy(session) = entry.purpose else {
                        return None;
                    };
                    if !self.shared.words[slot].is_in_flight() {
                        return None;
                    }
                    entry.purpose = Purpose::Nothing;
                    Some(session)
                })
            })
        })
    }

    /// Finds the sessions whose *create* the device has answered but not used before its reset, and
    /// puts them into the line of those that are to end. The device is trusted to have let go of
    /// what was in flight, so what it wrote to a *create* is its answer, though no used element
    /// says so. To be called before the slots are wiped.
    pub(crate) fn find_unanswered_creates(&self) {
        for (slot, word) in (0..).zip(&self.shared.words) {
            self.with(|guarded| {
                let entry = &mut guarded.slots[usize::from(slot)];
                let Purpose::Create(session) = entry.purpose else {
                    return;
                };
                if !word.is(State::Submitted) && !word.is(State::Orphaned) {
                    return;
                }
                if let Some(id) = self.shared.blocks.block(slot).session_id(ANSWER_LEN as u32) {
                    entry.purpose = Purpose::Nothing;
                    self.shared.sessions.record(session, id);
                    if let Some(ledger) = &mut guarded.ledger {
                        ledger.push_backlog(session);
                    }
                }
            });
        }
    }

    /// Takes the sessions whose *create* has completed and whose callers have not taken them yet.
    /// Nothing is created any more.
    pub(crate) fn take_answered_creates(&self) -> impl Iterator<Item = SessionIndex> {
        let next = |guarded: &mut Guarded<P>| guarded.take_answered_create(&self.shared);
        core::iter::from_fn(move || self.with(next))
    }
}
