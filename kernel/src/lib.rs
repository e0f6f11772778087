//! The unikernel: everything a machine needs before the driver can run on it.
//!
//! A binary declares its entry with [`entry!`] or [`tests!`]; [`init`] has run by then.
#![no_std]

extern crate alloc;

pub mod bench;
pub mod boot;
pub mod bus;
pub mod command_line;
pub mod console;
pub mod cpu;
pub mod crypto;
pub mod exit;
pub mod interrupts;
pub mod memory;
pub mod platform;
pub mod smp;
pub mod sync;
pub mod task;
pub mod testing;
pub mod time;

pub use bootloader_api::{BootInfo, entry_point};

/// Brings up the boot CPU and everything that the machine has one of.
pub fn init(info: &'static BootInfo) {
    console::init();
    if let Err(usable_bytes) = memory::init(info) {
        exit::fail(format_args!(
            "memory: {} KiB usable, at least {} KiB needed: give the machine more (MEM=32M)",
            usable_bytes >> 10,
            memory::LEAST_USABLE_BYTES >> 10,
        ));
    }
    interrupts::tables::load();
    interrupts::idt::load();
    interrupts::apic::silence_legacy();
    interrupts::apic::init();
    if let Err(error) = bus::init(info.rsdp_addr.into_option().unwrap_or(0)) {
        exit::fail(format_args!("{error}"));
    }
    interrupts::ioapic::mask_all(bus::tables());
    if let Err(error) = time::init(bus::tables()) {
        exit::fail(format_args!("{error}"));
    }
    task::executor::prepare();
    crypto::init();
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo) -> ! {
    exit::on_panic(info)
}
