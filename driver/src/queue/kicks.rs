//! Kicks put off, so that many requests share one.

use super::Queue;
use crate::Platform;

/// While one of these lives, the queue's kicks are put off; the last one that goes makes up for
/// them, with one.
#[derive(Debug)]
pub(crate) struct Deferred<'q, P: Platform>(&'q Queue<P>);

impl<'q, P: Platform> Deferred<'q, P> {
    pub(crate) fn new(queue: &'q Queue<P>) -> Self {
        queue.guarded.with(|guarded| guarded.deferring += 1);
        Self(queue)
    }
}

impl<P: Platform> Drop for Deferred<'_, P> {
    fn drop(&mut self) {
        let kick = self.0.guarded.with(|guarded| {
            guarded.deferring -= 1;
            guarded.decide_kick()
        });
        if kick {
            self.0.doorbell.ring();
        }
    }
}
