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
}

#[derive(Clone, Debug)]
enum Ring {
    Register(NotifyRegister),
    Shared(Arc<dyn Notify>, QueueIndex),
}

impl Doorbell {
    /// Makes a doorbell of a register.
    pub(super) fn register(register: NotifyRegister) -> Self {
        Self(Ring::Register(register))
    }

    /// Makes a doorbell of anything that can notify.
    pub fn shared(notify: Arc<dyn Notify>, queue: QueueIndex) -> Self {
        Self(Ring::Shared(notify, queue))
    }

    /// Rings it: the device finds whatever was written to memory before.
    #[inline]
    pub fn ring(&self) {
        barrier::before_register_write();
        match &self.0 {
            Ring::Register(register) => register.ring(),
            Ring::Shared(notify, queue) => notify.notify(*queue),
        }
    }
}
