//! The blocking form of every operation, for callers without an executor.

use alloc::{sync::Arc, task::Wake};
use core::{
    future::Future,
    ops::ControlFlow,
    pin::pin,
    sync::atomic::{AtomicBool, Ordering},
    task::{Context, Poll, Waker},
};

use crate::{Error, queue::begin_wait};

/// Whether the request was woken since its last poll: the caller's way to idle asks that.
#[derive(Debug, Default)]
pub struct WakeFlag(AtomicBool);

impl WakeFlag {
    /// Tells whether the request wants to be polled again. A way to idle that sleeps asks with
    /// interrupts masked, right before it sleeps.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

impl Wake for WakeFlag {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Release: pairs with the acquire of `is_set`.
        self.0.store(true, Ordering::Release);
    }
}

/// Runs a request to its end on the calling CPU, without an executor: the blocking form of every
/// operation of this crate.
///
/// Whenever the request is not done yet, `idle` is called: it may sleep until an interrupt (asking
/// [`WakeFlag::is_set`] with interrupts masked first, and not if it is), yield or spin, and it may
/// give up by returning [`ControlFlow::Break`]. One small allocation a call.
///
/// A wake only sets a flag. So only the CPU that gets all of the device's interrupts may sleep, and
/// only while nobody else drains or has a [`Poller`](crate::Poller). Any other CPU spins, or has a
/// waker that ends its sleep ([`block_on_with`]).
///
/// Within [`Device::share_kicks`](crate::Device::share_kicks) or
/// [`Device::batch`](crate::Device::batch) it ends the sharing, so that it does not wait for what
/// the device has not been notified of.
///
/// # Errors
///
/// [`Error::GaveUp`] when `idle` gave up; the request is then cancelled like a dropped future.
pub fn block_on<F: Future>(
    future: F,
    mut idle: impl FnMut(&WakeFlag) -> ControlFlow<()>,
) -> Result<F::Output, Error> {
    begin_wait();
    let mut future = pin!(future);
    let woken = Arc::new(WakeFlag(AtomicBool::new(true)));
    let waker = Waker::from(woken.clone());
    let mut context = Context::from_waker(&waker);
    loop {
        // Acquire: pairs with the release in `wake_by_ref`.
        if woken.0.swap(false, Ordering::Acquire)
            && let Poll::Ready(output) = future.as_mut().poll(&mut context)
        {
            return Ok(output);
        }
        // Also when it is woken already: where the driver polls it always is, and may give up.
        if idle(&woken).is_break() {
            return Err(Error::GaveUp);
        }
    }
}

/// Like [`block_on`], for a kernel with threads or with CPUs that sleep. `waker` is the caller's
/// own, and ends its sleep, whichever CPU calls it.
///
/// The request is polled, then `sleep` is called, and so on. `sleep` returns once `waker` has been
/// called since it was called last, at once if that was before: as [`park`] and `unpark` of the
/// standard library do it. It may return earlier, and it may give up by returning
/// [`ControlFlow::Break`]. Allocates nothing.
///
/// Where the driver polls, the request wakes its waker at every poll.
///
/// # Errors
///
/// Those of [`block_on`].
///
/// [`park`]: https://doc.rust-lang.org/std/thread/fn.park.html
pub fn block_on_with<F: Future>(
    future: F,
    waker: &Waker,
    mut sleep: impl FnMut() -> ControlFlow<()>,
) -> Result<F::Output, Error> {
    begin_wait();
    let mut future = pin!(future);
    let mut context = Context::from_waker(waker);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return Ok(output);
        }
        if sleep().is_break() {
            return Err(Error::GaveUp);
        }
    }
}
