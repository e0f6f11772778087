//! The reset of one data queue while the device goes on (`VIRTIO_F_RING_RESET`; Virtio 1.3, 2.6.1).
//!
//! For a kernel one of whose queues has fallen silent. What becomes of the queue that was reset is
//! in `queue/replacing`. The one rule: the device has said that it is done with the queue before
//! another one takes its place.

use alloc::boxed::Box;

use crate::{
    Error, Platform,
    deadline::Deadline,
    device::{
        Device,
        alone::Change,
        setup::{layout, make_queue},
    },
    epoch::Epoch,
    error::DeviceFault,
    index::QueueIndex,
    queue::{Layout, MAX_RESETS, Queue},
    sync::run_all,
    transport::Transport,
    wire::Features,
};

impl<P: Platform> Device<P> {
    /// Resets one data queue, from 0 on, and brings it back, while the others and the sessions go
    /// on. Requests in flight on it get up to `limit_ns` to end; those that the device still has
    /// then end with [`Error::QueueReset`], and what they were in is dealt with as
    /// [`forced_reset`](crate::Options::forced_reset) says. A request that is being put into its
    /// slot just then ends likewise, with its buffers. Callers that wait for a slot of the queue go
    /// on waiting, and get one afterwards; those that do not wait get [`Error::QueueReset`]
    /// meanwhile. Returns how many requests the device still had.
    ///
    /// The calling CPU spins as long as that takes: up to `limit_ns`, and then up to
    /// [`reset_limit_ns`](crate::Options::reset_limit_ns). For the control queue there is
    /// [`recover`](Self::recover) alone.
    ///
    /// Unless the device is trusted ([`ForcedReset::Reclaim`](crate::ForcedReset::Reclaim)), it may
    /// still be at those requests. Their sessions can be used as before, but do not end until
    /// [`recover`](Self::recover): closing one gives [`Error::QueueReset`].
    ///
    /// The queue's memory is kept until the device is recovered or dropped, so a queue can be reset
    /// 16 times between two recoveries; then this is [`Error::TooManyQueueResets`]. Not from an
    /// interrupt handler.
    ///
    /// # Errors
    ///
    /// [`Error::FeatureMissing`] where the device or the transport resets no queue alone;
    /// [`Error::QueueMissing`]; [`Error::TooManyQueueResets`]; [`Error::OutOfMemory`],
    /// [`Error::OutOfDeviceMemory`], [`Error::Transport`]; [`Error::TooMuchGivenUp`];
    /// [`Error::Resetting`] when another caller is at it; those of [`ended`](Self::ended). Nothing
    /// has changed then. [`DeviceFault::QueueNotReset`] in [`Error::Broken`] when the device did
    /// not bring the queue back within [`reset_limit_ns`](crate::Options::reset_limit_ns): it needs
    /// a [`recover`](Self::recover).
    pub fn reset_queue(&self, queue: usize, limit_ns: u64) -> Result<u32, Error> {
        let _alone = self.changing.begin(Change::Queue)?;
        let transport = self.attached.confirm()?;
        let epoch = self.epoch();
        if let Some(error) = epoch.control.ended() {
            return Err(error);
        }
        if !epoch.features.contains(Features::RING_RESET) {
            return Err(Error::FeatureMissing {
                feature: Features::RING_RESET.name(),
            });
        }
        let place = epoch
            .data
            .get(queue)
            .zip(epoch.data_queues.in_use.get(queue));
        let missing = QueueIndex(u16::try_from(queue).unwrap_or(u16::MAX));
        let (place, index) = place.ok_or(Error::QueueMissing { queue: missing })?;
        if place.resets() >= MAX_RESETS {
            return Err(Error::TooManyQueueResets { max: MAX_RESETS });
        }
        self.check_given_up()?;
        let old = place.current();
        let next = self.successor(&epoch, transport, old, *index)?;

        // From here on the device takes the queue back, or ends.
        let unfinished = Unfinished {
            epoch: &epoch,
            queue: *index,
        };
        old.close_for_reset();
        self.wait_for(&epoch, old, &mut Deadline::after::<P>(limit_ns));
        let is_back = match epoch.control.ended() {
            None => self.reset_on_device(&epoch, old, *index, queue),
            Some(error) => Err(error),
        };
        // It may have gone.
        epoch.check_presence();
        if let Some(error) = epoch.control.ended() {
            return Err(error);
        }
        if !is_back? {
            return Err(not_reset(*index));
        }
        next.lend();
        transport.set_queue(*index, next.entries(), next.addresses());
        transport.enable_queue(*index);
        let (lost, ended) = old.replace_by(next);
        core::mem::forget(unfinished);

        let is_trusted = self.options.forced_reset.is_trusted();
        if is_trusted || lost == 0 {
            old.take_back();
        }
        // Each of them, whatever a doorbell or a waker does by its panic.
        let mut steps = 0..5;
        run_all(|| {
            match steps.next() {
                Some(0) => ended.into_iter().for_each(|error| epoch.end(error)),
                Some(1) => {
                    let unused = old.forget_requests(is_trusted);
                    epoch.control.destroy_unused(unused);
                }
                Some(2) => old.clear(),
                Some(3) => old.wake_waiters(),
                Some(4) => epoch.control.wake_closers(),
                _ => return false,
            }
            true
        });
        epoch.check_presence();
        epoch.control.ended().map_or(Ok(lost), Err)
    }

    /// Makes the queue that is to come in the place of `old`.
    fn successor(
        &self,
        epoch: &Epoch<P>,
        transport: &dyn Transport,
        old: &Queue<P>,
        index: QueueIndex,
    ) -> Result<Box<Queue<P>>, Error> {
        let max_request_bytes = epoch.capabilities.room_bytes();
        let layout = Layout {
            max_entries: old.entries(),
            ..layout(index, &self.options, epoch.features, max_request_bytes)
        };
        let next = make_queue(transport, layout, &epoch.sessions, &self.given_up)?;
        if self.options.message_travel_ns > 0 {
            next.let_messages_travel();
        }
        if epoch.is_polled() {
            next.set_polled();
        }
        next.share_vector(self.interrupts.mode().sharing(epoch.queues().count()));
        Ok(Box::new(next))
    }

    /// Resets the queue on the device, takes what that used before, and gives the next queue the
    /// vector; `false` if the device does not do its part.
    fn reset_on_device(
        &self,
        epoch: &Epoch<P>,
        old: &Queue<P>,
        index: QueueIndex,
        position: usize,
    ) -> Result<bool, Error> {
        self.attached.transport()?.reset_queue(index);
        if !self.wait_for_reset(index)? {
            return Ok(false);
        }
        epoch.drain_queue(old, false);
        let transport = self.attached.transport()?;
        Ok(self.interrupts.set_again(transport, index, position))
    }

    /// Waits until the device has finished the reset of a queue; `false` if that takes too long.
    fn wait_for_reset(&self, index: QueueIndex) -> Result<bool, Error> {
        let mut deadline = Deadline::after::<P>(self.options.reset_limit_ns);
        loop {
            if self.attached.transport()?.is_queue_reset(index) {
                // One that is gone may read as if it were done.
                return self.attached.confirm().map(|_| true);
            }
            self.attached.read_status()?;
            if deadline.is_over::<P>() {
                return Ok(false);
            }
            core::hint::spin_loop();
        }
    }
}

/// A queue that is being reset. If that comes to nothing, by a panic too, everything ends: its
/// callers would wait for ever.
struct Unfinished<'e, P: Platform> {
    epoch: &'e Epoch<P>,
    queue: QueueIndex,
}

impl<P: Platform> Drop for Unfinished<'_, P> {
    fn drop(&mut self) {
        self.epoch.end(not_reset(self.queue));
    }
}

fn not_reset(queue: QueueIndex) -> Error {
    Error::Broken(DeviceFault::QueueNotReset { queue })
}
