//! Kicks put off, so that many requests share one.

use super::Queue;
use crate::Platform;

impl<P: Platform> Queue<P> {
    /// Puts off kicks until as many [`resume_kicks`](Self::resume_kicks).
    pub(crate) fn defer_kicks(&self) {
        self.guarded.with(|guarded| guarded.deferring += 1);
    }

    /// Makes up for the kicks put off, with one.
    pub(crate) fn resume_kicks(&self) {
        let kick = self.guarded.with(|guarded| {
            guarded.deferring -= 1;
            guarded.decide_kick()
        });
        if kick {
            self.doorbell.ring();
        }
    }
}

/// While one of these lives, the queue's kicks are put off; the last one that goes makes up for
/// them, with one.
#[derive(Debug)]
pub(crate) struct Deferred<'q, P: Platform>(&'q Queue<P>);

impl<'q, P: Platform> Deferred<'q, P> {
    pub(crate) fn new(queue: &'q Queue<P>) -> Self {
        queue.defer_kicks();
        Self(queue)
    }
}

impl<P: Platform> Drop for Deferred<'_, P> {
    fn drop(&mut self) {
        self.0.resume_kicks();
    }
}
