//! The local APIC, by registers in memory (xAPIC) or by MSRs (x2APIC), and the older controllers
//! that have to keep quiet beside it (Intel SDM volume 3, chapter 12).
//!
//! For the timer, for waking and starting CPUs. The one rule: a CPU writes its own local APIC
//! alone.

use core::{
    arch::x86_64::__cpuid,
    sync::atomic::{AtomicU64, Ordering},
};

use x86_64::registers::model_specific::Msr;

use crate::{
    cpu::{self, ports},
    exit, memory,
};

/// The first vector that is not an exception.
pub const FIRST_VECTOR: u8 = 32;
/// Comes when an interrupt went away before it was taken; wants no end-of-interrupt.
pub const SPURIOUS_VECTOR: u8 = 0xff;
/// The local APIC's own errors.
pub const ERROR_VECTOR: u8 = 0xfe;
/// The timer.
pub const TIMER_VECTOR: u8 = 0xfd;
/// Ends another CPU's sleep: there is a task for it.
pub const WAKE_VECTOR: u8 = 0xfc;

const BASE_MSR: u32 = 0x1b;
const BASE_ENABLE: u64 = 1 << 11;
const BASE_X2APIC: u64 = 1 << 10;
/// x2APIC registers are MSRs from here on, one for every 16 bytes of the xAPIC's page.
const X2APIC_MSRS: u32 = 0x800;

// Offsets of registers.
const ID: u32 = 0x20;
const END_OF_INTERRUPT: u32 = 0xb0;
const SPURIOUS: u32 = 0xf0;
const ERROR_STATUS: u32 = 0x280;
const COMMAND: u32 = 0x300;
const COMMAND_HIGH: u32 = 0x310;
const LVT_TIMER: u32 = 0x320;
const LVT_LINT0: u32 = 0x350;
const LVT_LINT1: u32 = 0x360;
const LVT_ERROR: u32 = 0x370;
const TIMER_INITIAL: u32 = 0x380;
const TIMER_CURRENT: u32 = 0x390;
const TIMER_DIVIDE: u32 = 0x3e0;

const MASKED: u32 = 1 << 16;
const SOFTWARE_ENABLE: u32 = 1 << 8;
const DIVIDE_BY_16: u32 = 0b0011;
const DELIVERY_PENDING: u32 = 1 << 12;

/// Where the registers are mapped; 0 for x2APIC.
static REGISTERS: AtomicU64 = AtomicU64::new(0);

fn is_x2apic() -> bool {
    REGISTERS.load(Ordering::Relaxed) == 0
}

fn read(offset: u32) -> u32 {
    let registers = REGISTERS.load(Ordering::Relaxed);
    if registers == 0 {
        // SAFETY: an x2APIC register, in x2APIC mode; reading has no effect on memory.
        return unsafe { Msr::new(X2APIC_MSRS + offset / 16).read() } as u32;
    }
    // SAFETY: `init` mapped the page of registers for good; `offset` lies inside it.
    unsafe { ((registers + u64::from(offset)) as *const u32).read_volatile() }
}

#[inline]
fn write(offset: u32, value: u32) {
    let registers = REGISTERS.load(Ordering::Relaxed);
    if registers == 0 {
        // SAFETY: an x2APIC register, in x2APIC mode.
        return unsafe { Msr::new(X2APIC_MSRS + offset / 16).write(u64::from(value)) };
    }
    // SAFETY: as in `read`.
    unsafe { ((registers + u64::from(offset)) as *mut u32).write_volatile(value) }
}

/// Silences the older controllers, once for the machine.
pub fn silence_legacy() {
    // The 8259s go to vectors of their own, in case one fires before it is masked, then all their
    // pins are masked. Words as in the 8259A's data sheet.
    let (command_1, mask_1) = ports::PIC_1;
    let (command_2, mask_2) = ports::PIC_2;
    let words = [
        (command_1, 0x11),
        (command_2, 0x11),
        (mask_1, 0xe0),
        (mask_2, 0xe8),
        (mask_1, 4),
        (mask_2, 2),
        (mask_1, 1),
        (mask_2, 1),
        (mask_1, 0xff),
        (mask_2, 0xff),
    ];
    for (port, word) in words {
        port.write(word);
    }
    // The firmware leaves timer channel 0 running: a mode that wants a count stops it.
    ports::PIT_MODE.write(0x30);
}

/// Switches the calling CPU's local APIC on: x2APIC where the CPU has it.
pub fn init() {
    let mut base = Msr::new(BASE_MSR);
    let has_x2apic = __cpuid(1).ecx & 1 << 21 != 0;
    // SAFETY: the base register exists on every x86-64; enabling changes no memory.
    let value = unsafe { base.read() } | BASE_ENABLE;
    if has_x2apic {
        // SAFETY: as above; CPUID says that the bit exists.
        unsafe { base.write(value | BASE_X2APIC) };
    } else {
        // SAFETY: as above.
        unsafe { base.write(value) };
        let address = value & 0x000f_ffff_ffff_f000;
        let Some(page) = memory::map_own_registers(address, 4096) else {
            exit::fail(format_args!("no local APIC can be at {address:#x}"));
        };
        REGISTERS.store(page.as_ptr() as u64, Ordering::Relaxed);
    }
    write(LVT_LINT0, MASKED);
    write(LVT_LINT1, MASKED);
    write(LVT_TIMER, MASKED);
    write(LVT_ERROR, u32::from(ERROR_VECTOR));
    write(ERROR_STATUS, 0);
    write(TIMER_DIVIDE, DIVIDE_BY_16);
    write(SPURIOUS, SOFTWARE_ENABLE | u32::from(SPURIOUS_VECTOR));
    cpu::set_apic_id(id());
}

/// Returns the calling CPU's local APIC id.
pub fn id() -> u32 {
    if is_x2apic() {
        read(ID)
    } else {
        read(ID) >> 24
    }
}

/// Returns `xAPIC` or `x2APIC`.
pub fn mode() -> &'static str {
    if is_x2apic() { "x2APIC" } else { "xAPIC" }
}

/// Tells the local APIC that the interrupt in service is done.
#[inline]
pub fn end_of_interrupt() {
    write(END_OF_INTERRUPT, 0);
}

/// Reads and clears the errors that the local APIC has met.
pub fn take_errors() -> u32 {
    write(ERROR_STATUS, 0);
    read(ERROR_STATUS)
}

const ASSERT: u32 = 1 << 14;
const DELIVERY_INIT: u32 = 0b101 << 8;
const DELIVERY_STARTUP: u32 = 0b110 << 8;

/// Sends `vector` to the CPU with local APIC `id`.
///
/// # Panics
///
/// If it is an exception's.
pub fn send(id: u32, vector: u8) {
    assert!(vector >= FIRST_VECTOR, "vector {vector} is an exception");
    command(id, ASSERT | u32::from(vector));
}

/// Ends the sleep of CPU `cpu`, if that is up.
pub(crate) fn wake(cpu: u32) {
    if let Some(id) = cpu::apic_id(cpu) {
        send(id, WAKE_VECTOR);
    }
}

/// Resets the CPU with local APIC `id` and lets it wait for its start-up interrupt.
pub(crate) fn send_init(id: u32) {
    command(id, ASSERT | DELIVERY_INIT);
}

/// Starts the CPU with local APIC `id` at a page below 1 MiB.
pub(crate) fn send_startup(id: u32, page: u8) {
    command(id, ASSERT | DELIVERY_STARTUP | u32::from(page));
}

fn command(id: u32, command: u32) {
    if is_x2apic() {
        let value = u64::from(id) << 32 | u64::from(command);
        // SAFETY: the interrupt command register, in x2APIC mode.
        return unsafe { Msr::new(X2APIC_MSRS + COMMAND / 16).write(value) };
    }
    // Both halves without an interrupt between them, whose handler might send too.
    x86_64::instructions::interrupts::without_interrupts(|| {
        write(COMMAND_HIGH, id << 24);
        write(COMMAND, command);
        while read(COMMAND) & DELIVERY_PENDING != 0 {
            core::hint::spin_loop();
        }
    });
}

/// Starts the timer: one interrupt after `count` ticks; 0 stops it.
pub fn start_timer(count: u32) {
    write(LVT_TIMER, u32::from(TIMER_VECTOR));
    write(TIMER_INITIAL, count);
}

/// Lets the timer run without an interrupt, for measuring its rate.
pub fn start_count() {
    write(LVT_TIMER, MASKED);
    write(TIMER_INITIAL, u32::MAX);
}

/// Returns how many ticks have passed since [`start_count`].
pub fn counted() -> u32 {
    u32::MAX - read(TIMER_CURRENT)
}
