//! Whether the device's hardware is ready: while it is not, nothing is sent (Virtio 1.3, 5.9.5).
//!
//! That is a reason for which the queue is closed, but one that passes. Whoever wants a slot finds
//! it where it looks for the other reasons. What is in flight stays in flight, and is answered or
//! not. No slot is handed over; *destroys* and kicks wait. When the hardware is back, all of them
//! go on as slots come back, by [`Guarded::pass_on`].

use super::{Guarded, Shared};
use crate::{
    Error, Platform,
    queue::{
        batch::Batch,
        layout::WhenNotReady,
        ledger::Ledger,
        slot::{Content, NONE},
    },
};

impl<P: Platform> Guarded<P> {
    /// Closes the queue, or opens it, as the hardware is; unless it is closed for something else.
    pub(in crate::queue) fn close_or_open(&mut self) {
        if matches!(self.closed, None | Some(Error::HardwareNotReady)) {
            self.closed = (!self.is_ready).then_some(Error::HardwareNotReady);
        }
    }

    /// Returns why who is willing to wait for a slot need not.
    #[cold]
    #[inline(never)]
    pub(in crate::queue) fn refuses_waiters(&self) -> Option<Error> {
        match self.closed {
            Some(Error::HardwareNotReady) if self.when_not_ready == WhenNotReady::Wait => None,
            closed => closed,
        }
    }

    /// Returns why who waits for a *destroy* that has not been sent need not.
    pub(in crate::queue) fn refuses_closers(&self) -> Option<Error> {
        match self.closed {
            _ if self.is_ready => None,
            // That is for those who want a slot.
            Some(Error::Resetting) => {
                let fails = self.when_not_ready == WhenNotReady::Fail;
                fails.then_some(Error::HardwareNotReady)
            }
            _ => self.refuses_waiters(),
        }
    }

    /// Tells whether who is willing to wait waits for the hardware.
    #[inline]
    pub(in crate::queue) fn waits_for_hardware(&self) -> bool {
        self.closed.is_some() && self.refuses_waiters().is_none()
    }

    /// Serves those who wait, or turns them away, as the hardware is; `true` when there are more.
    pub(in crate::queue) fn serve_or_turn_away(
        &mut self,
        shared: &Shared<P>,
        batch: &mut Batch,
    ) -> bool {
        match self.is_ready {
            true => self.serve_line(shared, batch),
            false => self.turn_away(batch),
        }
    }

    /// Passes slots that nobody has on to who waits, as long as there are both. Returns `true` when
    /// there are more.
    fn serve_line(&mut self, shared: &Shared<P>, batch: &mut Batch) -> bool {
        while !batch.is_full() {
            let has_backlog = self.ledger.as_ref().is_some_and(Ledger::has_backlog);
            if !self.sends || !has_backlog && self.waiters.is_empty() {
                return false;
            }
            if self.free != NONE {
                let slot = self.free;
                self.free = self.slots[usize::from(slot)].next;
                self.pass_on(shared, slot, Content::Wiped, batch);
            } else if let Some(slot) = self.take_reapable(shared) {
                self.pass_on(shared, slot, Content::Left, batch);
            } else {
                return false;
            }
        }
        true
    }

    /// Collects those who need not wait for the hardware; `true` when there are more.
    fn turn_away(&mut self, batch: &mut Batch) -> bool {
        if self.refuses_waiters().is_none() {
            return false;
        }
        while !batch.is_full() {
            let Ok(waker) = self.waiters.cursor_front_mut().remove_current(None) else {
                break;
            };
            batch.wake(waker);
        }
        if self.refuses_closers().is_none() {
            return batch.is_full();
        }
        while !batch.is_full() {
            let Some(waker) = self.ledger.as_mut().and_then(Ledger::take_waiting) else {
                return false;
            };
            batch.wake(Some(waker));
        }
        true
    }
}
