//! A session between the answer to its *create* and the caller that gets it.
//!
//! The one rule: a session always has somebody who ends it. Between the two whoever gets the slot
//! of the *create* is woken, and may panic.

use super::{Queue, sessions::SessionIndex};
use crate::Platform;

/// A session that its caller does not have yet. Dropping it ends the session.
#[derive(Debug)]
pub(super) struct Opened<'q, P: Platform> {
    queue: &'q Queue<P>,
    session: SessionIndex,
}

impl<P: Platform> Opened<'_, P> {
    /// Hands it to its caller, who ends it.
    #[inline(always)]
    pub(super) fn into_index(self) -> SessionIndex {
        let session = self.session;
        core::mem::forget(self);
        session
    }
}

impl<P: Platform> Drop for Opened<'_, P> {
    #[cold]
    fn drop(&mut self) {
        self.queue.leave_session(self.session);
    }
}

impl<P: Platform> Queue<P> {
    /// Records the id that the device gave to a session. Takes no lock.
    #[inline(always)]
    pub(super) fn open_session(&self, session: SessionIndex, id: u64) -> Opened<'_, P> {
        self.shared.sessions.open(session, id);
        let queue = self;
        Opened { queue, session }
    }
}
