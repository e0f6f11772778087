//! What the machine is made of: the firmware's tables and the PCI bus.

pub mod acpi;
pub mod pci;
