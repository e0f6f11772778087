//! What the machine is made of: the firmware's tables and the PCI bus.
//!
//! For rooms that need processors, timers, interrupt controllers or devices. The one rule: what
//! firmware and devices say of themselves is checked before it is believed.

pub mod acpi;
pub mod pci;
pub mod power;
pub mod slot;

use alloc::vec::Vec;

use spin::Once;

use self::acpi::{AcpiError, Firmware, Tables};
use crate::memory;

static TABLES: Once<Tables> = Once::new();
static ACCESS: Once<pci::Access> = Once::new();

/// Firmware tables where they are.
struct Mapped;

impl Firmware for Mapped {
    fn bytes(&self, address: u64, len_bytes: usize) -> Option<Vec<u8>> {
        memory::read_firmware(address, len_bytes)
    }
}

/// Reads the ACPI tables that the RSDP at `rsdp` leads to.
///
/// # Errors
///
/// What is wrong with them.
pub(crate) fn init(rsdp: u64) -> Result<(), AcpiError> {
    let tables = acpi::read(&Mapped, rsdp)?;
    TABLES.call_once(|| tables);
    Ok(())
}

/// Returns what the ACPI tables say.
pub fn tables() -> &'static Tables {
    match TABLES.get() {
        Some(tables) => tables,
        None => panic!("the ACPI tables before `init`"),
    }
}

/// Returns the way to PCI configuration space, which is mapped at the first call.
pub fn pci_access() -> pci::Access {
    *ACCESS.call_once(|| pci::Access::new(tables().ecam))
}
