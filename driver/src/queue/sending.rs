//! A short data request: a slot, a use of its session and the request in one hold of the lock.

use core::task::Waker;

use super::{
    InFlight, Queue, SessionIndex,
    block::{INLINE, NO_ANSWER},
    in_flight::Left,
    slot::{NONE, Purpose, State},
};
use crate::{Platform, wire::REQUEST_LEN};

/// Most bytes of IV and data together that are copied under the lock.
const SHORT_DATA_LEN: usize = 64;

impl<P: Platform> Queue<P> {
    /// Sends a data request of a session that the caller holds, whose output takes the place of
    /// `data`, if that is the matter of a moment: the data is short, a slot is free, the chain is a
    /// plain one. Else nothing has happened, and there is the long way: [`reserve`](Self::reserve),
    /// then [`publish`](super::Reserved::publish).
    ///
    /// `waker` is that of the task that polls the request next, at once.
    #[inline(always)]
    pub(crate) fn send_at_once(
        &self,
        session: SessionIndex,
        head: &[u8; REQUEST_LEN],
        [iv, data]: [&[u8]; 2],
        waker: Waker,
    ) -> Option<InFlight<'_, P>> {
        let inline_bytes = iv.len() + data.len();
        if inline_bytes > SHORT_DATA_LEN || !self.is_plain {
            return None;
        }
        let shared = &self.shared;
        let status_at = INLINE + inline_bytes;
        // What is left of it is dropped without the lock.
        let mut waker = Some(waker);
        let (slot, kick) = self.guarded.with(|guarded| {
            if guarded.reapable != NONE || guarded.closed.is_some() {
                return None;
            }
            let slot = guarded.pop_free()?;
            let block = shared.blocks.block(slot);
            let start = block.write_head(head);
            block.write(INLINE, iv);
            block.write(INLINE + iv.len(), data);
            block.write(status_at, &[NO_ANSWER]);
            block.write_table(&[
                block.readable(start, head.len() + inline_bytes),
                // One descriptor for the output and the status right behind it.
                block.writable(INLINE + iv.len(), data.len() + 1),
            ]);
            shared.sessions.add_use(session);
            let entry = &mut guarded.slots[usize::from(slot)];
            core::mem::swap(&mut entry.waker, &mut waker);
            entry.inline_bytes = inline_bytes as u16;
            let purpose = Purpose::Data(session);
            let kick =
                guarded.send_chain(shared, slot, purpose, status_at as u16, State::Submitted);
            Some((slot, kick))
        })?;
        let in_flight = InFlight::new(self, slot, inline_bytes as u16, Left::Waker);
        // A doorbell that panics leaves an orphan.
        if kick {
            self.doorbell.ring();
        }
        Some(in_flight)
    }
}
