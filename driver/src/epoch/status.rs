//! Whether the device is well, and the end of an epoch where it is not.
//!
//! The one rule: a queue that has ended ends all of them, and every waiting task is told why.

use virtio_drivers::transport::DeviceStatus;
use zerocopy::IntoBytes;

use super::Epoch;
use crate::{
    Error, Platform, error::DeviceFault, queue::Queue, sync::run_all,
    transport::reset::ForcedReset, wire::Config,
};

/// How often it is read whether the hardware is ready, where that changes at every reading.
const READY_TRIES: u32 = 8;

impl<P: Platform> Epoch<P> {
    /// Ends every request if the device asks for a reset, has lost its state or is gone, and sends
    /// nothing while its hardware is not ready; `true` if any of that is news. Any context.
    pub(crate) fn check_status(&self) -> bool {
        self.update_status(|| DeviceFault::StatusLost)
    }

    /// Like [`check_status`](Self::check_status), and asks the bus about a device that has lost its
    /// state. Not from an interrupt handler.
    pub(crate) fn check_presence(&self) -> bool {
        let why_lost = || match self.attached.confirm() {
            Ok(_) => DeviceFault::StatusLost,
            Err(_) => DeviceFault::Gone,
        };
        self.update_status(why_lost)
    }

    fn update_status(&self, why_lost: impl Fn() -> DeviceFault) -> bool {
        let is_well = |status: DeviceStatus| {
            status.contains(DeviceStatus::DRIVER_OK)
                && !status.contains(DeviceStatus::DEVICE_NEEDS_RESET)
        };
        let has_ended = || self.queues().all(|queue| queue.ended().is_some());
        if has_ended() {
            // Whether it is there is known from here on, and whether it asks for a reset.
            let _ = self.attached.read_status();
            return false;
        }
        let mut news = false;
        // Once more after each change, until what the queues know is what reads: a CPU that read
        // before another one may come to say so after it. A device that never rests is not waited
        // for.
        let mut tries = 0..READY_TRIES;
        run_all(|| {
            if tries.next().is_none() {
                return false;
            }
            let is_ready = self.read_ready();
            // Read last: what was read of a device that has gone says nothing.
            let status = self.attached.read_status();
            if !status.is_ok_and(is_well) {
                let fault = match status {
                    Err(_) => DeviceFault::Gone,
                    Ok(status) if status.contains(DeviceStatus::DEVICE_NEEDS_RESET) => {
                        DeviceFault::NeedsReset
                    }
                    Ok(_) => why_lost(),
                };
                (news, tries) = (true, 0..0);
                self.end(Error::Broken(fault));
                return false;
            }
            let changed = is_ready.is_some_and(|is_ready| self.set_ready(is_ready));
            news |= changed;
            changed
        });
        news
    }

    /// Tells every queue whether the hardware is ready; `true` if that is news.
    fn set_ready(&self, is_ready: bool) -> bool {
        let (mut queues, mut is_news) = (self.queues(), false);
        run_all(|| {
            let queue = queues.next();
            is_news |= queue.is_some_and(|queue| queue.set_ready(is_ready));
            queue.is_some()
        });
        is_news
    }

    /// Reads whether the device's hardware is ready (Virtio 1.3, 5.9.5).
    fn read_ready(&self) -> Option<bool> {
        let mut status = Config::zeroed();
        let transport = self.attached.transport().ok()?;
        let bytes = status.status.as_mut_bytes();
        transport.read_config(0, bytes).ok()?;
        Some(status.is_ready())
    }

    /// Ends everything: every waiting task is told `error`.
    pub(crate) fn end(&self, error: Error) {
        for queue in self.queues() {
            queue.end(error);
        }
        let mut queues = self.queues();
        run_all(|| queues.next().map(Queue::wake_waiters).is_some());
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
    pub(super) fn spread_end(&self, broke: bool) {
        let error = self.queues().find_map(Queue::ended);
        if let Some(error) = error
            && (broke || self.queues().any(|queue| queue.ended().is_none()))
        {
            self.end(error);
        }
    }
}
