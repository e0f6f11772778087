//! The end of a queue: nothing is sent any more, and every waiting task is told why.

use super::{
    ENDED, Queue,
    batch::Batch,
    guarded::{DrainReport, Guarded, keep_reason},
};
use crate::{
    Error, Platform,
    error::DeviceFault,
    sync::{atomic::Ordering, run_all},
};

impl<P: Platform> Queue<P> {
    /// Ends the queue because the device has broken the rules. From this hold of the lock on,
    /// nothing is taken from the ring.
    #[cold]
    pub(super) fn mark_broken(
        &self,
        guarded: &mut Guarded<P>,
        fault: DeviceFault,
        report: &mut DrainReport,
    ) {
        guarded.end(Error::Broken(fault));
        self.poll_flags.fetch_or(ENDED, Ordering::Release);
        (report.ended, report.broke) = (true, true);
    }

    /// Ends the queue as [`end`](Self::end) does, unless the device has requests or sessions still
    /// wait for their end: `false` then. All in one hold of the lock, so that nothing is sent
    /// between.
    pub(crate) fn end_if_idle(&self, error: Error) -> bool {
        let is_ended = self.with(|guarded| {
            let is_ended = guarded.ended.is_some() || !guarded.is_busy();
            if is_ended {
                guarded.end(error);
            }
            is_ended
        });
        if is_ended {
            // Release: as in `end`.
            self.poll_flags.fetch_or(ENDED, Ordering::Release);
        }
        is_ended
    }

    /// Ends the queue; [`wake_waiters`](Self::wake_waiters) has to follow, and tells those who
    /// wait. What is in flight stays in its slots. The first reason that lasts counts, except that
    /// a shutdown replaces it.
    pub(crate) fn end(&self, error: Error) {
        // In one go: nothing is sent on a queue that has ended.
        let (queue, ()) = self.with_current(|_, locked| locked.guarded.end(error));
        // Release: pairs with the acquire in `ended`. A waiter that reads `false` there has left
        // its waker under the lock, when it was sent or by its poll, where `wake_waiters` finds it.
        queue.poll_flags.fetch_or(ENDED, Ordering::Release);
    }

    /// Gives out no more slots, and tells the callers that wait for one. What is in flight goes on.
    pub(crate) fn close(&self, error: Error) {
        let kick = self.with(|guarded| {
            keep_reason(&mut guarded.closed, error);
            // Kicks are put off no more.
            guarded.decide_deferred_kick()
        });
        if kick {
            self.ring_doorbell();
        }
        self.wake_waiters();
    }

    /// Wakes the tasks that wait in vain: for a slot of a queue that is closed, for anything of one
    /// that has ended. One pass, which a waker that polls at once does not make longer: nobody
    /// begins to wait for what will not come.
    pub(crate) fn wake_waiters(&self) {
        let mut from = 0;
        run_all(|| {
            let mut batch = Batch::default();
            let collect = |guarded: &mut Guarded<P>| guarded.collect_waiters(&mut from, &mut batch);
            let more = self.with(collect);
            batch.wake_all();
            more
        });
    }

    /// Tells whether the device has requests, or sessions still wait for their end.
    pub(crate) fn is_busy(&self) -> bool {
        self.with(|guarded| guarded.is_busy())
    }

    /// Returns why nothing goes on any more; for the common `None` without the lock.
    #[inline]
    pub(crate) fn ended(&self) -> Option<Error> {
        // Acquire: pairs with the release in `end`.
        if self.poll_flags.load(Ordering::Acquire) & ENDED == 0 {
            return None;
        }
        self.with(|guarded| guarded.ended)
    }
}
