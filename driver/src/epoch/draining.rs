//! Draining the queues of an epoch: for interrupts, for CPUs that poll, and for tasks that wait.
//!
//! The one rule: sessions are ended before anybody is woken, since a waker may panic.

use super::Epoch;
use crate::{
    Platform,
    queue::{Batch, DrainReport, Queue},
    sync::{atomic::Ordering, run_all},
};

/// One busy poll in so many reads the device's status too: a register costs a guest thousands of
/// instructions.
const BUSY_POLLS_A_STATUS: u32 = 1024;

impl<P: Platform> Epoch<P> {
    /// Takes whatever the device has used, in all queues.
    pub(crate) fn drain(&self) {
        let mut queues = self.queues();
        run_all(|| {
            let queue = queues.next();
            queue.map(|queue| self.drain_queue(queue, false)).is_some()
        });
    }

    /// Drains for a kernel that polls. It waits for what its CPU has put off, too, so the device is
    /// notified of that first.
    pub(crate) fn notify_and_drain(&self) {
        let mut queues = self.queues();
        let mut is_drained = false;
        run_all(|| {
            match queues.next() {
                Some(queue) => queue.notify_deferred(),
                None if is_drained => return false,
                None => {
                    is_drained = true;
                    self.drain();
                }
            }
            true
        });
    }

    /// Notifies the device of what this CPU has put off, on all queues, if a caller is about to
    /// wait within the section.
    pub(crate) fn notify_before_wait(&self) {
        self.queues().for_each(Queue::notify_before_wait);
    }

    /// Drains for a task that waits where no interrupt comes, not even one that tells of a device
    /// that has broken.
    #[cold]
    pub(crate) fn busy_poll(&self) {
        self.drain();
        let polls = self.busy_polls.fetch_add(1, Ordering::Relaxed);
        if polls.is_multiple_of(BUSY_POLLS_A_STATUS) {
            self.check_presence();
        }
    }

    /// Drains `queue`, for an interrupt, which spends a credit if `spend` says so, or for a caller
    /// that polls.
    pub(crate) fn drain_queue(&self, queue: &Queue<P>, spend: bool) -> DrainReport {
        let mut report = DrainReport::default();
        self.drain_all_of(queue, spend, &mut report);
        report
    }

    /// Drains all queues for an interrupt that stands for all of them. It spends one credit at
    /// most, and is the only one that comes, so whoever is woken costs no queue its turn.
    pub(crate) fn drain_for_interrupt(&self) -> DrainReport {
        let mut queues = self.queues();
        let mut total = DrainReport::default();
        // Of one queue; known where a waker panics, too.
        let mut report = DrainReport::default();
        run_all(|| {
            total.drained = total.drained.saturating_add(report.drained);
            total.spent |= report.spent;
            report = DrainReport::default();
            let drain = |queue| self.drain_all_of(queue, !total.spent, &mut report);
            queues.next().map(drain).is_some()
        });
        total
    }

    fn drain_all_of(&self, queue: &Queue<P>, spend: bool, report: &mut DrainReport) {
        report.more = true;
        self.drain_on(queue, spend, report, &mut Batch::default());
    }

    /// Drains like [`drain_queue`](Self::drain_queue), and spends a credit, for the one place that
    /// handles nearly all interrupts. `Ok` if it took something and nothing else is left to do.
    ///
    /// # Errors
    ///
    /// The whole report, if something else is left to do.
    #[inline(always)]
    pub(crate) fn drain_queue_fast(&self, queue: &Queue<P>) -> Result<(), DrainReport> {
        let mut batch = Batch::default();
        match queue.drain_fast(&mut batch) {
            Ok(()) => {
                self.finish(queue, &mut batch);
                Ok(())
            }
            // What it was owed has gone to the one in its place.
            Err(first) if first.ended && queue.is_replaced() => {
                Err(self.drain_queue(queue.current(), true))
            }
            Err(mut report) => {
                self.drain_on(queue, true, &mut report, &mut batch);
                Err(report)
            }
        }
    }

    /// Goes on as long as there is more than one batch holds, and tells everybody where the queue
    /// has ended.
    ///
    /// The device uses a request once, so this ends when it has used what was in flight, and what
    /// callers have sent since: it goes on for as long as they do, a batch of them for each pass.
    #[inline(never)]
    fn drain_on(&self, queue: &Queue<P>, spend: bool, total: &mut DrainReport, batch: &mut Batch) {
        let mut queue = queue;
        run_all(|| {
            self.finish(queue, batch);
            if !total.more {
                if total.ended {
                    self.spread_end(total.broke);
                }
                return false;
            }
            let mut report = queue.drain(batch, spend && !total.spent);
            if report.ended && queue.is_replaced() {
                queue = queue.current();
                report = queue.drain(batch, spend && !total.spent);
            }
            *total = DrainReport {
                drained: total.drained.saturating_add(report.drained),
                spent: total.spent | report.spent,
                more: report.more,
                ended: total.ended | report.ended,
                broke: total.broke | report.broke,
            };
            true
        });
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
        let sessions = core::iter::from_fn(|| batch.take_unused());
        self.control.destroy_unused(sessions);
    }
}
