//! Brings the machine up, room by room, and hands over to the program.
//!
//! For programs, which say by [`entry!`](crate::entry) where they begin. The one rule: the order
//! below is that of the rooms, so nothing is used before it works.

pub use bootloader_api::{BootInfo, entry_point};

use crate::{
    bus, command_line, console, crypto, exit,
    interrupts::{apic, idt, ioapic, tables},
    memory,
    task::executor,
    time,
};

/// Brings up the boot CPU and everything that the machine has one of.
pub fn init(info: &'static BootInfo) {
    console::init();
    let heap_mib = command_line::number_in("heap", 0, 1..=1 << 20);
    let heap_len = (heap_mib > 0).then_some((heap_mib as usize) << 20);
    if let Err(too_little) = memory::init(info, heap_len) {
        let hint = match heap_len {
            Some(_) => "or the heap less (heap=)",
            None => "(MEM=32M)",
        };
        exit::fail(format_args!(
            "memory: {} KiB usable, at least {} KiB needed: give the machine more {hint}",
            too_little.usable_bytes >> 10,
            too_little.needed_bytes >> 10,
        ));
    }
    tables::load();
    idt::load();
    apic::silence_legacy();
    apic::init();
    if let Err(error) = bus::init(info.rsdp_addr.into_option().unwrap_or(0)) {
        exit::fail(format_args!("{error}"));
    }
    ioapic::mask_all(bus::tables());
    if let Err(error) = time::init(bus::tables(), executor::max_tasks()) {
        exit::fail(format_args!("{error}"));
    }
    executor::prepare();
    crypto::init();
}

/// Declares a binary's entry and the machines that it wants to be run on.
///
/// `run.sh` finds the machines in the ELF and boots the binary once on each. A machine is words of
/// `smp=`, `mem=`, `vectors=`, `devices=`, `machine=`.
#[macro_export]
macro_rules! entry {
    ($main:path $(, machine: $machine:literal)* $(,)?) => {
        $(
            const _: () = {
                const TEXT: &str = concat!("qemu-machine:{", $machine, "}");
                #[used]
                #[unsafe(link_section = ".qemu-machine")]
                static MACHINE: [u8; TEXT.len()] = {
                    let mut bytes = [0; TEXT.len()];
                    let mut i = 0;
                    while i < bytes.len() {
                        bytes[i] = TEXT.as_bytes()[i];
                        i += 1;
                    }
                    bytes
                };
            };
        )*

        fn start(info: &'static mut $crate::start::BootInfo) -> ! {
            $crate::start::init(info);
            $main()
        }
        $crate::start::entry_point!(start);
    };
}
