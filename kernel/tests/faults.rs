//! Runs that must end as failed, each with its reason: exceptions, a panic, a hang, a reset.
//!
//! Every machine below boots this binary once with a word that says what to do; `run.sh` expects
//! the reason after `fails=`.
#![no_std]
#![no_main]

extern crate alloc;

use core::{
    fmt,
    ptr::NonNull,
    sync::atomic::{AtomicBool, Ordering},
};

use kernel::{
    command_line, exit,
    interrupts::{apic, vectors},
    memory,
    platform::KernelPlatform,
    smp,
    sync::SpinLock,
    task::executor,
    time,
};
use virtio_crypto::{Platform, sync::IrqMutex};
use virtio_drivers::{BufferDirection, Hal, PhysAddr};

kernel::entry!(
    main,
    machine: "append=fault=guard-page fails=double_fault",
    machine: "append=fault=null fails=page_fault",
    machine: "append=fault=write-code fails=page_fault",
    machine: "append=fault=execute-data fails=page_fault",
    machine: "append=fault=divide fails=divide_error",
    machine: "append=fault=invalid-opcode fails=invalid_opcode",
    machine: "append=fault=panic fails=panic:_on_purpose",
    machine: "smp=2 append=fault=two-cpus fails=told_to_its_end",
    machine: "append=fault=lock-twice fails=taken_twice",
    machine: "append=fault=unmasked-lock fails=taken_twice",
    machine: "append=fault=two-locks fails=holds_another",
    machine: "append=fault=own-lock-twice fails=taken_twice",
    machine: "append=fault=own-two-locks fails=holds_another",
    machine: "append=fault=allocate-under-lock fails=lock_`heap`_taken_while",
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
        "two-cpus" => fail_while_another_tells(),
        "lock-twice" => {
            static LOCK: IrqMutex<KernelPlatform, ()> = IrqMutex::new("once", ());
            LOCK.with(|()| LOCK.with(|()| ()));
        }
        "unmasked-lock" => hold_without_masking(),
        "two-locks" => {
            static FIRST: IrqMutex<KernelPlatform, ()> = IrqMutex::new("first", ());
            static SECOND: IrqMutex<KernelPlatform, ()> = IrqMutex::new("second", ());
            FIRST.with(|()| SECOND.with(|()| ()));
        }
        "own-lock-twice" => {
            static LOCK: SpinLock<()> = SpinLock::new("once", ());
            LOCK.with(|()| LOCK.with(|()| ()));
        }
        "own-two-locks" => {
            static FIRST: SpinLock<()> = SpinLock::new("first", ());
            static SECOND: SpinLock<()> = SpinLock::new("second", ());
            FIRST.with(|()| SECOND.with(|()| ()));
        }
        // What the driver promises of its locks, the kernel's lock checks.
        "allocate-under-lock" => {
            static LOCK: IrqMutex<KernelPlatform, ()> = IrqMutex::new("driver's", ());
            LOCK.with(|()| drop(core::hint::black_box(alloc::boxed::Box::new(7))));
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
        other => exit::fail(format_args!("unknown fault {other}")),
    }
    exit::fail(format_args!("nothing happened"));
}

/// Runs the boot stack down to its guard page, where not even the page fault's frame fits.
#[expect(unconditional_recursion, reason = "the stack's end is the purpose")]
fn recurse(depth: u64) -> u64 {
    let mut frame = [depth; 64];
    core::hint::black_box(&mut frame);
    recurse(depth + 1) + frame[3]
}

/// A platform that does not mask interrupts: what a plain lock comes to.
#[derive(Debug)]
struct Unmasked;

// SAFETY: none of it is used for memory that a device knows of; all of it is the kernel's own.
unsafe impl Hal for Unmasked {
    fn dma_alloc(pages: usize, direction: BufferDirection) -> (PhysAddr, NonNull<u8>) {
        KernelPlatform::dma_alloc(pages, direction)
    }

    unsafe fn dma_dealloc(start: PhysAddr, at: NonNull<u8>, pages: usize) -> i32 {
        // SAFETY: as promised by the caller.
        unsafe { KernelPlatform::dma_dealloc(start, at, pages) }
    }

    unsafe fn mmio_phys_to_virt(start: PhysAddr, len_bytes: usize) -> NonNull<u8> {
        // SAFETY: as promised by the caller.
        unsafe { KernelPlatform::mmio_phys_to_virt(start, len_bytes) }
    }

    unsafe fn share(buffer: NonNull<[u8]>, direction: BufferDirection) -> PhysAddr {
        // SAFETY: as promised by the caller.
        unsafe { KernelPlatform::share(buffer, direction) }
    }

    unsafe fn unshare(start: PhysAddr, buffer: NonNull<[u8]>, direction: BufferDirection) {
        // SAFETY: as promised by the caller.
        unsafe { KernelPlatform::unshare(start, buffer, direction) }
    }
}

// SAFETY: breaks the contract, on purpose: the lock must find out instead of hanging. Nothing but
// a `()` is behind it.
unsafe impl Platform for Unmasked {
    fn mask_interrupts() -> bool {
        true
    }

    unsafe fn restore_interrupts(_: bool) {}

    fn cpu() -> u32 {
        KernelPlatform::cpu()
    }

    fn map_registers(_: u64, _: usize) -> Option<NonNull<u8>> {
        None
    }

    fn now_ns() -> u64 {
        KernelPlatform::now_ns()
    }
}

/// The handler wants the lock that the task on its CPU holds: one of them waits for ever.
fn hold_without_masking() {
    static LOCK: IrqMutex<Unmasked, ()> = IrqMutex::new("unmasked", ());
    let vector = vectors::allocate(|_| LOCK.with(|()| ())).unwrap();
    x86_64::instructions::interrupts::enable();
    LOCK.with(|()| {
        apic::send(apic::id(), vector.number());
        let end_ns = time::now_ns() + 100_000_000;
        while time::now_ns() < end_ns {
            core::hint::spin_loop();
        }
    });
}

static TELLING: AtomicBool = AtomicBool::new(false);

/// A reason that takes its time to tell.
struct Long;

impl fmt::Display for Long {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("told ")?;
        TELLING.store(true, Ordering::Release);
        time::spin_ns(100_000_000);
        f.write_str("to its end")
    }
}

/// A second CPU fails while the first one still tells why it did.
fn fail_while_another_tells() {
    smp::expect_all();
    let second = executor::spawn_on(1, async {
        while !TELLING.load(Ordering::Acquire) {
            core::hint::spin_loop();
        }
        exit::fail(format_args!("too late to be told"));
    });
    assert!(second.is_ok());
    exit::fail(format_args!("{Long}"));
}
