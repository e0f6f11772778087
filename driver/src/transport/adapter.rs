//! Any transport of `virtio_drivers`, for a kernel that has one already.
//!
//! The one rule: its methods take `&mut self`, so all go through one lock, the doorbell too.

use alloc::sync::Arc;
use core::{fmt, mem::ManuallyDrop};

use virtio_drivers::transport::{
    DeviceStatus, DeviceType, InterruptStatus, Transport as VirtioTransport,
};

use super::{Doorbell, Notify, QueueAddresses, QueueIndex, Transport, TransportError};
use crate::{Platform, dma::barrier, sync::IrqMutex, wire::DEVICE_ID};

/// A transport of `virtio_drivers` (MMIO, a hypervisor's own) as one of this driver's.
///
/// It is meant for MMIO; PCI has a transport of this driver's own, [`pci`](super::pci). Theirs for
/// PCI works where the device keeps to the rules, but is no match for one that does not: its
/// `notify` reads the queue's notification offset anew at every kick and panics when it lies
/// outside the region, as it does for a device that has been removed and reads all ones, with the
/// lock held and interrupts masked.
///
/// Their `notify` and `ack_interrupt` want `&mut self`, so all of it stands behind one lock, which
/// a kick takes too. There is no MSI-X: interrupts
/// come by INTx ([`Options::intx`](crate::Options::intx)), or the driver polls.
///
/// Their `PciTransport` enables a queue with one call, so a vector of the caller's own cannot be
/// set between.
pub struct VirtioDriversTransport<P: Platform, T: VirtioTransport> {
    shared: Arc<Shared<P, T>>,
}

struct Shared<P: Platform, T>(IrqMutex<P, State<T>>);

struct State<T> {
    /// Never dropped: its drop would reset the device, even if another driver has it by then, and
    /// wait for that without a limit. This driver resets the device itself.
    transport: ManuallyDrop<T>,
    /// What the last `set_queue` said, until `enable_queue`: theirs does both in one.
    queue: Option<(QueueIndex, u16, QueueAddresses)>,
}

impl<P: Platform, T: VirtioTransport + Send + 'static> VirtioDriversTransport<P, T> {
    /// Takes `transport` over.
    ///
    /// # Errors
    ///
    /// [`TransportError::WrongType`] for a device of another type,
    /// [`TransportError::Legacy`] for one with the legacy layout.
    ///
    /// # Safety
    ///
    /// `transport` keeps what this driver's [`Transport`] promises; as a transport of
    /// `virtio_drivers` it promises nothing to `unsafe` code by itself.
    pub unsafe fn new(transport: T) -> Result<Self, TransportError> {
        let device_type = transport.device_type();
        if device_type != DeviceType::Crypto {
            return Err(TransportError::WrongType {
                found: device_type as u8,
                wanted: DEVICE_ID,
            });
        }
        if transport.requires_legacy_layout() {
            return Err(TransportError::Legacy);
        }
        let state = State {
            transport: ManuallyDrop::new(transport),
            queue: None,
        };
        let shared = Arc::new(Shared(IrqMutex::new("virtio transport", state)));
        Ok(Self { shared })
    }

    /// Reads or writes registers, in order with what is written to memory before and read after it.
    fn with<R>(&self, f: impl FnOnce(&mut State<T>) -> R) -> R {
        barrier::before_register_write();
        let result = self.shared.0.with(f);
        barrier::after_register_read();
        result
    }
}

impl<P: Platform, T: VirtioTransport + Send + 'static> Notify for Shared<P, T> {
    fn notify(&self, queue: QueueIndex) {
        self.0.with(|state| state.transport.notify(queue.0));
    }
}

// SAFETY: hands on what the transport within answers and is told; for that the caller of `new`
// vouches.
unsafe impl<P: Platform, T: VirtioTransport + Send + 'static> Transport
    for VirtioDriversTransport<P, T>
{
    fn read_device_features(&self) -> u64 {
        self.with(|state| state.transport.read_device_features())
    }

    fn write_driver_features(&self, features: u64) {
        self.with(|state| state.transport.write_driver_features(features));
    }

    fn read_status(&self) -> DeviceStatus {
        self.with(|state| state.transport.get_status())
    }

    fn write_status(&self, status: DeviceStatus) {
        self.with(|state| {
            state.transport.set_status(status);
        });
    }

    fn read_max_queue_size(&self, queue: QueueIndex) -> u16 {
        let size = self.with(|state| state.transport.max_queue_size(queue.0));
        u16::try_from(size).unwrap_or(u16::MAX)
    }

    fn set_queue(&self, queue: QueueIndex, size: u16, addresses: QueueAddresses) {
        self.with(|state| state.queue = Some((queue, size, addresses)));
    }

    fn enable_queue(&self, queue: QueueIndex) {
        self.with(|state| {
            let set = state.queue.take_if(|(index, ..)| *index == queue);
            let Some((_, size, addresses)) = set else {
                return;
            };
            state.transport.queue_set(
                queue.0,
                size.into(),
                addresses.descriptors(),
                addresses.available(),
                addresses.used(),
            );
        });
    }

    fn doorbell(&self, queue: QueueIndex) -> Result<Doorbell, TransportError> {
        Ok(Doorbell::shared(self.shared.clone(), queue))
    }

    fn read_config_generation(&self) -> u32 {
        self.with(|state| state.transport.read_config_generation())
    }

    fn read_config(&self, offset: usize, bytes: &mut [u8]) -> Result<(), TransportError> {
        let short = TransportError::ConfigTooShort {
            offset,
            len: bytes.len(),
        };
        self.with(|state| {
            for (i, chunk) in bytes.chunks_mut(4).enumerate() {
                let word = state.transport.read_config_space::<u32>(offset + 4 * i);
                let word = word.map_err(|_| short)?.to_le_bytes();
                chunk.copy_from_slice(&word[..chunk.len()]);
            }
            Ok(())
        })
    }

    fn read_interrupt_status(&self) -> InterruptStatus {
        self.with(|state| state.transport.ack_interrupt())
    }
}

impl<P: Platform, T: VirtioTransport> fmt::Debug for VirtioDriversTransport<P, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VirtioDriversTransport")
            .finish_non_exhaustive()
    }
}

impl<P: Platform, T> fmt::Debug for Shared<P, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}
