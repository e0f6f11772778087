//! How the driver reaches a device: registers, interrupt vectors, doorbells.
//!
//! For set-up, for the interrupt handlers, and for queues that kick. A [`Transport`] takes `&self`
//! everywhere, because an interrupt handler reads the device's status while a task rings a
//! doorbell. The driver makes its set-up calls (features, queues, vectors, status writes) from one
//! place at a time; a transport only has to keep memory safe when they race, not to make them
//! meaningful.
//!
//! The one rule: whatever a device says is checked here or where it is used, and what cannot be
//! checked is vouched for by an `unsafe fn`.

#![expect(unsafe_code, reason = "device registers")]

mod adapter;
mod attached;
mod config_messages;
mod doorbell;
pub mod pci;
pub(crate) mod reset;

use core::fmt;

use virtio_drivers::transport::{DeviceStatus, InterruptStatus};

pub use self::{
    adapter::VirtioDriversTransport,
    doorbell::{Doorbell, Notify},
    reset::TrustedReset,
};
pub(crate) use self::{
    attached::Attached,
    config_messages::{LEFT_BEHIND, TRAVELLING},
};
pub use crate::{
    error::TransportError,
    index::{MsixEntry, QueueIndex},
};

/// The message that an MSI-X table entry sends: what the kernel's interrupt controller made of one
/// interrupt vector on one CPU.
///
/// # Invariant
///
/// *An interrupt*: what the device writes there raises an interrupt, and changes no memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MsixMessage {
    address: u64,
    data: u32,
}

impl MsixMessage {
    /// Makes a message of the bus address that the device writes to and the value that it writes.
    ///
    /// # Safety
    ///
    /// Writing `data` to `address` raises an interrupt whose handler is prepared for being called
    /// at any time, and does nothing else: a device that is given the address of memory writes over
    /// it.
    pub const unsafe fn new(address: u64, data: u32) -> Self {
        Self { address, data }
    }

    /// Returns the bus address that the device writes to.
    pub const fn address(self) -> u64 {
        self.address
    }

    /// Returns the value that it writes.
    pub const fn data(self) -> u32 {
        self.data
    }
}

/// Where a queue's rings lie, as bus addresses.
///
/// # Invariant
///
/// *The device's to write*: see [`new`](Self::new). The owner of these may tell them to the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueAddresses {
    descriptors: u64,
    available: u64,
    used: u64,
}

impl QueueAddresses {
    /// Makes them of the bus addresses of descriptor table, available ring ("driver area") and used
    /// ring ("device area").
    ///
    /// # Safety
    ///
    /// From when a device is told of them until it has confirmed a reset, its own or the queue's,
    /// all three lie in memory that is made for it, as long as the queue's size calls for, and so
    /// does whatever the descriptors in them lead to: the device reads it, and writes the used ring
    /// and what descriptors let it write.
    pub const unsafe fn new(descriptors: u64, available: u64, used: u64) -> Self {
        Self {
            descriptors,
            available,
            used,
        }
    }

    /// Returns the descriptor table's.
    pub const fn descriptors(self) -> u64 {
        self.descriptors
    }

    /// Returns the available ring's ("driver area").
    pub const fn available(self) -> u64 {
        self.available
    }

    /// Returns the used ring's ("device area").
    pub const fn used(self) -> u64 {
        self.used
    }
}

/// Tells whether a status is what the registers of a device that has been removed read: all ones.
/// No device shows all bits, as long as the driver does not write FAILED.
pub(crate) fn is_gone(status: DeviceStatus) -> bool {
    status.contains(DeviceStatus::all())
}

/// A device as its registers show it.
///
/// # Safety
///
/// The driver gives memory back to its owner, or to the platform, on the word of a transport. So:
///
/// - [`read_status`](Self::read_status) gives what the device's own status register reads at that
///   time, and is never empty after a [`write_status`](Self::write_status) of an empty status but
///   when the device has finished that reset. From then on it touches no memory that it was given
///   before; but for requests that were in flight, which [`ForcedReset`](crate::ForcedReset) is
///   about.
/// - [`is_queue_reset`](Self::is_queue_reset) is true only when the device says of a queue that it
///   has finished the reset that [`reset_queue`](Self::reset_queue) began. From then on it touches
///   no memory that it was given for that queue before; but for requests in flight, likewise.
/// - [`set_queue`](Self::set_queue) and [`set_msix_message`](Self::set_msix_message) tell the
///   device just what they are given, and nothing else ever tells it an address.
/// - Nobody else drives the device as long as the transport lives, and the device keeps to the
///   memory that it is given: it writes what a descriptor lets it write, and not once it has put
///   the chain into the used ring. No driver can check that, since whatever masters the bus can
///   write to any memory; an IOMMU can. Everything else that a device says is checked where it is
///   used, and may be a lie.
///
/// Whatever else a transport answers or does not do, features, sizes, configuration, vectors, kicks
/// that are lost, may at worst make requests fail.
pub unsafe trait Transport: Send + Sync + fmt::Debug {
    /// Reads the feature bits that the device offers.
    fn read_device_features(&self) -> u64;

    /// Returns which of `VIRTIO_F_NOTIFICATION_DATA` and `VIRTIO_F_NOTIF_CONFIG_DATA` this
    /// transport supports. Other bits do not count.
    fn notification_features(&self) -> u64 {
        0
    }

    /// Writes the feature bits that the driver accepts; before it asks for a doorbell.
    fn write_driver_features(&self, features: u64);

    /// Reads the device status; all ones where no device answers at its registers. One register
    /// read or two; any context.
    fn read_status(&self) -> DeviceStatus;

    /// Tells whether the device is still at its place, as far as its bus knows: of one that has
    /// been taken out not every machine's registers read ones. Not from an interrupt handler.
    fn is_present(&self) -> bool {
        true
    }

    /// Writes the device status; empty begins a reset, which is done when it reads back empty.
    fn write_status(&self, status: DeviceStatus);

    /// Reads how many entries the device allows for a queue; 0 means that there is no such queue.
    fn read_max_queue_size(&self, queue: QueueIndex) -> u16;

    /// Tells the device where a queue lies and how many entries it has, without enabling it; that
    /// comes next, before another queue is set.
    fn set_queue(&self, queue: QueueIndex, size: u16, addresses: QueueAddresses);

    /// Enables a queue that has its addresses and its vector.
    fn enable_queue(&self, queue: QueueIndex);

    /// Tells whether this transport resets queues by themselves: with `VIRTIO_F_RING_RESET`.
    fn resets_queues(&self) -> bool {
        false
    }

    /// Begins to reset a queue alone (Virtio 1.3, 2.6.1): only where
    /// [`resets_queues`](Self::resets_queues) says so. Afterwards its vector and addresses are set
    /// anew, and it is enabled again.
    fn reset_queue(&self, _queue: QueueIndex) {}

    /// Tells whether the device has finished the reset of a queue.
    fn is_queue_reset(&self, _queue: QueueIndex) -> bool {
        false
    }

    /// Returns the doorbell of a queue. The doorbell stays harmless for ever: it may be rung after
    /// a reset and after the transport is gone.
    ///
    /// # Errors
    ///
    /// [`TransportError`] when the device gives the queue none that can be used.
    fn doorbell(&self, queue: QueueIndex) -> Result<Doorbell, TransportError>;

    /// Reads the configuration generation. One register read; any context.
    fn read_config_generation(&self) -> u32;

    /// Reads bytes of the device configuration space, in naturally aligned 32-bit accesses. Any
    /// context.
    ///
    /// # Errors
    ///
    /// [`TransportError::ConfigTooShort`] when the space ends before `offset + bytes.len()`.
    fn read_config(&self, offset: usize, bytes: &mut [u8]) -> Result<(), TransportError>;

    /// Returns how many MSI-X table entries the device has; 0 without MSI-X.
    fn msix_entries(&self) -> u16 {
        0
    }

    /// Masks an MSI-X table entry, writes its message, and unmasks it; `None` leaves it masked.
    /// What is pending while it is masked is sent when it is unmasked.
    fn set_msix_message(&self, _entry: MsixEntry, _message: Option<MsixMessage>) {}

    /// Switches MSI-X on (and INTx off) or off (and INTx on) for the whole function.
    fn set_msix_enabled(&self, _enabled: bool) {}

    /// Writes a queue's vector and returns what reads back; `None` when the device refused.
    fn set_queue_vector(&self, _queue: QueueIndex, _entry: Option<MsixEntry>) -> Option<MsixEntry> {
        None
    }

    /// Writes the configuration vector and returns what reads back; `None` when the device refused.
    fn set_config_vector(&self, _entry: Option<MsixEntry>) -> Option<MsixEntry> {
        None
    }

    /// Reads the ISR status register, which also clears it and lowers INTx. Any context.
    fn read_interrupt_status(&self) -> InterruptStatus;
}

/// What safe code cannot say, because a device would write over memory: where it is configured,
///
/// ```compile_fail,E0133
/// # use virtio_crypto::{Platform, transport::{TransportError, pci::PciTransport}};
/// # use virtio_drivers::transport::pci::bus::{ConfigurationAccess, DeviceFunction};
/// fn open<P: Platform, C: ConfigurationAccess + Send>(
///     liar: C,
///     at: DeviceFunction,
/// ) -> Result<PciTransport<P, C>, TransportError> {
///     PciTransport::new(liar, at)
/// }
/// ```
///
/// which transport of somebody else's is to be believed,
///
/// ```compile_fail,E0133
/// # use virtio_crypto::{Platform, transport::{TransportError, VirtioDriversTransport}};
/// fn wrap<P: Platform, T: virtio_drivers::transport::Transport + Send + 'static>(
///     liar: T,
/// ) -> Result<VirtioDriversTransport<P, T>, TransportError> {
///     VirtioDriversTransport::new(liar)
/// }
/// ```
///
/// where its rings are, where it sends its messages, and when its reset is final.
///
/// ```compile_fail,E0133
/// let anywhere = virtio_crypto::transport::QueueAddresses::new(0x1000, 0x2000, 0x3000);
/// ```
///
/// ```compile_fail,E0133
/// let message = virtio_crypto::transport::MsixMessage::new(0x1000, 42);
/// ```
///
/// ```compile_fail,E0133
/// let trusted = virtio_crypto::transport::TrustedReset::new();
/// ```
#[cfg(doctest)]
struct SafeCode;
