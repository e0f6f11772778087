//! The fast path: a short request goes from a free slot to the ring in one hold of the lock.
//!
//! For `request/exchange`. The one rule: all of it happens, or nothing. If anything is in the way,
//! the request goes as all others do: a slot is reserved, filled without the lock, and sent.

use core::task::Waker;

use super::{
    Queue,
    block::StatusAt,
    body::Extent,
    in_flight::{FirstPoll, InFlight},
    layout::SHORT_DATA_LEN,
    sessions::SessionIndex,
    slot::{NONE, Purpose, State},
};
use crate::{
    Platform,
    wire::{REQUEST_LEN, SessionParameters},
};

/// Most bytes of keys that are copied under the lock: two AES-256 keys.
const SHORT_KEYS_LEN: usize = 64;

impl<P: Platform> Queue<P> {
    /// Sends a data request of a session that the caller holds, and whose output takes the place of
    /// `data`, if the fast path is open: the data is short, a slot is free, the chain is a plain
    /// one, and the device takes requests of that length. Else does nothing and returns `None`:
    /// [`reserve`](Self::reserve), then [`submit`](super::Reserved::submit) send the request.
    ///
    /// `head` makes the head for the id that the device gave to the session. `waker` is that of the
    /// task that polls the request next, at once.
    #[inline(always)]
    pub(crate) fn submit_fast(
        &self,
        session: SessionIndex,
        head: impl FnOnce(u64) -> [u8; REQUEST_LEN],
        [iv, data]: [&[u8]; 2],
        waker: Waker,
    ) -> Option<InFlight<'_, P>> {
        let inline_bytes = iv.len() + data.len();
        if inline_bytes > SHORT_DATA_LEN || !self.takes_fast_path {
            return None;
        }
        let shared = &self.shared;
        let used = shared.sessions.entry(session);
        let head = head(used.id());
        let extent = Extent {
            inline_bytes: inline_bytes as u16,
            output_len_bytes: data.len() as u32,
        };
        let status_at = StatusAt::behind(extent.inline_bytes);
        // If nothing was sent, it is dropped without the lock.
        let mut waker = Some(waker);
        let (slot, word, kick) = self.with(|guarded| {
            if guarded.reapable != NONE || guarded.closed.is_some() {
                return None;
            }
            let slot = guarded.pop_free(shared)?;
            let word = shared.word(slot);
            let block = shared.blocks.block(slot);
            block.write_head(&head);
            block.write_inline(0, iv);
            block.write_inline(iv.len(), data);
            block.await_status(status_at);
            used.add_use();
            let entry = &mut guarded.slots[usize::from(slot)];
            core::mem::swap(&mut entry.waker, &mut waker);
            entry.inline_bytes = extent.inline_bytes;
            let purpose = Purpose::Data(session);
            let write = |format| {
                block.write_table(
                    format,
                    &[
                        block.head_segment(head.len(), inline_bytes),
                        // One descriptor for the output and the status right behind it.
                        block.output_segment(iv.len(), data.len() + 1),
                    ],
                )
            };
            let (place, state) = ((slot, word), State::Submitted);
            let kick = guarded.make_available(place, purpose, status_at, state, write);
            Some((slot, word, kick))
        })?;
        Some(self.sent((slot, word), extent, FirstPoll::WakerRecorded, kick))
    }

    /// Sends the *create* of a session, whose key is `keys`, if the fast path is open: the key is
    /// short, and a slot and a place in the table are free. Else does nothing and returns `None`:
    /// [`reserve`](Self::reserve), then [`submit_create`](super::Reserved::submit_create) send the
    /// request.
    ///
    /// `waker` is that of the task that polls the request next, at once.
    #[inline(always)]
    pub(crate) fn create_fast(
        &self,
        parameters: &SessionParameters,
        [first, second]: &[&[u8]; 2],
        waker: Waker,
    ) -> Option<InFlight<'_, P>> {
        let keys_len_bytes = first.len() + second.len();
        if keys_len_bytes > SHORT_KEYS_LEN {
            return None;
        }
        let extent = Extent {
            inline_bytes: keys_len_bytes as u16,
            output_len_bytes: 0,
        };
        let shared = &self.shared;
        let mut waker = Some(waker);
        let (slot, word, kick) = self.with(|guarded| {
            if guarded.reapable != NONE || guarded.free == NONE || guarded.closed.is_some() {
                return None;
            }
            let session = guarded.ledger.as_mut()?.take_place()?;
            let slot = guarded.pop_free(shared)?;
            let word = shared.word(slot);
            shared
                .sessions
                .prepare(session, parameters.destroy_opcode());
            let mut block = shared.blocks.block(slot);
            let head_len_bytes = parameters.put(shared.sessions.form(), &mut block);
            block.write_inline(0, first);
            if !second.is_empty() {
                block.write_inline(first.len(), second);
            }
            let entry = &mut guarded.slots[usize::from(slot)];
            core::mem::swap(&mut entry.waker, &mut waker);
            entry.inline_bytes = extent.inline_bytes;
            let purpose = Purpose::Create(session);
            let kick = guarded.send_control(
                (slot, word, block),
                (head_len_bytes, [first.len(), second.len()]),
                purpose,
                State::Submitted,
            );
            Some((slot, word, kick))
        })?;
        Some(self.sent((slot, word), extent, FirstPoll::WakerRecorded, kick))
    }
}
