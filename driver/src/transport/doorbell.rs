//! How a device is notified of a queue: one register write, computed once.
//!
//! For queues, which kick without their lock. The one rule: it may be rung at any time, also after
//! a reset and after the transport is gone.

use alloc::sync::Arc;
use core::fmt;

use super::pci::NotifyRegister;
use crate::{dma::barrier, index::QueueIndex};

/// Tells the device that a queue has new available buffers.
///
/// One register write through an address computed once; shared freely, rung outside every lock.
#[derive(Clone, Debug)]
pub struct Doorbell(Ring);

/// A notification that is not one register write.
pub trait Notify: Send + Sync + fmt::Debug {
    /// Notifies the device of `queue`. Any context, any number of callers at once. What the device
    /// is to find in memory has been ordered before a register write of the calling CPU.
    fn notify(&self, queue: QueueIndex);

    /// Notifies the device likewise, where a kick says how far the driver has come
    /// ([`Doorbell::shared_with_position`]).
    fn notify_with_position(&self, queue: QueueIndex, _position: u16) {
        self.notify(queue);
    }
}

#[derive(Clone, Debug)]
enum Ring {
    Register(NotifyRegister<u16>),
    /// With `VIRTIO_F_NOTIFICATION_DATA`.
    WithPosition(NotifyRegister<u32>),
    Shared(Arc<dyn Notify>, QueueIndex),
    SharedWithPosition(Arc<dyn Notify>, QueueIndex),
}

impl Doorbell {
    /// Makes a doorbell of a register.
    pub(super) fn register(register: NotifyRegister<u16>) -> Self {
        Self(Ring::Register(register))
    }

    /// Makes a doorbell of a register to which the position is written, too.
    pub(super) fn register_with_position(register: NotifyRegister<u32>) -> Self {
        Self(Ring::WithPosition(register))
    }

    /// Makes a doorbell of anything that can notify.
    pub fn shared(notify: Arc<dyn Notify>, queue: QueueIndex) -> Self {
        Self(Ring::Shared(notify, queue))
    }

    /// Makes a doorbell of anything that can notify and say how far the driver has come: for a
    /// transport that has accepted `VIRTIO_F_NOTIFICATION_DATA`.
    pub fn shared_with_position(notify: Arc<dyn Notify>, queue: QueueIndex) -> Self {
        Self(Ring::SharedWithPosition(notify, queue))
    }

    /// Rings it: the device finds whatever was written to memory before. `position` tells where the
    /// driver makes the next buffer available (Virtio 1.3, 2.9), and is asked only where a kick
    /// says so.
    #[inline]
    pub fn ring(&self, position: impl FnOnce() -> u16) {
        barrier::before_register_write();
        match &self.0 {
            Ring::Register(register) => register.ring(),
            Ring::Shared(notify, queue) => notify.notify(*queue),
            Ring::WithPosition(_) | Ring::SharedWithPosition(..) => self.tell(position()),
        }
    }

    #[cold]
    fn tell(&self, position: u16) {
        // The position has been read under a lock since.
        barrier::before_register_write();
        match &self.0 {
            Ring::WithPosition(register) => register.ring_with(u32::from(position) << 16),
            Ring::SharedWithPosition(notify, queue) => {
                notify.notify_with_position(*queue, position);
            }
            Ring::Register(_) | Ring::Shared(..) => {}
        }
    }
}
