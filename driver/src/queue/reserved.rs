//! A slot that a caller has reserved, and the sending of what the caller fills it with.

use core::task::Waker;

use super::{
    Queue,
    block::{Block, CREATE_STATUS, INLINE, INLINE_LEN},
    buffers::Buffers,
    framing::{Fields, Framing},
    in_flight::{InFlight, Left},
    sessions::SessionIndex,
    slot::{Purpose, State},
};
use crate::{Error, Platform, virtqueue::Segment};

/// A slot that a caller has and the device does not know of. Dropping it wipes its block and gives it
/// back.
#[derive(Debug)]
pub(crate) struct Reserved<'q, P: Platform> {
    pub(super) queue: &'q Queue<P>,
    pub(super) slot: u16,
}

/// What a request is about to do to the session table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Intent {
    /// Use a session, which the caller holds.
    Data(SessionIndex),
    /// Bring its own key, and use no session.
    Stateless,
    /// Make one, of a service whose sessions end with this opcode.
    Create {
        /// The opcode.
        destroy_opcode: u32,
    },
}

/// What is sent in a slot, beside the bytes in its block.
#[derive(Debug)]
pub(crate) struct Submission<'a, P: Platform> {
    /// Bytes after the header to wipe afterwards. Right behind them the device writes the status of a
    /// data request.
    pub(crate) inline_bytes: u16,
    pub(crate) intent: Intent,
    /// Taken, to be held by the slot until the device has used the request; left where they are
    /// if it is not sent.
    pub(crate) buffers: Option<&'a mut Buffers<P>>,
    /// Woken when it has: the waker of the task that polls the request next.
    pub(crate) waker: Option<Waker>,
}

impl<'q, P: Platform> Reserved<'q, P> {
    /// Returns the slot's device memory, for filling.
    #[inline]
    pub(crate) fn block(&self) -> Block<'q> {
        self.queue.shared.blocks.block(self.slot)
    }

    /// Returns how many segments a request can have.
    pub(crate) fn max_segments(&self) -> usize {
        usize::from(self.queue.max_segments)
    }

    /// Sends the request, of at most [`max_segments`](Self::max_segments), or of what `fields` makes of it
    /// where each field begins a descriptor.
    ///
    /// # Errors
    ///
    /// The reason for which the queue is closed, that all places for sessions are taken, or
    /// [`Error::TooManyBuffers`]; the buffers are where they were.
    #[inline(always)]
    pub(crate) fn publish(
        self,
        segments: &[Segment],
        fields: impl FnOnce(Option<&Buffers<P>>) -> Fields,
        mut submission: Submission<'_, P>,
    ) -> Result<InFlight<'q, P>, Error> {
        let Self { queue, slot } = self;
        let inline_bytes = submission.inline_bytes;
        let waker = match submission.waker {
            Some(_) => Left::Waker,
            None => Left::Nothing,
        };
        let status_at = match submission.intent {
            Intent::Create { .. } => CREATE_STATUS as u16,
            Intent::Data(_) | Intent::Stateless => INLINE as u16 + inline_bytes,
        };
        // A slot that was not sent is wiped and given back by the drop.
        let kick = if queue.is_plain {
            // Here and not in `send`: here the compiler knows how many segments there are.
            self.block().write_table(segments);
            queue.send(slot, status_at, &[], &mut submission)?
        } else {
            let chain = match queue.framing {
                // A copy, so that where it is not needed the segments take no memory at all.
                Framing::Compact => segments.iter().copied().collect(),
                Framing::OnePerField => {
                    let fields = fields(submission.buffers.as_deref());
                    fields.into_chain(self.max_segments())?
                }
            };
            queue.send(slot, status_at, &chain, &mut submission)?
        };
        core::mem::forget(self);
        let in_flight = InFlight::new(queue, slot, inline_bytes, waker);
        // From here on the slot is the device's: a doorbell that panics leaves an orphan.
        if kick {
            queue.doorbell.ring();
        }
        Ok(in_flight)
    }
}

impl<P: Platform> Queue<P> {
    /// Sends the request in `slot`, whose block is filled; `chain` is empty where the block's table
    /// is filled, too. `true` when the device has to be notified.
    #[inline(never)]
    fn send(
        &self,
        slot: u16,
        status_at: u16,
        chain: &[Segment],
        submission: &mut Submission<'_, P>,
    ) -> Result<bool, Error> {
        self.guarded.with(|guarded| {
            // One that is willing to wait had its slot before the hardware was lost, a moment ago.
            if guarded.closed.is_some()
                && let Some(error) = guarded.turns_away()
            {
                return Err(error);
            }
            let purpose = match (submission.intent, &mut guarded.ledger) {
                (Intent::Data(session), _) => {
                    self.shared.sessions.add_use(session);
                    Purpose::Data(session)
                }
                (Intent::Stateless, _) => Purpose::Nothing,
                (Intent::Create { destroy_opcode }, Some(ledger)) => {
                    let session = ledger.reserve()?;
                    self.shared.sessions.prepare(session, destroy_opcode);
                    Purpose::Create(session)
                }
                (Intent::Create { .. }, None) => return Err(Error::TooManySessions { max: 0 }),
            };
            let entry = &mut guarded.slots[usize::from(slot)];
            entry.purpose = purpose;
            entry.status_at = status_at;
            entry.inline_bytes = submission.inline_bytes;
            // A free slot holds nothing, so nothing is dropped here. Swapped only if there is
            // something: most requests have no buffers.
            if let Some(buffers) = &mut submission.buffers
                && !buffers.is_none()
            {
                core::mem::swap(&mut entry.buffers, *buffers);
            }
            core::mem::swap(&mut entry.waker, &mut submission.waker);
            self.shared.words[usize::from(slot)].set(State::Submitted);
            guarded.write_chain(&self.shared, slot, chain);
            guarded.publish(slot);
            Ok(guarded.decide_kick())
        })
    }
}

impl<P: Platform> Drop for Reserved<'_, P> {
    fn drop(&mut self) {
        // All of it, whatever has been filled in: nobody knows how far that came.
        self.block().wipe_inline(INLINE_LEN);
        self.queue.give_back(self.slot);
    }
}
