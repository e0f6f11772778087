//! *Destroys* that are sent, wait for a slot, or are answered; and the sending of any control
//! request.
//!
//! The one rule: a *destroy* needs a slot and nothing else, so an interrupt may send it.

use super::{Guarded, Shared};
use crate::{
    Error, Platform,
    queue::{
        batch::Batch,
        block::{Block, MAX_SEGMENTS, StatusAt},
        framing::{Fields, Framing, Segments},
        ledger::Ledger,
        sessions::{Entry, SessionIndex},
        slot::{NONE, Purpose, State, Word},
    },
    virtqueue::{Chain, Segment},
};

impl<P: Platform> Guarded<P> {
    /// Sends the *destroy* of a session in `slot`, which holds nobody's buffers. `true` when the
    /// device has to be notified.
    #[inline(always)]
    pub(in crate::queue) fn send_destroy(
        &mut self,
        shared: &Shared<P>,
        slot: u16,
        session: SessionIndex,
        state: State,
    ) -> bool {
        let entry = shared.sessions.entry(session);
        self.send_destroy_of(shared, (slot, shared.word(slot)), (session, entry), state)
    }

    /// The same, where slot and session have been looked up.
    #[inline(always)]
    pub(in crate::queue) fn send_destroy_of(
        &mut self,
        shared: &Shared<P>,
        (slot, word): (u16, &Word),
        (session, entry): (SessionIndex, &Entry),
        state: State,
    ) -> bool {
        let mut block = shared.blocks.block(slot);
        let head_len_bytes = entry.put_destroy(shared.sessions.form(), &mut block);
        let purpose = Purpose::Destroy(session);
        let lens_bytes = (head_len_bytes, [0; 2]);
        self.send_control((slot, word, block), lens_bytes, purpose, state)
    }

    /// Sends a request of the control queue: a head and keys of these lengths, which are in place.
    /// `true` when the device has to be notified.
    #[inline(always)]
    pub(in crate::queue) fn send_control(
        &mut self,
        (slot, word, block): (u16, &Word, Block<'_>),
        (head_len_bytes, keys_lens_bytes): (usize, [usize; 2]),
        purpose: Purpose,
        state: State,
    ) -> bool {
        block.await_answer();
        let [first, second] = keys_lens_bytes;
        let segments = [
            block.head_segment(head_len_bytes, first + second),
            block.answer_segment(),
        ];
        let status_at = match purpose {
            Purpose::Create(_) => StatusAt::CREATE,
            _ => StatusAt::DESTROY,
        };
        if !self.is_plain {
            let lens_bytes = (head_len_bytes, keys_lens_bytes);
            let record = (purpose, status_at, state);
            return self.send_control_otherwise((slot, word, block), lens_bytes, record, segments);
        }
        self.make_available((slot, word), purpose, status_at, state, |format| {
            block.write_table(format, &segments)
        })
    }

    /// Sends a request of the control queue that is not plain.
    #[cold]
    #[inline(never)]
    fn send_control_otherwise(
        &mut self,
        (slot, word, block): (u16, &Word, Block<'_>),
        lens_bytes: (usize, [usize; 2]),
        (purpose, status_at, state): (Purpose, StatusAt, State),
        compact: [Segment; 2],
    ) -> bool {
        let segments = self.control_chain(block, lens_bytes, &compact);
        let is_indirect = self.is_indirect;
        let write = |format| match is_indirect {
            true => block.write_table(format, &segments),
            false => Chain::Direct(&segments),
        };
        self.make_available((slot, word), purpose, status_at, state, write)
    }

    /// Describes a request of the control queue where that is not plain.
    fn control_chain(
        &self,
        block: Block<'_>,
        (head_len_bytes, keys_lens_bytes): (usize, [usize; 2]),
        compact: &[Segment],
    ) -> Segments {
        match self.framing {
            Framing::Compact => compact.iter().copied().collect(),
            Framing::OnePerField => {
                let fields = Fields::control::<P>(block, head_len_bytes, keys_lens_bytes, None);
                // Head, two keys and an answer always have room.
                fields.into_chain(MAX_SEGMENTS).unwrap_or_default()
            }
        }
    }

    /// Sends waiting *destroys*, as far as there are slots. A slot that still has to be wiped will
    /// do, and is wiped afterwards: an interrupt may come here, and it does not wipe.
    pub(in crate::queue) fn start_backlog(&mut self, shared: &Shared<P>, batch: &mut Batch) {
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
            *list = shared.word(slot).next();
            batch.kick |= self.send_destroy(shared, slot, session, state);
        }
    }

    /// Takes a session whose *create* has completed and whose caller has not taken it yet; the
    /// caller will be told that the driver is shut down.
    pub(in crate::queue) fn take_answered_create(
        &mut self,
        shared: &Shared<P>,
    ) -> Option<SessionIndex> {
        for (slot, entry) in (0..).zip(&mut self.slots) {
            let word = &shared.words[usize::from(slot)];
            let Purpose::Create(session) = entry.purpose else {
                continue;
            };
            if !word.is(State::Completed) {
                continue;
            }
            entry.purpose = Purpose::Nothing;
            match shared.blocks.block(slot).session_id(word.written_bytes()) {
                Some(id) => {
                    shared.sessions.record(session, id);
                    return Some(session);
                }
                None => {
                    if let Some(ledger) = &mut self.ledger {
                        ledger.free(session);
                    }
                }
            }
        }
        None
    }

    /// Takes note of the answer to a *destroy*, and wakes its closer.
    pub(in crate::queue) fn finish_destroy(
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
        let checked = shared.blocks.block(slot).check_destroyed(written_bytes);
        let result = checked.map_err(Error::from);
        batch.wake(ledger.finish(session, result));
    }
}
