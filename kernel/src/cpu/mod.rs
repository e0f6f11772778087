//! What a CPU is before anything else works: its number, its local APIC's id, its counter.
//!
//! For every room above. The one rule: nothing here needs memory, a lock or another CPU.
//!
//! # Invariant
//!
//! *Own*: the GS base of a CPU that runs Rust points to its own entry of `PER_CPU`, from
//! `prepare` on.
#![expect(
    unsafe_code,
    reason = "instructions and ports that Rust has no name for"
)]

pub(crate) mod ports;
pub mod usage;

use core::{
    arch::{asm, x86_64::_rdtsc},
    sync::atomic::{AtomicU32, AtomicU64, Ordering},
};

use x86_64::{VirtAddr, registers::model_specific::GsBase};

/// Most CPUs that the kernel has room for.
pub const MAX_CPUS: usize = 64;

/// Found through the GS base.
#[derive(Debug)]
#[repr(C)]
struct PerCpu {
    /// At offset 0.
    number: AtomicU32,
    /// Of its local APIC; [`UNKNOWN`] until the CPU has said it.
    apic_id: AtomicU64,
}

/// No local APIC has this id.
const UNKNOWN: u64 = u64::MAX;

static PER_CPU: [PerCpu; MAX_CPUS] = [const {
    PerCpu {
        number: AtomicU32::new(0),
        apic_id: AtomicU64::new(UNKNOWN),
    }
}; MAX_CPUS];

/// Returns the number of the calling CPU.
#[inline]
pub fn number() -> u32 {
    let number;
    // SAFETY: *Own*; the entry's first field is the number, which never changes.
    unsafe {
        asm!("mov {0:e}, gs:[0]", out(reg) number, options(nostack, preserves_flags, readonly));
    }
    number
}

/// Makes [`number`] work on the calling CPU, which is to have number `cpu`.
pub(crate) fn prepare(cpu: usize) {
    let per_cpu = &PER_CPU[cpu];
    per_cpu.number.store(cpu as u32, Ordering::Relaxed);
    GsBase::write(VirtAddr::from_ptr(per_cpu));
}

/// Returns the id of CPU `cpu`'s local APIC, if that CPU is up.
#[inline]
pub fn apic_id(cpu: u32) -> Option<u32> {
    let id = PER_CPU.get(cpu as usize)?.apic_id.load(Ordering::Relaxed);
    u32::try_from(id).ok()
}

/// Says the id of the calling CPU's local APIC.
pub(crate) fn set_apic_id(id: u32) {
    let per_cpu = &PER_CPU[number() as usize];
    per_cpu.apic_id.store(id.into(), Ordering::Relaxed);
}

/// Returns the time-stamp counter.
#[inline]
pub fn ticks() -> u64 {
    // SAFETY: the instruction exists on every x86-64.
    unsafe { _rdtsc() }
}

/// Returns the time-stamp counter, neither before what comes before nor after what comes after.
pub(crate) fn ticks_in_order() -> u64 {
    // SAFETY: an instruction of every x86-64 that only waits; it keeps `rdtsc` behind the loads
    // before, and loads behind `rdtsc` (Intel SDM volume 2, RDTSC).
    unsafe { asm!("lfence", options(nostack, preserves_flags)) };
    let now = ticks();
    // SAFETY: the same.
    unsafe { asm!("lfence", options(nostack, preserves_flags)) };
    now
}
