//! The end of a session for a caller that waits for the device's answer.
//!
//! Mostly nobody else has a use of the session and a slot is free: then the *destroy* is a request
//! like any other, which its closer holds. Else the closer leaves its waker in the ledger, and the
//! *destroy* is sent when the last use has gone and there is a slot.

use core::task::{Context, Poll, Waker};

use super::{
    Queue,
    body::Extent,
    in_flight::{FirstPoll, InFlight},
    ledger::Ledger,
    sessions::SessionIndex,
    slot::State,
};
use crate::{Error, Platform, sync::atomic::Ordering};

/// A closer's place in the ledger.
#[derive(Debug)]
pub(crate) struct CloseWatch<'q, P: Platform> {
    queue: &'q Queue<P>,
    /// `None` once the answer has been taken, and the place with it.
    session: Option<SessionIndex>,
}

impl<P: Platform> Queue<P> {
    /// Gives the caller's use of a session back; the last use ends the session. The device's answer
    /// wakes `waker`. Returns the *destroy* if it was sent at once. Else the queue sends it later,
    /// and [`watch_close`](Self::watch_close) waits for its answer.
    #[inline(always)]
    pub(crate) fn close_session(
        &self,
        session: SessionIndex,
        waker: Waker,
    ) -> Option<InFlight<'_, P>> {
        let mut waker = Some(waker);
        let entry = self.shared.sessions.entry(session);
        let (slot, word, kick) = self.with(|guarded| {
            let is_last = entry.release_held_and_take();
            if is_last
                && guarded.sends
                && let Some(slot) = guarded.pop_free(&self.shared)
            {
                let kept = &mut guarded.slots[usize::from(slot)].waker;
                core::mem::swap(kept, &mut waker);
                let word = self.shared.word(slot);
                let (place, session) = ((slot, word), (session, entry));
                let kick = guarded.send_destroy_of(&self.shared, place, session, State::Submitted);
                return Some((slot, word, kick));
            }
            if let Some(ledger) = &mut guarded.ledger {
                ledger.watch(session, waker.take());
                if is_last {
                    ledger.push_backlog(session);
                }
            }
            None
        })?;
        Some(self.sent((slot, word), Extent::NONE, FirstPoll::WakerRecorded, kick))
    }

    /// Returns why a caller does not wait for the end of a session: its *destroy* has not been
    /// sent, nothing is sent now, and callers are not to wait.
    fn refuses_closers(&self, session: SessionIndex) -> Option<Error> {
        self.with(|guarded| {
            let is_waiting = |ledger: &Ledger| ledger.is_waiting(session);
            guarded
                .refuses_closers()
                .filter(|_| guarded.ledger.as_ref().is_some_and(is_waiting))
        })
    }

    /// Watches the end of a session that [`close_session`](Self::close_session) has left to the
    /// queue.
    #[cold]
    pub(crate) fn watch_close(&self, session: SessionIndex) -> CloseWatch<'_, P> {
        // Before the doorbell is rung, as in `destroy_stray`.
        let watch = CloseWatch::new(self, session);
        self.start_backlog();
        watch
    }
}

impl<'q, P: Platform> CloseWatch<'q, P> {
    /// A place in the ledger that is watched by now.
    pub(super) fn new(queue: &'q Queue<P>, session: SessionIndex) -> Self {
        Self {
            queue,
            session: Some(session),
        }
    }

    /// Tells what the device answered, or why it never will.
    #[cold]
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let queue = self.queue;
        let Some(session) = self.session else {
            return Poll::Pending;
        };
        // The second pass has put the waker in place, so nothing falls between.
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
            if queue.shared.sessions.is_lost(session) {
                return Poll::Ready(Err(Error::QueueReset));
            }
            if let Some(error) = queue.ended().or_else(|| queue.refuses_closers(session)) {
                return Poll::Ready(Err(error));
            }
            waker = Some(context.waker().clone());
        }
        queue.pending_polls.fetch_add(1, Ordering::Relaxed);
        Poll::Pending
    }
}

impl<P: Platform> Drop for CloseWatch<'_, P> {
    #[inline(always)]
    fn drop(&mut self) {
        if let Some(session) = self.session {
            self.leave(session);
        }
    }
}

impl<P: Platform> CloseWatch<'_, P> {
    #[cold]
    fn leave(&self, session: SessionIndex) {
        let waker = self.queue.with_ledger(|ledger| ledger.unwatch(session));
        drop(waker);
    }
}
