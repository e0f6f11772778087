//! Why a transport could not be made or used.

use core::fmt;

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
    /// The platform has no device registers where the device says that a structure is.
    NotRegisters {
        /// Which structure, in the specification's words.
        structure: &'static str,
        /// Its physical address, as the device gives it.
        address: u64,
        /// Bytes of it that the driver needs.
        len_bytes: usize,
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
            Self::Legacy => f.write_str(
                "a legacy virtio device: it needs virtio 1.0 or later \
                 (QEMU over MMIO: -global virtio-mmio.force-legacy=false)",
            ),
            Self::Capability { structure, reason } => {
                write!(f, "virtio PCI capability `{structure}`: {reason}")
            }
            Self::NotRegisters {
                structure,
                address,
                len_bytes,
            } => {
                write!(
                    f,
                    "`{structure}`: the platform maps no registers of {len_bytes} bytes at \
                     {address:#x}; is the BAR's address right?"
                )
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
