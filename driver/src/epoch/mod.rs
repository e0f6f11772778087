//! One life of the device, from DRIVER_OK to its reset: the control queue, the data queues and the
//! sessions that they share.
//!
//! For the device, which replaces its epoch at a recovery, and for requests, which belong to one.
//! The one rule: sessions keep their epoch alive, so one from before a reset never meets the rings
//! after it; its requests end with [`Error::ShutDown`](crate::Error::ShutDown).

mod data_queues;
mod draining;
mod status;

use alloc::{boxed::Box, sync::Arc};

pub(crate) use self::data_queues::DataQueues;
use crate::{
    Platform,
    capabilities::Capabilities,
    queue::{Owed, Queue, SessionTable},
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    transport::Attached,
    wire::Features,
};

/// The queues and sessions of one life of the device.
#[derive(Debug)]
pub(crate) struct Epoch<P: Platform> {
    attached: Arc<Attached>,
    pub(crate) control: Queue<P>,
    /// The first queue in each place; at least one. One that is reset by itself has a successor.
    pub(crate) data: Box<[Queue<P>]>,
    pub(crate) sessions: Arc<SessionTable>,
    /// Those agreed on.
    pub(crate) features: Features,
    pub(crate) capabilities: Box<Capabilities>,
    pub(crate) data_queues: DataQueues,
    /// No interrupt comes: each waiting task drains.
    polled: AtomicBool,
    /// Busy polls of waiting tasks, where no interrupt comes.
    busy_polls: AtomicU32,
}

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
            busy_polls: AtomicU32::new(0),
        }
    }

    /// Returns the data queue of the calling CPU.
    #[inline]
    pub(crate) fn data_queue(&self) -> &Queue<P> {
        let cpu = P::cpu() as usize;
        // No division where every CPU has a queue of its own.
        let own = self.data.get(cpu);
        own.unwrap_or_else(|| &self.data[cpu % self.data.len()])
            .current()
    }

    /// Returns the data queues of now.
    pub(crate) fn data_queues(&self) -> impl Iterator<Item = &Queue<P>> {
        self.data.iter().map(Queue::current)
    }

    /// Returns all queues, in the order of their interrupts: data queues first.
    pub(crate) fn queues(&self) -> impl Iterator<Item = &Queue<P>> {
        self.data_queues().chain([&self.control])
    }

    /// Returns the queue at a position of [`queues`](Self::queues).
    #[inline]
    pub(crate) fn queue_at(&self, position: usize) -> Option<&Queue<P>> {
        let control = (position == self.data.len()).then_some(&self.control);
        self.data.get(position).map(Queue::current).or(control)
    }

    /// Returns what each queue is owed in interrupts.
    pub(crate) fn owed(&self) -> impl Iterator<Item = Owed> {
        self.queues().map(Queue::owed)
    }

    /// Takes over what the queues before a reset are owed, each by the vector that it had. What
    /// came by vectors that are not used any more is the control queue's to account for.
    pub(crate) fn inherit(&self, owed: impl Iterator<Item = Owed>) {
        for (position, owed) in owed.enumerate() {
            self.queue_at(position)
                .unwrap_or(&self.control)
                .inherit(owed);
        }
    }

    /// Tells whether an interrupt was owed by the vector of a position at which there is no queue
    /// any more: a trial has left queues out.
    #[cold]
    pub(crate) fn spend_for_left_out(&self, position: usize) -> bool {
        let is_left_out = position <= self.data.len() + self.data_queues.left_out;
        is_left_out && self.control.spend_for_another()
    }

    /// Returns how many requests the device has.
    pub(crate) fn in_flight(&self) -> u32 {
        self.queues().map(|queue| queue.stats().in_flight).sum()
    }

    /// Takes note that no interrupt will come: asks for none, and leaves draining to waiting tasks.
    pub(crate) fn set_polled(&self) {
        self.polled.store(true, Ordering::Relaxed);
        self.queues().for_each(Queue::set_polled);
        self.begin_polling();
    }

    /// Takes note that a caller polls the rings from here on: see [`Queue::begin_polling`].
    pub(crate) fn begin_polling(&self) {
        self.queues().for_each(Queue::begin_polling);
    }

    /// Takes note that a caller polls the rings no longer. After the last one, asks for interrupts
    /// again and takes what came before that.
    pub(crate) fn end_polling(&self) {
        self.queues().for_each(Queue::end_polling);
        self.notify_and_drain();
    }

    #[inline]
    pub(crate) fn is_polled(&self) -> bool {
        self.polled.load(Ordering::Relaxed)
    }
}
