//! Counters: what the driver and the device have done.
//!
//! For callers that search for trouble, and for benchmarks. The one rule: they only grow, but for
//! what is in flight and what is owed.

use core::iter::Sum;

/// What one queue has done since the device was set up, or several together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueStats {
    /// Requests made available to the device: completed by now, lost, or in flight.
    pub submitted: u64,
    /// Requests that the device has used.
    pub completed: u64,
    /// Doorbells rung.
    pub kicks: u64,
    /// Polls of a request's future that found it still in flight.
    pub pending_polls: u64,
    /// Requests whose future was dropped before it had taken the result.
    pub abandoned: u64,
    /// Requests that the device still had when their queue was reset by itself.
    pub lost: u64,
    /// Requests in flight now.
    pub in_flight: u32,
    /// Elements that the device has used since its reset: the used index in 64 bits, over all
    /// resets of the queue by itself.
    pub published: u64,
    /// Messages that the device may have sent and that no interrupt has answered for.
    pub interrupt_credit: u16,
}

impl Sum for QueueStats {
    fn sum<I: Iterator<Item = Self>>(queues: I) -> Self {
        queues.fold(Self::default(), |sum, queue| Self {
            submitted: sum.submitted + queue.submitted,
            completed: sum.completed + queue.completed,
            kicks: sum.kicks + queue.kicks,
            pending_polls: sum.pending_polls + queue.pending_polls,
            abandoned: sum.abandoned + queue.abandoned,
            lost: sum.lost + queue.lost,
            in_flight: sum.in_flight + queue.in_flight,
            published: sum.published + queue.published,
            interrupt_credit: sum.interrupt_credit.saturating_add(queue.interrupt_credit),
        })
    }
}

/// What the interrupts of a device were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct InterruptStats {
    /// Interrupts that found something to do.
    pub handled: u64,
    /// Interrupts whose completions somebody else had drained.
    pub already_drained: u64,
    /// Interrupts that nothing the device published accounts for.
    pub unhandled: u64,
}

impl InterruptStats {
    /// Returns how many interrupts there were, whatever they were.
    pub fn total(&self) -> u64 {
        self.handled + self.already_drained + self.unhandled
    }
}
