//! Virtio devices on the PCI bus, by the transport of `virtio-drivers`.
//!
//! For the drivers of this crate. The one rule: which device is taken already, they say.

use alloc::vec::Vec;

use kernel::{
    bus::{self, pci},
    interrupts::lines::Held,
    platform::KernelPlatform,
};
use virtio_drivers::transport::pci::{
    PciTransport, VirtioPciError,
    bus::{Command, DeviceFunction, PciRoot},
};

/// The vendor of every virtio device (Virtio 1.3, 4.1.2).
const VENDOR: u16 = 0x1af4;

/// Lists the devices of these ids, in the order of the bus.
pub(crate) fn find(ids: [u16; 2]) -> Vec<DeviceFunction> {
    let found = pci::enumerate(&bus::pci_access());
    let wanted = found
        .iter()
        .filter(|it| it.vendor == VENDOR && ids.contains(&it.device));
    wanted.map(|it| it.function).collect()
}

/// Holds back the device's interrupt line. `None` where it has none that can be routed.
pub(crate) fn hold_line(function: DeviceFunction) -> Option<Held> {
    pci::interrupt_line(&bus::pci_access(), function).and_then(Held::new)
}

/// Lets the device reach memory, and returns what reaches its registers.
///
/// # Errors
///
/// Those of `virtio-drivers`: it is no device of Virtio 1.
pub(crate) fn transport(function: DeviceFunction) -> Result<PciTransport, VirtioPciError> {
    let mut root = PciRoot::new(bus::pci_access());
    root.set_command(function, Command::MEMORY_SPACE | Command::BUS_MASTER);
    PciTransport::new::<KernelPlatform, _>(&mut root, function)
}
