//! How the driver reaches a device: registers, vectors, doorbells.
//!
//! A [`Transport`] takes `&self` everywhere, because an interrupt handler reads the device's
//! status while a task rings a doorbell. The driver makes its set-up calls (features, queues,
//! vectors, status writes) from one place at a time; a transport only has to keep memory safe
//! when they race, not to make them meaningful.

#![expect(unsafe_code, reason = "device registers")]

mod adapter;
mod attached;
pub mod pci;

use alloc::sync::Arc;
use core::fmt;

use virtio_drivers::transport::{DeviceStatus, InterruptStatus};

pub use self::adapter::VirtioDriversTransport;
pub(crate) use self::attached::Attached;

/// The number of a virtqueue of the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueueIndex(pub u16);

/// The number of an entry of the device's MSI-X table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MsixEntry(pub u16);

/// The message that an MSI-X table entry sends: what the kernel's interrupt controller made of one
/// interrupt vector on one CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MsixMessage {
    /// Bus address that the device writes to.
    pub address: u64,
    /// Value that it writes.
    pub data: u32,
}

/// Where a queue's rings lie, as bus addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueAddresses {
    /// Descriptor table.
    pub descriptors: u64,
    /// Available ring ("driver area").
    pub available: u64,
    /// Used ring ("device area").
    pub used: u64,
}

/// Why a transport could not be made or used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransportError {
    /// The function is not a virtio device of the wanted type.
    WrongDevice {
        /// PCI vendor.
        vendor: u16,
        /// PCI device id.
        device: u16,
    },
    /// The device is a virtio device of another type.
    WrongType {
        /// Its device id.
        found: u8,
        /// The id of a crypto device.
        wanted: u16,
    },
    /// The device has the layout from before virtio 1.0.
    Legacy,
    /// A structure that virtio 1.x over PCI requires is missing or lies outside its BAR.
    Capability {
        /// What is missing, in the specification's words.
        structure: &'static str,
        /// Why it cannot be used.
        reason: &'static str,
    },
    /// The configuration space is too short for the wanted bytes.
    ConfigTooShort {
        /// First byte wanted.
        offset: usize,
        /// Number of bytes wanted.
        len: usize,
    },
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WrongDevice { vendor, device } => {
                write!(
                    f,
                    "PCI {vendor:04x}:{device:04x} is not a virtio-crypto device"
                )
            }
            Self::WrongType { found, wanted } => {
                write!(
                    f,
                    "virtio device id {found} is not a crypto device's ({wanted})"
                )
            }
            Self::Legacy => f.write_str("a legacy virtio device: it needs virtio 1.0 or later"),
            Self::Capability { structure, reason } => {
                write!(f, "virtio PCI capability `{structure}`: {reason}")
            }
            Self::ConfigTooShort { offset, len } => {
                write!(
                    f,
                    "the device's configuration space has no {len} bytes at {offset}"
                )
            }
        }
    }
}

impl core::error::Error for TransportError {}

/// Tells whether a status is what the registers of a device that has been removed read: all ones.
/// No device shows all bits, as long as the driver does not write FAILED.
pub(crate) fn is_gone(status: DeviceStatus) -> bool {
    status.contains(DeviceStatus::all())
}

/// A device as its registers show it.
pub trait Transport: Send + Sync + fmt::Debug {
    /// Reads the feature bits that the device offers.
    fn read_device_features(&self) -> u64;

    /// Writes the feature bits that the driver accepts.
    fn write_driver_features(&self, features: u64);

    /// Reads the device status; all ones where no device answers at its registers. One register read
    /// or two; any context.
    fn read_status(&self) -> DeviceStatus;

    /// Tells whether the device is still at its place, as far as its bus knows: of one that has been
    /// taken out not every machine's registers read ones. Not from an interrupt handler.
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

    /// Returns the doorbell of a queue. The doorbell stays harmless for ever: it may be rung after
    /// a reset and after the transport is gone.
    fn doorbell(&self, queue: QueueIndex) -> Doorbell;

    /// Reads the configuration generation. One register read; any context.
    fn read_config_generation(&self) -> u32;

    /// Reads bytes of the device configuration space, in naturally aligned 32-bit accesses.
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

/// Tells the device that a queue has new available buffers.
///
/// One register write through an address computed once; shared freely, rung outside every lock.
#[derive(Clone, Debug)]
pub struct Doorbell(Ring);

/// A notification that is not one register write.
pub trait Notify: Send + Sync + fmt::Debug {
    /// Notifies the device of `queue`. Any context, any number of callers at once.
    fn notify(&self, queue: QueueIndex);
}

#[derive(Clone, Debug)]
enum Ring {
    Register(pci::NotifyRegister),
    Shared(Arc<dyn Notify>, QueueIndex),
}

impl Doorbell {
    /// Makes a doorbell of anything that can notify.
    pub fn shared(notify: Arc<dyn Notify>, queue: QueueIndex) -> Self {
        Self(Ring::Shared(notify, queue))
    }

    /// Rings it.
    #[inline]
    pub fn ring(&self) {
        match &self.0 {
            Ring::Register(register) => register.ring(),
            Ring::Shared(notify, queue) => notify.notify(*queue),
        }
    }
}
