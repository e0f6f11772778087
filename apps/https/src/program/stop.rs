//! The end, as workers hear of it.

use alloc::{boxed::Box, vec::Vec};
use core::{
    future::{Future, poll_fn},
    pin::pin,
    sync::atomic::{AtomicBool, Ordering},
    task::{Poll, Waker},
};

use kernel::sync::SpinLock;

/// Says to every worker that it is time to stop.
pub struct Stop {
    is_said: AtomicBool,
    /// By worker.
    wakers: Box<[SpinLock<Option<Waker>>]>,
}

impl Stop {
    /// Makes one for so many workers.
    pub fn new(workers: usize) -> Self {
        let waker = |_| SpinLock::new("stop", None);
        let wakers: Vec<_> = (0..workers).map(waker).collect();
        Self {
            is_said: AtomicBool::new(false),
            wakers: wakers.into(),
        }
    }

    /// Whether it has been said.
    pub fn is_said(&self) -> bool {
        self.is_said.load(Ordering::Acquire)
    }

    /// Says it.
    pub fn say(&self) {
        self.is_said.store(true, Ordering::Release);
        for place in &self.wakers {
            // Woken without the lock.
            if let Some(waker) = place.with(Option::take) {
                waker.wake();
            }
        }
    }

    /// Waits for `future`, unless it is time to stop: then it is dropped.
    pub async fn or<F: Future>(&self, worker: usize, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        poll_fn(|context| {
            if let Poll::Ready(output) = future.as_mut().poll(context) {
                return Poll::Ready(Some(output));
            }
            let waker = context.waker().clone();
            drop(self.wakers[worker].with(|place| place.replace(waker)));
            // It may have been said before there was somebody to wake.
            match self.is_said() {
                true => Poll::Ready(None),
                false => Poll::Pending,
            }
        })
        .await
    }
}
