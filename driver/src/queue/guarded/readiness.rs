//! Whether the device's hardware is ready: while it is not, nothing is sent (Virtio 1.3, 5.9.5).
//!
//! The queue is closed for that time, so a caller that wants a slot meets
//! [`Error::HardwareNotReady`] where it meets other reasons. What is in flight stays in flight, and
//! is answered or not. No slot is handed over; *destroys* and kicks wait. When the hardware is
//! back, all of them go on as slots come back, by [`Guarded::pass_on`].
//!
//! A queue that is about to be reset by itself (`replacing`) is closed in the same way, with
//! [`Error::QueueReset`]: callers in the line wait for the queue that comes in its place.

use super::{Guarded, Shared};
use crate::{
    Error, Platform,
    queue::{batch::Batch, layout::WhenNotReady, ledger::Ledger, slot::Content},
};

impl<P: Platform> Guarded<P> {
    /// Closes the queue if the hardware is not ready, and opens it if it is. A queue that is closed
    /// for another reason stays so.
    pub(in crate::queue) fn close_or_open(&mut self) {
        if matches!(self.closed, None | Some(Error::HardwareNotReady)) {
            self.closed = (!self.is_ready).then_some(Error::HardwareNotReady);
        }
    }

    /// Says whether anything may be sent from here on.
    pub(in crate::queue) fn send_or_not(&mut self) {
        let is_open = self.ended.is_none() && self.closed != Some(Error::QueueReset);
        self.sends = self.is_ready && is_open;
    }

    /// Returns why a caller that is willing to wait for a slot gets an error instead.
    #[cold]
    #[inline(never)]
    pub(in crate::queue) fn refuses_waiters(&self) -> Option<Error> {
        match self.closed {
            Some(Error::HardwareNotReady) if self.when_not_ready == WhenNotReady::Wait => None,
            // For the queue that comes in its place.
            Some(Error::QueueReset) if self.ended.is_none() => None,
            closed => closed,
        }
    }

    /// Tells whether a caller that was handed a slot is not to fill it: it goes on waiting, for the
    /// hardware or for another queue.
    #[inline]
    pub(in crate::queue) fn is_not_to_be_filled(&self) -> bool {
        self.waits_for_hardware() || self.closed == Some(Error::QueueReset)
    }

    /// Checks that a caller that has a slot may send its request.
    ///
    /// # Errors
    ///
    /// Why it may not.
    #[cold]
    #[inline(never)]
    pub(in crate::queue) fn check_open(&self) -> Result<(), Error> {
        match self.closed {
            Some(Error::QueueReset) => Err(Error::QueueReset),
            _ => self.refuses_waiters().map_or(Ok(()), Err),
        }
    }

    /// Returns why a caller that waits for a *destroy* that has not been sent gets an error
    /// instead.
    pub(in crate::queue) fn refuses_closers(&self) -> Option<Error> {
        match self.closed {
            _ if self.is_ready => None,
            // That concerns callers that want a slot.
            Some(Error::Resetting) => {
                let fails = self.when_not_ready == WhenNotReady::Fail;
                fails.then_some(Error::HardwareNotReady)
            }
            _ => self.refuses_waiters(),
        }
    }

    /// Tells whether callers that are willing to wait are to wait although the queue is closed: for
    /// the hardware, or for the queue that comes in this one's place.
    #[inline]
    pub(in crate::queue) fn waits_for_hardware(&self) -> bool {
        self.closed.is_some() && self.refuses_waiters().is_none()
    }

    /// Serves waiting callers if the hardware is ready, else turns them away; `true` when there are
    /// more.
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

    /// Passes slots without an owner on to waiting callers, as long as there are both; `true` when
    /// there are more.
    fn serve_line(&mut self, shared: &Shared<P>, batch: &mut Batch) -> bool {
        while !batch.is_full() {
            let has_backlog = self.ledger.as_ref().is_some_and(Ledger::has_backlog);
            if !self.sends || !has_backlog && self.waiters.is_empty() {
                return false;
            }
            if let Some(slot) = self.pop_free(shared) {
                self.pass_on(shared, slot, Content::Wiped, batch);
            } else if let Some(slot) = self.take_reapable(shared) {
                self.pass_on(shared, slot, Content::Left, batch);
            } else {
                return false;
            }
        }
        true
    }

    /// Collects the callers that are not to wait for the hardware; `true` when there are more.
    fn turn_away(&mut self, batch: &mut Batch) -> bool {
        if self.refuses_waiters().is_none() {
            return false;
        }
        self.dismiss_line(batch);
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
