//! The beginning of a session with a short key: a slot, a place in the table and the request in one
//! hold of the lock.

use core::task::Waker;

use super::{
    InFlight, Queue,
    block::INLINE,
    in_flight::Left,
    slot::{NONE, Purpose, State},
};
use crate::{Platform, wire::SessionParameters};

/// Most bytes of keys that are copied under the lock: two AES-256 keys.
const SHORT_KEYS_LEN: usize = 64;

impl<P: Platform> Queue<P> {
    /// Sends the *create* of a session, whose key is `keys`, if that is the matter of a moment: the
    /// key is short, a slot and a place in the table are free. Else nothing has happened, and there
    /// is the long way: [`reserve`](Self::reserve), then [`publish`](super::Reserved::publish).
    ///
    /// `waker` is that of the task that polls the request next, at once.
    #[inline(always)]
    pub(crate) fn create_at_once(
        &self,
        parameters: &SessionParameters,
        [first, second]: &[&[u8]; 2],
        waker: Waker,
    ) -> Option<InFlight<'_, P>> {
        let keys_len_bytes = first.len() + second.len();
        if keys_len_bytes > SHORT_KEYS_LEN {
            return None;
        }
        let shared = &self.shared;
        let mut waker = Some(waker);
        let (slot, kick) = self.guarded.with(|guarded| {
            if guarded.reapable != NONE || guarded.free == NONE || guarded.closed.is_some() {
                return None;
            }
            let session = guarded.ledger.as_mut()?.take_place()?;
            let slot = guarded.pop_free()?;
            shared
                .sessions
                .prepare(session, parameters.destroy_opcode());
            let mut block = shared.blocks.block(slot);
            let head_len_bytes = parameters.put(shared.sessions.form(), &mut block);
            block.write(INLINE, first);
            if !second.is_empty() {
                block.write(INLINE + first.len(), second);
            }
            let entry = &mut guarded.slots[usize::from(slot)];
            core::mem::swap(&mut entry.waker, &mut waker);
            entry.inline_bytes = keys_len_bytes as u16;
            let purpose = Purpose::Create(session);
            let kick = guarded.send_control(
                shared,
                (slot, block),
                (head_len_bytes, [first.len(), second.len()]),
                purpose,
                State::Submitted,
            );
            Some((slot, kick))
        })?;
        let in_flight = InFlight::new(self, slot, keys_len_bytes as u16, Left::Waker);
        // A doorbell that panics leaves an orphan.
        if kick {
            self.doorbell.ring();
        }
        Some(in_flight)
    }
}
