//! Polling the rings instead of being interrupted, for a while.
//!
//! For a CPU that has other work, or that sleeps long, an interrupt is the cheapest way to learn of
//! a completion. A CPU that is idle for a moment learns of it sooner by polling, and spares the
//! device the message and itself the handler. So a kernel's idle loop has a [`Poller`] for as long
//! as it polls, and drops it before it sleeps:
//!
//! ```
//! # use virtio_crypto::{Device, Platform};
//! # fn example<P: Platform>(
//! #     device: &Device<P>,
//! #     is_there_work: impl Fn() -> bool,
//! #     is_time_up: impl Fn() -> bool,
//! #     sleep_until_an_interrupt: impl Fn(),
//! # ) {
//! let poller = device.poller();
//! while !is_there_work() && !is_time_up() {
//!     poller.drain();
//! }
//! drop(poller); // asks for interrupts again, and drains what came before it did
//! // With interrupts masked from here to the sleep, which unmasks them (`sti; hlt`).
//! if !is_there_work() {
//!     sleep_until_an_interrupt();
//! }
//! # }
//! ```
//!
//! A CPU that drains wakes the waiting tasks of all CPUs: their wakers have to end the sleep of
//! those CPUs.
//!
//! A kernel that keeps finding work may keep the poller while its tasks run, so that no interrupt
//! comes between two polls.
//!
//! The one rule: a CPU that has a poller drains, for every CPU.

use alloc::sync::Arc;

use crate::{Platform, epoch::Epoch};

/// A caller that polls a device's rings by itself; see
/// [`Device::poller`](crate::Device::poller).
///
/// While there is one the driver asks the device for no interrupts of its queues (Virtio 1.3,
/// 2.7.7), and **the caller that has it drains**: a task that waits for a completion, on any CPU,
/// waits for the next [`drain`](Self::drain). Any number of CPUs may have one each; interrupts are
/// asked for again when the last is dropped. Not asking is a hint: interrupts that come all the
/// same are answered and accounted for as ever, and those of the configuration are not affected.
///
/// It belongs to the device as it is now: a [`recover`](crate::Device::recover) goes on with
/// interrupts, and a poller from before finds nothing any more.
///
/// Dropping it drains, and wakes waiting tasks. Forgetting it leaves the rings to be drained by
/// hand until the device is recovered.
#[derive(Debug)]
#[must_use = "the rings have to be drained as long as it lives"]
pub struct Poller<P: Platform> {
    epoch: Arc<Epoch<P>>,
}

impl<P: Platform> Poller<P> {
    pub(crate) fn new(epoch: Arc<Epoch<P>>) -> Self {
        epoch.begin_polling();
        Self { epoch }
    }

    /// Takes whatever the device has used and wakes the tasks that wait for it. Reads memory alone,
    /// and no register; any context.
    pub fn drain(&self) {
        self.epoch.notify_and_drain();
    }
}

impl<P: Platform> Drop for Poller<P> {
    fn drop(&mut self) {
        self.epoch.end_polling();
    }
}
