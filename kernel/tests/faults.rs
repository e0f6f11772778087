//! Runs that must end as failed, each with its reason: exceptions, a panic, a hang, a reset.
//!
//! Every machine below boots this binary once with a word that says what to do; `run.sh` expects
//! the reason after `fails=`.
#![no_std]
#![no_main]

use kernel::{command_line, exit, memory, testing, time};
use virtio_crypto::sync::IrqMutex;

kernel::entry!(
    main,
    machine: "append=fault=guard-page fails=double_fault",
    machine: "append=fault=null fails=page_fault",
    machine: "append=fault=write-code fails=page_fault",
    machine: "append=fault=execute-data fails=page_fault",
    machine: "append=fault=divide fails=divide_error",
    machine: "append=fault=invalid-opcode fails=invalid_opcode",
    machine: "append=fault=panic fails=panic",
    machine: "append=fault=lock-twice fails=panic",
    machine: "append=fault=two-locks fails=panic",
    machine: "append=fault=watchdog fails=says_the_watchdog",
    machine: "append=fault=hang timeout=3 fails=no_end_after_3_s",
    machine: "append=fault=triple fails=reset",
    machine: "append=fault=silent-success fails=without_its_closing_line",
    machine: "append=fault=none fails=unknown_fault",
);

fn main() -> ! {
    // A filter for other test binaries is none for this one.
    match command_line::value("fault").unwrap_or("none") {
        "guard-page" => {
            recurse(0);
        }
        // SAFETY: unsound on purpose: nothing is mapped there, so this faults.
        "null" => unsafe { (0x18 as *mut u64).write_volatile(1) },
        // SAFETY: unsound on purpose: code is not writable, so this faults.
        "write-code" => unsafe { (main as *const () as *mut u64).write_volatile(1) },
        "execute-data" => {
            let frame = memory::allocate_frames(1).unwrap();
            let code: *mut u8 = memory::physical(frame).as_mut_ptr();
            // SAFETY: a `ret` in a frame of our own; jumping there faults, as data is not
            // executable.
            unsafe {
                code.write_volatile(0xc3);
                core::mem::transmute::<*mut u8, extern "C" fn()>(code)();
            }
        }
        // SAFETY: divides by zero on purpose; nothing is changed that anybody could see.
        "divide" => unsafe {
            core::arch::asm!("xor ecx, ecx", "div ecx", out("ecx") _, out("edx") _, out("eax") _);
        },
        // SAFETY: an instruction that is defined to fault.
        "invalid-opcode" => unsafe { core::arch::asm!("ud2") },
        "panic" => panic!("on purpose"),
        "lock-twice" => {
            static LOCK: IrqMutex<kernel::platform::KernelPlatform, ()> = IrqMutex::new("once", ());
            LOCK.with(|()| LOCK.with(|()| ()));
        }
        "two-locks" => {
            static FIRST: IrqMutex<kernel::platform::KernelPlatform, ()> =
                IrqMutex::new("first", ());
            static SECOND: IrqMutex<kernel::platform::KernelPlatform, ()> =
                IrqMutex::new("second", ());
            FIRST.with(|()| SECOND.with(|()| ()));
        }
        "watchdog" => {
            time::set_watchdog(Some(time::now_ns() + 100_000_000));
            x86_64::instructions::interrupts::enable();
            loop {
                core::hint::spin_loop();
            }
        }
        "hang" => {
            x86_64::instructions::interrupts::disable();
            loop {
                x86_64::instructions::hlt();
            }
        }
        "triple" => {
            let none = x86_64::structures::DescriptorTablePointer {
                limit: 0,
                base: x86_64::VirtAddr::zero(),
            };
            // SAFETY: with no table every exception is a triple fault, which is the purpose.
            unsafe {
                x86_64::instructions::tables::lidt(&none);
                core::arch::asm!("ud2");
            }
        }
        "silent-success" => exit::exit(exit::ExitCode::Success),
        other => testing::give_up(format_args!("unknown fault {other}")),
    }
    testing::give_up(format_args!("nothing happened"));
}

/// Runs the boot stack down to its guard page, where not even the page fault's frame fits.
#[expect(unconditional_recursion, reason = "the stack's end is the purpose")]
fn recurse(depth: u64) -> u64 {
    let mut frame = [depth; 64];
    core::hint::black_box(&mut frame);
    recurse(depth + 1) + frame[3]
}
