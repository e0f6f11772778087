//! The unikernel: everything a machine needs before the driver can run on it.
//!
//! A binary declares its entry with [`entry!`] or [`tests!`]; [`init`] has run by then.
#![no_std]

extern crate alloc;

pub mod acpi;
pub mod apic;
pub mod boot;
pub mod calibration;
pub mod command_line;
pub mod console;
pub mod cpu;
pub mod executor;
pub mod exit;
pub mod heap;
pub mod idle;
pub mod interrupts;
pub mod ioapic;
mod lines;
pub mod load;
pub mod machine;
pub mod measure;
pub mod memory;
mod needs;
pub mod pci;
pub mod platform;
pub mod references;
pub mod smp;
pub mod testing;
pub mod time;
pub mod usage;
pub mod vectors;

pub use bootloader_api::{BootInfo, entry_point};

/// Brings up the boot CPU and everything that the machine has one of.
pub fn init(info: &'static BootInfo) {
    console::init();
    if let Err(usable_bytes) = memory::init(info) {
        testing::give_up(format_args!(
            "memory: {} KiB usable, at least {} KiB needed: give the machine more (MEM=32M)",
            usable_bytes >> 10,
            memory::LEAST_USABLE_BYTES >> 10,
        ));
    }
    cpu::load_tables();
    interrupts::load();
    apic::silence_legacy();
    apic::init();
    machine::init(info.rsdp_addr.into_option().unwrap_or(0));
    if let Err(error) = time::init(machine::tables()) {
        testing::give_up(format_args!("{error}"));
    }
    executor::prepare();
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo) -> ! {
    testing::on_panic(info)
}
