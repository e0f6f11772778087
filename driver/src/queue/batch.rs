//! What is collected under the lock and done once it is released.

use core::task::Waker;

use arrayvec::ArrayVec;

use super::sessions::SessionIndex;

/// Most used elements taken under one hold of the lock.
pub(super) const BATCH: u16 = 16;

/// What to do once the lock is released: wake, notify, end sessions. Of fixed size, because
/// nothing is allocated under the lock.
///
/// A waker may panic: then the others are woken by the drop.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// Mostly the only one: a place by itself costs less than an array's.
    first: Option<Waker>,
    /// The others: a used element brings up to two.
    wakers: ArrayVec<Waker, { 2 * BATCH as usize }>,
    unused: ArrayVec<SessionIndex, { BATCH as usize }>,
    /// The device has to be notified.
    pub(super) kick: bool,
}

impl Batch {
    /// Tells whether there is no room for another waker.
    pub(super) fn is_full(&self) -> bool {
        self.wakers.is_full()
    }

    /// Tells whether nothing has been collected.
    pub(super) fn is_empty(&self) -> bool {
        self.first.is_none() && self.wakers.is_empty() && self.unused.is_empty()
    }

    #[inline]
    pub(super) fn wake(&mut self, waker: Option<Waker>) {
        if self.first.is_none() {
            self.first = waker;
        } else if let Some(waker) = waker {
            self.wake_too(waker);
        }
    }

    #[cold]
    fn wake_too(&mut self, waker: Waker) {
        let taken = self.wakers.try_push(waker);
        debug_assert!(
            taken.is_ok(),
            "there is room for all that `BATCH` elements bring"
        );
    }

    #[inline]
    pub(super) fn end_session(&mut self, session: SessionIndex) {
        let taken = self.unused.try_push(session);
        debug_assert!(
            taken.is_ok(),
            "there is room for all that `BATCH` elements bring"
        );
    }

    /// Wakes everybody collected, in no particular order. Without the lock.
    #[inline]
    pub(super) fn wake_all(&mut self) {
        if let Some(waker) = self.first.take() {
            waker.wake();
        }
        while let Some(waker) = self.wakers.pop() {
            waker.wake();
        }
    }

    /// Tells whether the last use of a session has gone.
    #[inline]
    pub(crate) fn ends_sessions(&self) -> bool {
        !self.unused.is_empty()
    }

    /// Takes a session whose last use has gone.
    pub(crate) fn take_unused(&mut self) -> Option<SessionIndex> {
        self.unused.pop()
    }
}

impl Drop for Batch {
    #[inline]
    fn drop(&mut self) {
        self.wake_all();
    }
}
