//! The end of a session for a caller that waits for the device's answer.
//!
//! Mostly nobody else has a use of the session and a slot is free: then the *destroy* is a request
//! like any other, which its closer holds. Else the closer leaves its waker in the ledger, and the
//! *destroy* is sent when the last use has gone and there is a slot.

use core::task::{Context, Poll, Waker};

use super::{InFlight, Queue, sessions::SessionIndex, slot::State};
use crate::{Error, Platform, sync::atomic::Ordering};

/// Waits for the answer to a *destroy*.
///
/// # Cancellation
///
/// Dropped, the session ends all the same.
#[derive(Debug)]
pub(crate) enum Closing<'q, P: Platform> {
    /// The *destroy* is in flight.
    Sent(InFlight<'q, P>),
    /// It is, or waits to be sent, and nobody holds it.
    Watched(Watch<'q, P>),
    /// The answer has been taken.
    Done,
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
    pub(crate) fn close_session(&self, session: SessionIndex, waker: &Waker) -> Closing<'_, P> {
        let mut waker = Some(waker.clone());
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
        Closing::Sent(InFlight::with_waker(self, slot))
    }

    #[cold]
    fn watch(&self, session: SessionIndex) -> Closing<'_, P> {
        self.start_backlog();
        Closing::Watched(Watch {
            queue: self,
            session: Some(session),
        })
    }
}

impl<P: Platform> Closing<'_, P> {
    /// Tells what the device answered, or why it never will.
    #[inline]
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let outcome = match self {
            Self::Sent(in_flight) => in_flight.poll(context),
            Self::Watched(watch) => watch.poll(context),
            Self::Done => Poll::Pending,
        };
        match outcome {
            Poll::Ready(Ok(())) => match core::mem::replace(self, Self::Done) {
                Self::Sent(in_flight) => Poll::Ready(in_flight.take_destroyed()),
                Self::Watched(_) | Self::Done => Poll::Ready(Ok(())),
            },
            outcome => outcome,
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
    fn drop(&mut self) {
        if let Some(session) = self.session {
            let waker = self.queue.with_ledger(|ledger| ledger.unwatch(session));
            drop(waker);
        }
    }
}
