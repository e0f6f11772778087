//! Whether the device's hardware is ready: while it is not, nothing is sent (Virtio 1.3, 5.9.5).
//!
//! That is a reason for which the queue is closed, one that passes: whoever wants a slot finds it where it
//! looks for the others. What is in flight stays in flight, and is answered or not. No slot is handed over;
//! *destroys* and kicks wait. When the hardware is back all of them go on as slots come back, by
//! [`Guarded::pass_on`].

use super::{
    Queue,
    sessions::Ledger,
    slot::{Batch, Content, NONE},
    state::{Guarded, Shared},
};
use crate::{Error, Platform, sync::run_all};

/// What becomes of requests while the device's hardware is not ready.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhenNotReady {
    /// They end with [`Error::HardwareNotReady`], those that wait for their turn too.
    #[default]
    Fail,
    /// They wait in the line for its return, however long that takes; those that would not wait for
    /// their turn end as by [`Fail`](Self::Fail).
    Wait,
}

impl<P: Platform> Queue<P> {
    /// Tells whether the device's hardware is ready, as far as is known.
    pub(crate) fn is_ready(&self) -> bool {
        self.guarded.with(|guarded| guarded.is_ready)
    }

    /// Takes note whether the device's hardware is ready; `true` if that is news. Any context.
    pub(crate) fn set_ready(&self, is_ready: bool) -> bool {
        let mut batch = Batch::default();
        let (is_news, more) = self.guarded.with(|guarded| {
            let was_ready = core::mem::replace(&mut guarded.is_ready, is_ready);
            guarded.sends = is_ready && guarded.ended.is_none();
            if was_ready == is_ready {
                return (false, false);
            }
            guarded.close_or_open();
            // In one go with the opening: who comes from here on comes after those that wait.
            let more = guarded.go_on_or_stop(&self.shared, &mut batch);
            batch.kick |= guarded.decide_deferred_kick();
            (true, more)
        });
        if is_news {
            self.finish_all(batch, more);
        }
        is_news
    }

    /// Goes on where there are more than one batch holds.
    #[cold]
    fn finish_all(&self, mut batch: Batch, mut more: bool) {
        // Each pass serves or tells some, and who is served or told has left the line.
        run_all(|| {
            self.finish(&mut batch);
            let goes_on = more;
            if goes_on {
                let pass =
                    |guarded: &mut Guarded<P>| guarded.go_on_or_stop(&self.shared, &mut batch);
                more = self.guarded.with(pass);
            }
            goes_on
        });
    }
}

impl<P: Platform> Guarded<P> {
    /// Closes the queue, or opens it, as the hardware is; unless it is closed for something else.
    pub(super) fn close_or_open(&mut self) {
        if matches!(self.closed, None | Some(Error::HardwareNotReady)) {
            self.closed = (!self.is_ready).then_some(Error::HardwareNotReady);
        }
    }

    /// Returns why who is willing to wait for a slot need not.
    #[cold]
    #[inline(never)]
    pub(super) fn turns_away(&self) -> Option<Error> {
        match self.closed {
            Some(Error::HardwareNotReady) if self.when_not_ready == WhenNotReady::Wait => None,
            closed => closed,
        }
    }

    /// Returns why who waits for a *destroy* that has not been sent need not.
    pub(super) fn puts_off(&self) -> Option<Error> {
        match self.closed {
            _ if self.is_ready => None,
            // That is for those who want a slot.
            Some(Error::Resetting) => {
                let fails = self.when_not_ready == WhenNotReady::Fail;
                fails.then_some(Error::HardwareNotReady)
            }
            _ => self.turns_away(),
        }
    }

    /// Tells whether who is willing to wait waits for the hardware.
    #[inline]
    pub(super) fn is_put_off(&self) -> bool {
        self.closed.is_some() && self.turns_away().is_none()
    }

    /// Serves those who wait, or turns them away, as the hardware is; `true` when there are more.
    fn go_on_or_stop(&mut self, shared: &Shared<P>, batch: &mut Batch) -> bool {
        match self.is_ready {
            true => self.serve_line(shared, batch),
            false => self.turn_away(batch),
        }
    }

    /// Passes slots that nobody has on to who waits, as long as there are both; `true` when there are
    /// more.
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
        if self.turns_away().is_none() {
            return false;
        }
        while !batch.is_full() {
            let Ok(waker) = self.waiters.cursor_front_mut().remove_current(None) else {
                break;
            };
            batch.wake(waker);
        }
        if self.puts_off().is_none() {
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
