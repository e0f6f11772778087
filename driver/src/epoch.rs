//! One life of the device, from DRIVER_OK to its reset: the control queue, the data queues and the
//! sessions that they share.
//!
//! Sessions keep their epoch alive, so one from before a reset never meets the rings after it: its
//! requests end with [`Error::ShutDown`].

use alloc::{boxed::Box, sync::Arc};

use virtio_drivers::transport::DeviceStatus;
use zerocopy::IntoBytes;

use crate::{
    Error, Platform,
    capabilities::Capabilities,
    error::DeviceFault,
    heap::{boxed, room_for},
    queue::{Batch, DrainReport, Queue, SessionTable},
    sync::{
        atomic::{AtomicBool, AtomicU32, Ordering},
        run_all,
    },
    transport::{Attached, QueueIndex, reset::ForcedReset},
    wire::{Config, Features},
};

/// The queues and sessions of one life of the device.
#[derive(Debug)]
pub(crate) struct Epoch<P: Platform> {
    attached: Arc<Attached>,
    pub(crate) control: Queue<P>,
    /// At least one.
    pub(crate) data: Box<[Queue<P>]>,
    pub(crate) sessions: Arc<SessionTable>,
    /// Those agreed on.
    pub(crate) features: Features,
    pub(crate) capabilities: Box<Capabilities>,
    pub(crate) data_queues: DataQueues,
    /// No interrupt comes: whoever waits drains.
    polled: AtomicBool,
    /// Looks of those who wait, where no interrupt comes.
    looks: AtomicU32,
}

/// Which data queues of the device are in use.
#[derive(Debug)]
pub(crate) struct DataQueues {
    /// At least one.
    pub(crate) in_use: Box<[QueueIndex]>,
    /// Those that a trial found not to be served.
    pub(crate) left_out: usize,
    /// Sessions of the trial's that the device may have kept.
    pub(crate) sessions_left: u64,
}

impl DataQueues {
    /// Chooses those of `wanted` that are below `end`, if there are any, or the first `count`.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfMemory`].
    pub(crate) fn choose(wanted: Option<&Self>, count: u16, end: u16) -> Result<Self, Error> {
        if let Some(wanted) = wanted {
            let mut in_use = room_for(wanted.in_use.len())?;
            in_use.extend(wanted.in_use.iter().filter(|queue| queue.0 < end));
            if !in_use.is_empty() {
                return Ok(Self {
                    in_use: in_use.into_boxed_slice(),
                    ..*wanted
                });
            }
        }
        Ok(Self {
            in_use: boxed((0..count).map(QueueIndex))?,
            left_out: 0,
            sessions_left: 0,
        })
    }

    /// Leaves all out but those at these positions, if there are any.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfMemory`].
    pub(crate) fn without_others(&self, positions: &[usize]) -> Result<Self, Error> {
        let all = self.in_use.iter().enumerate();
        let is_kept = |position| positions.is_empty() || positions.contains(&position);
        let mut in_use = room_for(self.in_use.len())?;
        in_use.extend(
            all.filter(|(position, _)| is_kept(*position))
                .map(|(_, queue)| *queue),
        );
        Ok(Self {
            left_out: self.in_use.len() - in_use.len(),
            in_use: in_use.into_boxed_slice(),
            sessions_left: 0,
        })
    }
}

/// Of so many looks at the rings one reads the device's status too: a register costs a guest
/// thousands of instructions.
const LOOKS_A_STATUS: u32 = 1024;
/// How often it is read whether the hardware is ready, where that changes at every reading.
const READY_TRIES: u32 = 8;

impl<P: Platform> Epoch<P> {
    pub(crate) fn new(
        attached: Arc<Attached>,
        control: Queue<P>,
        data: Box<[Queue<P>]>,
        sessions: Arc<SessionTable>,
        features: Features,
        capabilities: Capabilities,
        data_queues: DataQueues,
    ) -> Self {
        Self {
            attached,
            control,
            data,
            sessions,
            features,
            capabilities: Box::new(capabilities),
            data_queues,
            polled: AtomicBool::new(false),
            looks: AtomicU32::new(0),
        }
    }

    /// Returns the data queue of the calling CPU.
    #[inline]
    pub(crate) fn data_queue(&self) -> &Queue<P> {
        let cpu = P::cpu() as usize;
        // No division where every CPU has a queue of its own.
        let own = self.data.get(cpu);
        own.unwrap_or_else(|| &self.data[cpu % self.data.len()])
    }

    /// Returns all queues, in the order of their interrupts: data queues first.
    pub(crate) fn queues(&self) -> impl Iterator<Item = &Queue<P>> {
        self.data.iter().chain([&self.control])
    }

    /// Returns the queue at a position of [`queues`](Self::queues).
    #[inline]
    pub(crate) fn queue_at(&self, position: usize) -> Option<&Queue<P>> {
        let control = (position == self.data.len()).then_some(&self.control);
        self.data.get(position).or(control)
    }

    /// Returns what each queue is owed in interrupts.
    pub(crate) fn credits(&self) -> impl Iterator<Item = u16> {
        self.queues().map(|queue| queue.stats().interrupt_credit)
    }

    /// Takes over what the queues before a reset are owed, each by the vector that it had. What came
    /// by vectors that are not used any more is the control queue's to account for.
    pub(crate) fn inherit_credits(&self, credits: impl Iterator<Item = u16>) {
        for (position, credit) in credits.enumerate() {
            self.queue_at(position)
                .unwrap_or(&self.control)
                .inherit_credit(credit);
        }
    }

    /// Tells whether an interrupt was owed by the vector of a position at which there is no queue any
    /// more: a trial has left queues out.
    #[cold]
    pub(crate) fn spend_for_left_out(&self, position: usize) -> bool {
        let is_left_out = position <= self.data.len() + self.data_queues.left_out;
        is_left_out && self.control.spend_for_another()
    }

    /// Returns how many requests the device has.
    pub(crate) fn in_flight(&self) -> u32 {
        self.queues().map(|queue| queue.stats().in_flight).sum()
    }

    /// No interrupt will come: asks for none, and leaves draining to those who wait.
    pub(crate) fn set_polled(&self) {
        self.polled.store(true, Ordering::Relaxed);
        self.queues().for_each(Queue::set_polled);
        self.begin_polling();
    }

    /// Somebody looks at the rings from here on: see [`Queue::begin_polling`].
    pub(crate) fn begin_polling(&self) {
        self.queues().for_each(Queue::begin_polling);
    }

    /// One who looked at the rings leaves; asks for interrupts again where it was the last, and
    /// takes what came before it did.
    pub(crate) fn end_polling(&self) {
        self.queues().for_each(Queue::end_polling);
        self.notify_and_drain();
    }

    #[inline]
    pub(crate) fn is_polled(&self) -> bool {
        self.polled.load(Ordering::Relaxed)
    }

    /// Takes whatever the device has used, in all queues.
    pub(crate) fn drain(&self) {
        let mut queues = self.queues();
        run_all(|| {
            let queue = queues.next();
            queue.map(|queue| self.interrupt(queue, false)).is_some()
        });
    }

    /// Like [`drain`](Self::drain), for a kernel that looks, and so waits for what its CPU has put
    /// off, too.
    pub(crate) fn notify_and_drain(&self) {
        for queue in self.queues() {
            queue.notify_deferred();
        }
        self.drain();
    }

    /// Notifies of what this CPU has put off, on all queues, where a caller is about to wait
    /// within.
    pub(crate) fn notify_before_wait(&self) {
        self.queues().for_each(Queue::notify_before_wait);
    }

    /// Like [`drain`](Self::drain), for who waits where no interrupt comes, not even one that tells
    /// of a device that has broken.
    #[cold]
    pub(crate) fn look(&self) {
        self.drain();
        let looks = self.looks.fetch_add(1, Ordering::Relaxed);
        if looks.is_multiple_of(LOOKS_A_STATUS) {
            self.check_presence();
        }
    }

    /// Ends every request if the device asks for a reset, has lost its state or is gone, and sends
    /// nothing while its hardware is not ready; `true` if any of that is news. Any context.
    pub(crate) fn check_status(&self) -> bool {
        self.judge_status(|| DeviceFault::StatusLost)
    }

    /// Like [`check_status`](Self::check_status), and asks the bus about a device that has lost its
    /// state. Not from an interrupt handler.
    pub(crate) fn check_presence(&self) -> bool {
        self.judge_status(|| match self.attached.confirm() {
            Ok(_) => DeviceFault::StatusLost,
            Err(_) => DeviceFault::Gone,
        })
    }

    fn judge_status(&self, why_lost: impl FnOnce() -> DeviceFault) -> bool {
        let is_well = |status: DeviceStatus| {
            status.contains(DeviceStatus::DRIVER_OK)
                && !status.contains(DeviceStatus::DEVICE_NEEDS_RESET)
        };
        let has_ended = || self.queues().all(|queue| queue.ended().is_some());
        if has_ended() {
            // Whether it is there is known from here on.
            let _ = self.attached.read_status();
            return false;
        }
        let mut news = false;
        // Once more after each change, until what the queues know is what reads: a CPU that read
        // before another one may come to say so after it. A device that never rests is not waited
        // for.
        for _ in 0..READY_TRIES {
            let is_ready = self.read_ready();
            // Read last: what was read of a device that has gone says nothing.
            let status = self.attached.read_status();
            if !status.is_ok_and(is_well) {
                self.end(Error::Broken(match status {
                    Err(_) => DeviceFault::Gone,
                    Ok(status) if status.contains(DeviceStatus::DEVICE_NEEDS_RESET) => {
                        DeviceFault::NeedsReset
                    }
                    Ok(_) => why_lost(),
                }));
                return true;
            }
            let changed = is_ready.is_some_and(|is_ready| {
                let queues = self.queues().filter(|queue| queue.set_ready(is_ready));
                queues.count() > 0
            });
            news |= changed;
            if !changed {
                break;
            }
        }
        news
    }

    /// Reads whether the device's hardware is ready (Virtio 1.3, 5.9.5).
    fn read_ready(&self) -> Option<bool> {
        let mut status = Config::zeroed();
        let transport = self.attached.transport().ok()?;
        let bytes = status.status.as_mut_bytes();
        transport.read_config(0, bytes).ok()?;
        Some(status.is_ready())
    }

    /// Answers an interrupt that stands for `queue`, which spends a credit if `spend` says so, or a
    /// caller that looks.
    pub(crate) fn interrupt(&self, queue: &Queue<P>, spend: bool) -> DrainReport {
        let start = DrainReport {
            more: true,
            ..DrainReport::default()
        };
        self.go_on(queue, spend, start, &mut Batch::default())
    }

    /// Like [`interrupt`](Self::interrupt), spending a credit, for the one place that nearly all
    /// interrupts come by: how many elements it took, and whether it spent one.
    ///
    /// # Errors
    ///
    /// The whole answer, where there was more to it.
    #[inline(always)]
    pub(crate) fn interrupt_in_place(&self, queue: &Queue<P>) -> Result<(u32, bool), DrainReport> {
        let mut batch = Batch::default();
        match queue.interrupt_in_place(&mut batch) {
            Ok(taken) => {
                self.finish(queue, &mut batch);
                Ok(taken)
            }
            Err(first) => Err(self.go_on(queue, true, first, &mut batch)),
        }
    }

    /// Goes on as long as there is more than one batch holds, and tells everybody where the queue
    /// has ended.
    ///
    /// The device uses a request once, so this ends when it has used what was in flight, and what
    /// callers have sent since: it goes on for as long as they do, a batch of them for each pass.
    #[inline(never)]
    fn go_on(
        &self,
        queue: &Queue<P>,
        spend: bool,
        first: DrainReport,
        batch: &mut Batch,
    ) -> DrainReport {
        let mut total = first;
        run_all(|| {
            self.finish(queue, batch);
            if !total.more {
                if total.ended {
                    self.spread_end(total.broke);
                }
                return false;
            }
            let answer = queue.interrupt(batch, spend && !total.spent);
            total = DrainReport {
                drained: total.drained.saturating_add(answer.drained),
                spent: total.spent | answer.spent,
                more: answer.more,
                ended: total.ended | answer.ended,
                broke: total.broke | answer.broke,
            };
            true
        });
        total
    }

    /// Ends sessions before anybody is woken, since a waker may panic.
    #[inline(always)]
    fn finish(&self, queue: &Queue<P>, batch: &mut Batch) {
        if batch.ends_sessions() {
            self.end_sessions(batch);
        }
        queue.finish(batch);
    }

    #[cold]
    fn end_sessions(&self, batch: &mut Batch) {
        while let Some(session) = batch.take_unused() {
            self.control.destroy_unused(session);
        }
    }

    /// Ends everything: whoever waits is told `error`.
    pub(crate) fn end(&self, error: Error) {
        for queue in self.queues() {
            queue.end(error);
        }
        let mut queues = self.queues();
        run_all(|| queues.next().map(Queue::tell).is_some());
    }

    /// The device, which takes nothing more, has confirmed its reset: takes back the memory of
    /// queues that it had nothing of in flight, and of all of them if it is trusted.
    pub(crate) fn take_back(&self, forced_reset: ForcedReset) {
        for queue in self.queues() {
            // A device writes on for requests that it had; where it had none, nothing is left to
            // write.
            if forced_reset.is_trusted() || queue.stats().in_flight == 0 {
                queue.take_back();
            }
        }
    }

    /// Ends everything if one queue has ended, because the others cannot outlive it, and if that is
    /// news.
    #[cold]
    fn spread_end(&self, broke: bool) {
        let error = self.queues().find_map(Queue::ended);
        if let Some(error) = error
            && (broke || self.queues().any(|queue| queue.ended().is_none()))
        {
            self.end(error);
        }
    }
}
