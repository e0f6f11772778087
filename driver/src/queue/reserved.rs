//! A slot that a caller has reserved: filled without the lock, then sent.
//!
//! The one rule: a request that cannot be sent leaves its buffers with the caller, and its slot is
//! wiped and given back.

use core::task::Waker;

use super::{
    Queue,
    block::{Block, INLINE_LEN, StatusAt},
    body::{Body, Extent},
    buffers::{Buffers, buffer_segment},
    framing::{Fields, Framing, Segments},
    guarded::Guarded,
    in_flight::{FirstPoll, InFlight},
    sessions::SessionIndex,
    slot::{Purpose, State},
};
use crate::{Error, Platform, virtqueue::Chain};

/// A slot that a caller has and that the device does not know of. Dropping it wipes its block and
/// gives the slot back.
#[derive(Debug)]
pub(crate) struct Reserved<'q, P: Platform> {
    pub(super) queue: &'q Queue<P>,
    pub(super) slot: u16,
}

/// What a slot records of the request that is sent.
#[derive(Debug)]
struct Record<'a, P: Platform> {
    status_at: StatusAt,
    extent: Extent,
    /// The slot takes them and holds them until the device has used the request. They stay where
    /// they are if it is not sent.
    buffers: Option<&'a mut Buffers<P>>,
    /// The waker of the task that polls the request next.
    waker: Option<Waker>,
}

impl<'q, P: Platform> Reserved<'q, P> {
    /// Sends a data request. The caller holds its `session`, if it uses one. `waker` is that of the
    /// task that polls the request next, at once.
    ///
    /// # Errors
    ///
    /// The reason for which the queue is closed, or [`Error::TooManyBuffers`]; the buffers are
    /// where they were.
    #[inline(always)]
    pub(crate) fn submit(
        self,
        head: &[u8],
        mut body: Body<'_, P>,
        session: Option<SessionIndex>,
        waker: Option<Waker>,
    ) -> Result<InFlight<'q, P>, Error> {
        let block = self.block();
        block.write_head(head);
        let extent = body.fill(block);
        let status_at = StatusAt::behind(extent.inline_bytes);
        block.await_status(status_at);
        let segments = || body.compact(block, head.len(), self.queue.max_segments.into());
        let fields = || body.fields(block, head.len());
        let mut direct = Segments::new();
        let chain = self.chain(segments, fields, &mut direct)?;
        let record = Record {
            status_at,
            extent,
            buffers: body.buffers(),
            waker,
        };
        let sessions = &self.queue.shared.sessions;
        self.hand_over(chain, record, |_| {
            let Some(session) = session else {
                return Ok(Purpose::Nothing);
            };
            sessions.add_use(session);
            Ok(Purpose::Data(session))
        })
    }

    /// Sends the *create* of a session, which will end by `destroy_opcode`. The key is `keys`, one
    /// behind the other, or the buffer in `buffers` if the slot has no room for them.
    ///
    /// # Errors
    ///
    /// Those of [`submit`](Self::submit), and that all places for sessions are taken.
    pub(crate) fn submit_create(
        self,
        head: &[u8],
        keys: &[&[u8]],
        buffers: &mut Buffers<P>,
        destroy_opcode: u32,
        waker: Option<Waker>,
    ) -> Result<InFlight<'q, P>, Error> {
        let block = self.block();
        block.write_head(head);
        block.await_answer();
        let apart = buffers.sources().first();
        let inline_bytes = match apart {
            None => block.write_parts(0, keys),
            Some(_) => 0,
        };
        let segments = || {
            let head = block.head_segment(head.len(), inline_bytes);
            let apart = apart.map(|keys| buffer_segment(keys, false));
            let answer = block.answer_segment();
            Ok([Some(head), apart, Some(answer)]
                .into_iter()
                .flatten()
                .collect())
        };
        let fields = || Fields::control(block, head.len(), keys.iter().map(|key| key.len()), apart);
        let mut direct = Segments::new();
        let chain = self.chain(segments, fields, &mut direct)?;
        let extent = Extent {
            inline_bytes: inline_bytes as u16,
            output_len_bytes: 0,
        };
        let record = Record {
            status_at: StatusAt::CREATE,
            extent,
            buffers: Some(buffers),
            waker,
        };
        let sessions = &self.queue.shared.sessions;
        self.hand_over(chain, record, |guarded| {
            let ledger = guarded.ledger.as_mut();
            let ledger = ledger.ok_or(Error::TooManySessions { max: 0 })?;
            let session = ledger.reserve()?;
            sessions.prepare(session, destroy_opcode);
            Ok(Purpose::Create(session))
        })
    }

    /// Writes inline bytes as filling in a body does.
    #[cfg(all(test, not(loom)))]
    pub(crate) fn write_inline(&self, at: usize, bytes: &[u8]) {
        self.block().write_inline(at, bytes);
    }

    #[inline]
    fn block(&self) -> Block<'q> {
        self.queue.shared.blocks.block(self.slot)
    }

    /// Describes the request by the queue's framing: in the block's table, or in `direct` where
    /// there are no tables.
    #[inline(always)]
    fn chain<'s>(
        &self,
        segments: impl FnOnce() -> Result<Segments, Error>,
        fields: impl FnOnce() -> Fields,
        direct: &'s mut Segments,
    ) -> Result<Chain<'s>, Error> {
        let queue = self.queue;
        // Also refuses what is too long in any framing.
        let mut segments = segments()?;
        if queue.framing == Framing::OnePerField {
            segments = fields().into_chain(queue.max_segments.into())?;
        }
        if queue.is_indirect {
            return Ok(self.block().write_table(queue.format, &segments));
        }
        *direct = segments;
        Ok(Chain::Direct(direct))
    }

    /// Makes the request available, and notifies the device if that is due.
    #[inline(always)]
    fn hand_over(
        self,
        chain: Chain<'_>,
        mut record: Record<'_, P>,
        purpose: impl FnOnce(&mut Guarded<P>) -> Result<Purpose, Error>,
    ) -> Result<InFlight<'q, P>, Error> {
        let Self { queue, slot } = self;
        let first_poll = match record.waker {
            Some(_) => FirstPoll::WakerRecorded,
            None => FirstPoll::NeedsWaker,
        };
        // On an error the drop wipes the slot and gives it back.
        let kick = queue.submit_chain(slot, chain, &mut record, purpose)?;
        core::mem::forget(self);
        Ok(queue.sent(
            (slot, queue.shared.word(slot)),
            record.extent,
            first_poll,
            kick,
        ))
    }
}

impl<P: Platform> Queue<P> {
    /// Sends the request in `slot`, whose block is filled. `true` when the device has to be
    /// notified.
    #[inline(never)]
    fn submit_chain(
        &self,
        slot: u16,
        chain: Chain<'_>,
        record: &mut Record<'_, P>,
        purpose: impl FnOnce(&mut Guarded<P>) -> Result<Purpose, Error>,
    ) -> Result<bool, Error> {
        self.with(|guarded| {
            // Goes on while the hardware is lost and callers are to wait: this one got its slot a
            // moment before that.
            if guarded.closed.is_some() {
                guarded.check_open()?;
            }
            let purpose = purpose(guarded)?;
            let entry = &mut guarded.slots[usize::from(slot)];
            entry.inline_bytes = record.extent.inline_bytes;
            // A free slot holds nothing, so nothing is dropped here. Swapped only if there is
            // something: most requests have no buffers.
            if let Some(buffers) = &mut record.buffers
                && !buffers.is_none()
            {
                core::mem::swap(&mut entry.buffers, *buffers);
            }
            core::mem::swap(&mut entry.waker, &mut record.waker);
            let status_at = record.status_at;
            Ok(guarded.make_available(
                (slot, self.shared.word(slot)),
                purpose,
                status_at,
                State::Submitted,
                |_| chain,
            ))
        })
    }
}

impl<P: Platform> Drop for Reserved<'_, P> {
    fn drop(&mut self) {
        // All of it: nobody knows how much of it has been filled.
        self.block().wipe_inline(INLINE_LEN);
        self.queue.give_back(self.slot);
    }
}
