//! A device: what it is, and what it is doing.
//!
//! For users, who hold a [`Device`], and for the services, which open sessions on it. The one rule:
//! it leads to the present epoch; requests and queues belong to that, and end with it.

mod alone;
mod handlers;
pub(crate) mod ladder;
mod leftovers;
pub(crate) mod options;
pub(crate) mod poller;
mod queue_reset;
pub(crate) mod recovery;
mod setup;
pub(crate) mod trial;

use alloc::{sync::Arc, vec::Vec};
use core::{
    fmt,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

use spin::mutex::SpinMutex;

use crate::{
    Error, Platform,
    capabilities::{Capabilities, Proved},
    device::{
        alone::{Change, Changing},
        ladder::{InterruptMode, Interrupts},
        options::Options,
        poller::Poller,
        setup::bring_up,
    },
    dma::GivenUp,
    epoch::Epoch,
    queue::{Place, Queue},
    stats::{InterruptStats, QueueStats},
    sync::{Current, IrqMutex, run_all},
    transport::{Attached, MsixMessage, Transport},
    wire::Features,
};

/// A virtio-crypto device.
///
/// Shared freely between CPUs and interrupt handlers; usually in an `Arc` or a `static`.
#[doc = include_str!("life.md")]
pub struct Device<P: Platform> {
    pub(crate) attached: Arc<Attached>,
    pub(crate) options: Options,
    pub(crate) interrupts: Interrupts,
    /// The present epoch, and those from before a reset that somebody may still have.
    pub(crate) epochs: Current<P, Epoch<P>>,
    /// Memory given up to the device by all the resets until now.
    pub(crate) given_up: Arc<GivenUp>,
    /// The change of the device as a whole that is under way.
    changing: Changing,
    /// It has been taken down, and not set up again.
    pub(crate) is_down: AtomicBool,
    /// The messages of the vectors now; never touched by an interrupt, and by one caller at a time.
    pub(crate) messages: SpinMutex<Vec<MsixMessage>>,
    pub(crate) proved: IrqMutex<P, Proved>,
    /// Sessions of lives before that the device may still have.
    pub(crate) left_behind: AtomicU64,
}

impl<P: Platform> Device<P> {
    /// Sets a device up: reset, features, queues, vectors, DRIVER_OK (Virtio 1.3, 3.1.1).
    ///
    /// # Errors
    ///
    /// [`Error::FeatureMissing`] for a legacy device, [`Error::FeaturesRefused`],
    /// [`Error::ConfigUnstable`], [`Error::Transport`], [`Error::HardwareNotReady`],
    /// [`Error::QueueMissing`], [`Error::QueueTooSmall`], [`Error::ControlQueueOutOfReach`],
    /// [`Error::ResetTimeout`], [`Error::Broken`] when it is gone, [`Error::OutOfDeviceMemory`],
    /// [`Error::OutOfMemory`]; the device is told to reset.
    pub fn new(transport: impl Transport + 'static, mut options: Options) -> Result<Self, Error> {
        let attached = Arc::new(Attached::new(transport));
        let interrupts = Interrupts::new();
        let messages = core::mem::take(&mut options.messages);
        let given_up = Arc::default();
        let epoch = bring_up::<P>(&attached, &options, &messages, &interrupts, &given_up, None)?;
        Ok(Self {
            attached,
            options,
            interrupts,
            given_up,
            left_behind: AtomicU64::new(epoch.data_queues.sessions_left),
            epochs: Current::new("epochs", epoch),
            changing: Changing::new(),
            is_down: AtomicBool::new(false),
            messages: SpinMutex::new(messages),
            proved: IrqMutex::new("proved", Proved::default()),
        })
    }

    /// Returns the epoch of now.
    #[inline]
    pub(crate) fn epoch(&self) -> Arc<Epoch<P>> {
        self.epochs.get()
    }

    pub(crate) fn attached(&self) -> &Attached {
        &self.attached
    }

    pub(crate) fn is_resetting(&self) -> bool {
        self.changing.is(Change::Reset)
    }

    /// Returns what the device advertises, and what was proved of it.
    pub fn capabilities(&self) -> Capabilities {
        Capabilities {
            proved: self.proved.with(|proved| *proved),
            ..*self.epoch().capabilities
        }
    }

    /// Returns the features agreed on.
    pub fn features(&self) -> Features {
        self.epoch().features
    }

    /// Returns how interrupts come.
    pub fn interrupt_mode(&self) -> InterruptMode {
        self.interrupts.mode()
    }

    /// Returns the counters of the control queue.
    pub fn control_stats(&self) -> QueueStats {
        self.epoch().control.stats()
    }

    /// Returns the counters of all data queues together.
    pub fn data_stats(&self) -> QueueStats {
        let epoch = self.epoch();
        epoch.data.iter().map(Queue::stats_since_set_up).sum()
    }

    /// Returns the counters of one data queue, from 0 on; `None` beyond the last.
    pub fn data_queue_stats(&self, queue: usize) -> Option<QueueStats> {
        self.epoch().data.get(queue).map(Queue::stats_since_set_up)
    }

    /// Returns how many data queues are in use. A request goes to the one of the calling CPU: the
    /// CPU's number modulo this.
    pub fn data_queues(&self) -> usize {
        self.epoch().data.len()
    }

    /// Returns how many data queues are left out because the device does not serve them: see
    /// [`Options::trial_limit_ns`].
    pub fn data_queues_left_out(&self) -> usize {
        self.epoch().data_queues.left_out
    }

    /// Returns the counters of the interrupts.
    pub fn interrupt_stats(&self) -> InterruptStats {
        self.interrupts.stats()
    }

    /// Returns how many sessions are open, being opened or still closing.
    pub fn sessions_taken(&self) -> usize {
        self.epoch().control.sessions_taken()
    }

    /// Returns how much memory has been given up for good, because the device may still write to
    /// it: see [`ForcedReset::Quarantine`](crate::ForcedReset::Quarantine).
    pub fn given_up_bytes(&self) -> u64 {
        self.given_up.len_bytes()
    }

    /// Returns how many sessions of this driver's the device may still have, since some keep them
    /// over a reset: those that had a request in flight at a forced reset, of the device or of a
    /// queue ([`ForcedReset`](crate::ForcedReset)), and those that a shutdown had no time for,
    /// until [`recover`](Self::recover) ends these.
    /// [`end_sessions_before`](Self::end_sessions_before) ends what is left.
    pub fn sessions_left_behind(&self) -> u64 {
        let epoch = self.epoch();
        let is_down = epoch.control.ended() == Some(Error::ShutDown) && !self.attached.is_gone();
        let not_ended = if is_down {
            epoch.control.sessions_taken() as u64
        } else {
            0
        };
        self.left_behind.load(Ordering::Relaxed) + not_ended
    }

    /// Returns why the device takes no requests: it is broken or shut down. Reads no register.
    pub fn ended(&self) -> Option<Error> {
        self.epochs.read(|epoch| epoch.control.ended())
    }

    /// Takes whatever the device has used and wakes the tasks that wait for it. For kernels that
    /// poll; with interrupts it is never needed and always harmless. Not from an interrupt handler:
    /// it frees what cancelled requests have left.
    pub fn poll(&self) {
        // Both, whatever a waker does by its panic: there may be no other call for long.
        let mut steps = 0..2;
        run_all(|| {
            match steps.next() {
                Some(0) => self.drain(),
                Some(_) => {
                    self.epoch().check_presence();
                }
                None => return false,
            }
            true
        });
        // An interrupt handler that was reading at a recovery has kept what was before it.
        self.epochs.sweep();
    }

    /// The part of [`poll`](Self::poll) that reads memory alone and no register, for a loop that
    /// waits for completions: a register costs a guest thousands of instructions. It does not
    /// notice a device that asks for a reset. Like [`Poller::drain`], which an interrupt handler
    /// may call, too, since it frees nothing.
    pub fn drain(&self) {
        let epoch = self.epoch();
        epoch.notify_and_drain();
        for queue in epoch.queues() {
            queue.reap();
        }
    }

    /// Begins to poll the rings instead of being interrupted, as long as what this returns lives:
    /// see [`Poller`].
    pub fn poller(&self) -> Poller<P> {
        Poller::new(self.epoch())
    }

    /// Runs `f` so that all the requests that it publishes share one kick: for an executor that has
    /// several tasks to run, all of which may send something.
    ///
    /// If `f` waits for an answer by [`block_on`](crate::block_on), or by a kernel's own way that
    /// calls [`begin_wait`](crate::begin_wait), nothing is put off from there on. Without either,
    /// the device would not know yet of the request that `f` waits for, unless `f` polls the rings:
    /// [`drain`](Self::drain), [`poll`](Self::poll) and a [`Poller`] notify it. Requests of other
    /// CPUs are not put off.
    pub fn share_kicks<R>(&self, f: impl FnOnce() -> R) -> R {
        let _deferred = AllDeferred::new(self.epoch());
        f()
    }

    /// Polls `future` so that all the requests that it publishes in one poll share one kick, as by
    /// [`share_kicks`](Self::share_kicks).
    ///
    /// For many requests awaited together, such as by [`join_all`](crate::join_all).
    ///
    /// # Cancellation
    ///
    /// If this future is dropped, so is `future`; what it has published has been notified.
    pub async fn batch<F: Future>(&self, future: F) -> F::Output {
        let mut future = core::pin::pin!(future);
        core::future::poll_fn(|context| self.share_kicks(|| future.as_mut().poll(context))).await
    }

    /// Forgets what is owed in interrupts, for tests and housekeeping: from here on an interrupt
    /// counts as *unhandled* unless something new is published for it.
    ///
    /// It takes two calls at least, where anything is owed. What the first one finds used may have
    /// been told of by messages that have reached a CPU and wait there. So the caller lets every
    /// CPU take interrupts for a moment, and calls again:
    ///
    /// ```
    /// # use virtio_crypto::{Device, Platform};
    /// # fn example<P: Platform>(device: &Device<P>, take_interrupts_everywhere: impl Fn()) {
    /// while !device.settle() {
    ///     take_interrupts_everywhere();
    /// }
    /// # }
    /// ```
    ///
    /// `false`, and nothing forgotten, in three cases. A request is in flight. Something was used,
    /// or told of by the configuration, since the call before. A message may be on its way from
    /// the device: [`Options::message_travel_ns`] counts from the first call that finds nothing in
    /// flight, and with 0 none is.
    pub fn settle(&self) -> bool {
        let epoch = self.epoch();
        epoch.drain();
        let config_messages = self.attached.config_messages();
        let causes = config_messages.causes();
        let settle = |queue: &&Queue<P>| {
            let published = queue.published();
            // Where messages do not travel by themselves, those for what was published until now go
            // ahead of the register's answer.
            let _ = self.attached.read_status();
            queue.settle(published, P::now_ns(), self.options.message_travel_ns)
        };
        // Every one of them, so that all times begin to run.
        let settled = epoch.queues().filter(settle).count() == epoch.queues().count();
        // When a message of the configuration was sent is not known: one that travels stays owed.
        let do_travel = self.options.message_travel_ns > 0;
        (do_travel || config_messages.settle(causes)) && settled
    }

    /// Tells whether the device says that its hardware is ready (Virtio 1.3, 5.9.5), as far as is
    /// known: a configuration interrupt tells, and every [`check`](Self::check). While it is not,
    /// nothing is sent: see [`Options::when_not_ready`]. Reads no register.
    pub fn is_ready(&self) -> bool {
        self.epochs.read(|epoch| epoch.control.is_ready())
    }

    /// Checks whether the device is there and well, and ends every request if it is not; `Ok` if it
    /// takes requests. Two register reads; any context but an interrupt handler.
    ///
    /// A device whose process has died or whose memory accesses are not translated (see
    /// [`Options::require`]) does not say so by an interrupt: a kernel calls this now and then, ten
    /// times a second for instance, for a device that has requests in flight. [`poll`](Self::poll)
    /// checks it, too.
    ///
    /// # Errors
    ///
    /// Those of [`ended`](Self::ended); [`Error::HardwareNotReady`].
    pub fn check(&self) -> Result<(), Error> {
        let epoch = self.epoch();
        epoch.check_presence();
        match epoch.control.ended() {
            Some(error) => Err(error),
            None if epoch.control.is_ready() => Ok(()),
            None => Err(Error::HardwareNotReady),
        }
    }
}

impl<P: Platform> fmt::Debug for Device<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Device")
            .field("features", &self.features())
            .field("interrupts", &self.interrupts)
            .finish_non_exhaustive()
    }
}

/// Kicks put off, on all queues.
struct AllDeferred<P: Platform> {
    epoch: Arc<Epoch<P>>,
    place: Place,
}

impl<P: Platform> AllDeferred<P> {
    fn new(epoch: Arc<Epoch<P>>) -> Self {
        let place = Place::here::<P>();
        for queue in epoch.queues() {
            queue.defer_kicks(place);
        }
        Self { epoch, place }
    }
}

impl<P: Platform> Drop for AllDeferred<P> {
    fn drop(&mut self) {
        let mut queues = self.epoch.queues();
        run_all(|| {
            let queue = queues.next();
            queue.map(|queue| queue.resume_kicks(self.place)).is_some()
        });
    }
}
