//! The ends of sessions: *destroys* that are sent, wait for a slot, or are answered.
//!
//! A *destroy* needs no caller: it is sent from wherever the last use of its session went, an
//! interrupt included, in a free slot or in the one that brought the session to life. Where a caller
//! waits for it, see `closing`.

use super::{
    Fields, Framing, Queue, Watch,
    block::{ANSWER, ANSWER_LEN, Block, CREATE_STATUS, INLINE, MAX_SEGMENTS, NO_ANSWER},
    sessions::{Ledger, SessionIndex},
    slot::{Batch, NONE, Purpose, State},
    state::{Guarded, Shared},
};
use crate::{Error, Platform, virtqueue::Segment, wire};

impl<P: Platform> Queue<P> {
    /// Sends the *destroy* of a session that the caller has taken, now or as soon as there is a slot.
    /// Any context.
    pub(crate) fn destroy(&self, session: SessionIndex) {
        self.with_ledger(|ledger| ledger.push_backlog(session));
        self.start_backlog();
    }

    /// Like [`destroy`](Self::destroy), for a session whose last use has gone, unless a shutdown has
    /// taken it meanwhile.
    pub(crate) fn destroy_unused(&self, session: SessionIndex) {
        self.with_ledger(|ledger| {
            if self.shared.sessions.take_unused(session) {
                ledger.push_backlog(session);
            }
        });
        self.start_backlog();
    }

    /// Sends *destroys* that wait, as far as there are slots.
    pub(super) fn start_backlog(&self) {
        let mut batch = Batch::default();
        self.guarded
            .with(|guarded| guarded.start_backlog(&self.shared, &mut batch));
        self.finish(&mut batch);
    }

    /// Sends the *destroy* of a session that is not of this life of the device; who watches it learns of
    /// the answer.
    ///
    /// # Errors
    ///
    /// [`Error::TooManySessions`] when there is no place for it.
    pub(crate) fn destroy_stray(
        &self,
        id: u64,
        destroy_opcode: u32,
    ) -> Result<Watch<'_, P>, Error> {
        let place = self.with_ledger(|ledger| {
            let place = ledger.reserve()?;
            ledger.watch(place, None);
            Ok(place)
        });
        let place = place.unwrap_or(Err(Error::TooManySessions { max: 0 }))?;
        self.shared.sessions.prepare(place, destroy_opcode);
        self.shared.sessions.record(place, id);
        self.destroy(place);
        Ok(Watch::new(self, place))
    }

    /// Gives out no more slots for a while, unless a session is open, being opened or still closing.
    ///
    /// # Errors
    ///
    /// [`Error::SessionsOpen`], or the reason for which the queue is closed already.
    pub(crate) fn close_for_a_while(&self) -> Result<(), Error> {
        self.guarded.with(|guarded| {
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
        self.guarded.with(|guarded| {
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
                self.guarded.with(|guarded| {
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

    /// Puts the sessions that the device has made, but not told of before its reset, into the line of those
    /// that are to end. It has let go of what was in flight, so what it wrote to a *create* is its answer
    /// though nothing used says so. Before the slots are wiped.
    pub(crate) fn find_unanswered_creates(&self) {
        for (slot, word) in (0..).zip(&self.shared.words) {
            self.guarded.with(|guarded| {
                let entry = &mut guarded.slots[usize::from(slot)];
                let Purpose::Create(session) = entry.purpose else {
                    return;
                };
                if !word.is(State::Submitted) && !word.is(State::Orphaned) {
                    return;
                }
                if let Ok(id) = created_session(&self.shared, slot, ANSWER_LEN as u32) {
                    entry.purpose = Purpose::Nothing;
                    self.shared.sessions.record(session, id);
                    if let Some(ledger) = &mut guarded.ledger {
                        ledger.push_backlog(session);
                    }
                }
            });
        }
    }

    /// Takes the sessions that the device has made and whose callers have not looked yet. Nothing is
    /// created any more.
    pub(crate) fn take_answered_creates(&self) -> impl Iterator<Item = SessionIndex> {
        let next = |guarded: &mut Guarded<P>| guarded.take_answered_create(&self.shared);
        core::iter::from_fn(move || self.guarded.with(next))
    }
}

impl<P: Platform> Guarded<P> {
    /// Sends the *destroy* of a session in `slot`, which holds nothing of anybody's. `true` when the
    /// device has to be notified.
    #[inline(always)]
    pub(super) fn send_destroy(
        &mut self,
        shared: &Shared<P>,
        slot: u16,
        session: SessionIndex,
        state: State,
    ) -> bool {
        let mut block = shared.blocks.block(slot);
        let head_len_bytes = shared.sessions.put_destroy(session, &mut block);
        let purpose = Purpose::Destroy(session);
        let lens_bytes = (head_len_bytes, [0; 2]);
        self.send_control(shared, (slot, block), lens_bytes, purpose, state)
    }

    /// Sends a request of the control queue: a head and keys of these lengths, which are in place.
    /// `true` when the device has to be notified.
    #[inline(always)]
    pub(super) fn send_control(
        &mut self,
        shared: &Shared<P>,
        (slot, block): (u16, Block<'_>),
        (head_len_bytes, keys_lens_bytes): (usize, [usize; 2]),
        purpose: Purpose,
        state: State,
    ) -> bool {
        block.write(ANSWER, &[NO_ANSWER; ANSWER_LEN]);
        let [first, second] = keys_lens_bytes;
        let segments = [
            block.readable(INLINE - head_len_bytes, head_len_bytes + first + second),
            block.writable(ANSWER, ANSWER_LEN),
        ];
        if self.is_plain {
            block.write_table(&segments);
        } else {
            self.write_control(shared, slot, (head_len_bytes, keys_lens_bytes), {
                segments
            });
        }
        let status_at = match purpose {
            Purpose::Create(_) => CREATE_STATUS as u16,
            _ => ANSWER as u16,
        };
        self.send_chain(shared, slot, purpose, status_at, state)
    }

    /// Sends the chain of `slot`, which is written: what it is for, and where its status comes.
    /// `true` when the device has to be notified.
    #[inline(always)]
    pub(super) fn send_chain(
        &mut self,
        shared: &Shared<P>,
        slot: u16,
        purpose: Purpose,
        status_at: u16,
        state: State,
    ) -> bool {
        let entry = &mut self.slots[usize::from(slot)];
        entry.purpose = purpose;
        entry.status_at = status_at;
        shared.words[usize::from(slot)].set(state);
        self.publish(slot);
        self.decide_kick()
    }

    /// Writes the chain of a request of the control queue that is not plain.
    #[cold]
    fn write_control(
        &mut self,
        shared: &Shared<P>,
        slot: u16,
        (head_len_bytes, keys_lens_bytes): (usize, [usize; 2]),
        compact: [Segment; 2],
    ) {
        let block = shared.blocks.block(slot);
        match self.framing {
            Framing::Compact => self.write_chain(shared, slot, &compact),
            Framing::OnePerField => {
                let keys = keys_lens_bytes;
                let fields = Fields::control::<P>(block, head_len_bytes, keys, None);
                // Head, two keys and an answer always have room.
                if let Ok(chain) = fields.into_chain(MAX_SEGMENTS) {
                    self.write_chain(shared, slot, &chain);
                }
            }
        }
    }

    /// Sends *destroys* that wait, as far as there are slots. One that still has to be wiped will
    /// do, and is wiped afterwards: an interrupt may come here, and does not wipe.
    pub(super) fn start_backlog(&mut self, shared: &Shared<P>, batch: &mut Batch) {
        if !self.sends {
            return;
        }
        while self.free != NONE || self.reapable != NONE {
            let Some(session) = self.ledger.as_mut().and_then(Ledger::pop_backlog) else {
                return;
            };
            let (list, state) = if self.free != NONE {
                (&mut self.free, State::Detached)
            } else {
                (&mut self.reapable, State::Orphaned)
            };
            let slot = *list;
            *list = self.slots[usize::from(slot)].next;
            batch.kick |= self.send_destroy(shared, slot, session, state);
        }
    }

    /// Takes a session whose *create* the device has answered and whose caller has not looked yet; the
    /// caller will be told that the driver is shut down.
    pub(super) fn take_answered_create(&mut self, shared: &Shared<P>) -> Option<SessionIndex> {
        for (slot, entry) in (0..).zip(&mut self.slots) {
            let word = &shared.words[usize::from(slot)];
            let Purpose::Create(session) = entry.purpose else {
                continue;
            };
            if !word.is(State::Completed) {
                continue;
            }
            entry.purpose = Purpose::Nothing;
            match created_session(shared, slot, word.written_bytes()) {
                Ok(id) => {
                    shared.sessions.record(session, id);
                    return Some(session);
                }
                Err(_) => {
                    if let Some(ledger) = &mut self.ledger {
                        ledger.free(session);
                    }
                }
            }
        }
        None
    }

    /// The device has answered a *destroy*.
    pub(super) fn finish_destroy(
        &mut self,
        shared: &Shared<P>,
        slot: u16,
        purpose: Purpose,
        written_bytes: u32,
        batch: &mut Batch,
    ) {
        let (Purpose::Destroy(session), Some(ledger)) = (purpose, &mut self.ledger) else {
            return;
        };
        let result = destroy_result(shared, slot, written_bytes);
        batch.wake(ledger.finish(session, result));
    }
}

/// Reads the answer to a *destroy*.
#[inline(always)]
pub(super) fn destroy_result<P: Platform>(
    shared: &Shared<P>,
    slot: u16,
    written_bytes: u32,
) -> Result<(), Error> {
    let mut status = [NO_ANSWER];
    shared.blocks.block(slot).read(ANSWER, &mut status);
    if written_bytes > 0 && u32::from(status[0]) == wire::STATUS_OK {
        return Ok(());
    }
    Err(not_destroyed(written_bytes, status[0]))
}

#[cold]
fn not_destroyed(written_bytes: u32, status: u8) -> Error {
    match wire::check_status(u32::from(status)) {
        Err(refusal) if written_bytes > 0 => Error::Refused(refusal),
        _ => Error::ShortAnswer {
            written_bytes,
            expected_bytes: 1,
        },
    }
}

/// Reads the answer to a *create*.
#[inline(always)]
pub(super) fn created_session<P: Platform>(
    shared: &Shared<P>,
    slot: u16,
    written_bytes: u32,
) -> Result<u64, Error> {
    let mut answer = [NO_ANSWER; ANSWER_LEN];
    shared.blocks.block(slot).read(ANSWER, &mut answer);
    // Session id and status; the padding behind them says nothing.
    const NEEDED: u32 = 12;
    if written_bytes < NEEDED {
        return Err(Error::ShortAnswer {
            written_bytes,
            expected_bytes: NEEDED,
        });
    }
    wire::parse_session_answer(&answer).map_err(Error::Refused)
}
