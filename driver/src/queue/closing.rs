//! The end of a session for a caller that waits for the device's answer.
//!
//! Mostly nobody else has a use of the session and a slot is free: then the *destroy* is a request
//! like any other, which its closer holds. Else the closer leaves its waker in the ledger, and the
//! *destroy* is sent when the last use has gone and there is a slot.

use core::task::{Context, Poll, Waker, ready};

use super::{InFlight, Queue, sessions::SessionIndex, slot::State};
use crate::{Error, Platform, sync::atomic::Ordering};

/// Waits for the answer to a *destroy*.
///
/// # Cancellation
///
/// Dropped, the session ends all the same.
#[derive(Debug)]
pub(crate) struct Closing<'q, P: Platform> {
    /// The *destroy*, if it was sent at once.
    in_flight: Option<InFlight<'q, P>>,
    /// Else the wait for whoever sends it.
    watch: Option<Watch<'q, P>>,
}

/// A closer's place in the ledger.
#[derive(Debug)]
pub(crate) struct Watch<'q, P: Platform> {
    queue: &'q Queue<P>,
    /// `None` once the answer has been taken, and the place with it.
    session: Option<SessionIndex>,
}

impl<P: Platform> Queue<P> {
    /// Gives the caller's use of a session back, which ends it with the last use; `waker` is woken
    /// at the device's answer.
    #[inline(always)]
    pub(crate) fn close_session(&self, session: SessionIndex, waker: Waker) -> Closing<'_, P> {
        let mut waker = Some(waker);
        let sent = self.guarded.with(|guarded| {
            let sessions = &self.shared.sessions;
            let is_last = sessions.release_held(session) && sessions.take_unused(session);
            if is_last
                && guarded.ended.is_none()
                && let Some(slot) = guarded.take_free(&self.shared)
            {
                guarded.slots[usize::from(slot)].waker = waker.take();
                let kick = guarded.send_destroy(&self.shared, slot, session, State::Submitted);
                return Some((slot, kick));
            }
            if let Some(ledger) = &mut guarded.ledger {
                ledger.watch(session, waker.take());
                if is_last {
                    ledger.push_backlog(session);
                }
            }
            None
        });
        let Some((slot, kick)) = sent else {
            return self.watch(session);
        };
        if kick {
            self.doorbell.ring();
        }
        Closing {
            in_flight: Some(InFlight::with_waker(self, slot)),
            watch: None,
        }
    }

    #[cold]
    fn watch(&self, session: SessionIndex) -> Closing<'_, P> {
        self.start_backlog();
        let watch = Watch {
            queue: self,
            session: Some(session),
        };
        Closing {
            in_flight: None,
            watch: Some(watch),
        }
    }
}

impl<P: Platform> Closing<'_, P> {
    /// Tells what the device answered, or why it never will.
    #[inline(always)]
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        if let Some(in_flight) = &mut self.in_flight {
            ready!(in_flight.poll(context))?;
        }
        match (self.in_flight.take(), &mut self.watch) {
            (Some(in_flight), _) => Poll::Ready(in_flight.take_destroyed()),
            (None, Some(watch)) => watch.poll(context),
            (None, None) => Poll::Pending,
        }
    }
}

impl<P: Platform> Watch<'_, P> {
    #[cold]
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let queue = self.queue;
        let Some(session) = self.session else {
            return Poll::Pending;
        };
        // The second look has put the waker in place, so nothing falls between.
        let mut waker = None;
        for _ in 0..2 {
            match queue.with_ledger(|ledger| ledger.take_done(session, &mut waker)) {
                Some(Some(result)) => {
                    self.session = None;
                    return Poll::Ready(result);
                }
                Some(None) => {}
                None => return Poll::Ready(Err(Error::ShutDown)),
            }
            if let Some(error) = queue.ended() {
                return Poll::Ready(Err(error));
            }
            waker = Some(context.waker().clone());
        }
        queue.pending_polls.fetch_add(1, Ordering::Relaxed);
        Poll::Pending
    }
}

impl<P: Platform> Drop for Watch<'_, P> {
    #[inline(always)]
    fn drop(&mut self) {
        if let Some(session) = self.session {
            self.leave(session);
        }
    }
}

impl<P: Platform> Watch<'_, P> {
    #[cold]
    fn leave(&self, session: SessionIndex) {
        let waker = self.queue.with_ledger(|ledger| ledger.unwatch(session));
        drop(waker);
    }
}
