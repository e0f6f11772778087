//! What orders accesses to memory that a device shares, and to its registers.
//!
//! The fences of the language order memory among CPUs. Beside that a driver needs order
//! - between its stores to memory and a register write that has the device look at them (the
//!   doorbell): on riscv64 `fence(SeqCst)` is `fence rw,rw`, which says nothing of device output;
//!   on aarch64 a plain store to a register is not ordered after earlier stores either;
//! - between a register read (the ISR, the status) and what it tells of in memory;
//! - among accesses to memory, as a device sees them: on aarch64 the fences order for the inner
//!   shareable domain, which a device of hardware need not belong to. That is what
//!   VIRTIO_F_ORDER_PLATFORM obliges a driver to (Virtio 1.3, 6.1), and is done whether it is
//!   offered or not.
//!
//! On x86 registers are mapped uncached: the CPU keeps all earlier stores before such a write and
//! all later loads behind such a read, so nothing is left to do but to hold the compiler back.
//! Architectures that are not named here get the fence of the language.

#[cfg(any(target_arch = "x86_64", target_arch = "x86"))]
use core::sync::atomic::compiler_fence;

use crate::sync::atomic::{Ordering, fence};

/// Emits a barrier by its assembly.
#[cfg(any(
    target_arch = "aarch64",
    target_arch = "riscv64",
    target_arch = "riscv32"
))]
macro_rules! barrier {
    ($instruction:literal) => {
        // SAFETY: a barrier has no effect but order. Without `nomem` it holds the compiler back as
        // well.
        unsafe { core::arch::asm!($instruction, options(nostack, preserves_flags)) }
    };
}

/// Orders memory and registers, by the instruction of each architecture that needs one.
macro_rules! register_barrier {
    (aarch64: $aarch64:literal, riscv: $riscv:literal) => {
        #[cfg(any(target_arch = "x86_64", target_arch = "x86"))]
        compiler_fence(Ordering::SeqCst);
        #[cfg(target_arch = "aarch64")]
        barrier!($aarch64);
        #[cfg(any(target_arch = "riscv64", target_arch = "riscv32"))]
        barrier!($riscv);
        #[cfg(not(any(
            target_arch = "x86_64",
            target_arch = "x86",
            target_arch = "aarch64",
            target_arch = "riscv64",
            target_arch = "riscv32"
        )))]
        fence(Ordering::SeqCst);
    };
}

/// Before a register write: the device finds what was stored before.
#[inline(always)]
pub(crate) fn before_register_write() {
    register_barrier!(aarch64: "dmb oshst", riscv: "fence w, o");
}

/// After a register read: accesses to memory that follow come after it.
#[inline(always)]
pub(crate) fn after_register_read() {
    register_barrier!(aarch64: "dmb oshld", riscv: "fence i, rw");
}

/// Between two stores to memory that the device sees in this order; the second one is a release of
/// the language as well.
#[inline(always)]
pub(crate) fn between_stores() {
    #[cfg(target_arch = "aarch64")]
    barrier!("dmb oshst");
}

/// Between two loads of memory that the device has written in this order; the first one is an
/// acquire of the language as well.
#[inline(always)]
pub(crate) fn between_loads() {
    #[cfg(target_arch = "aarch64")]
    barrier!("dmb oshld");
}

/// Between a store to memory and a load from it, as CPUs and devices see them.
#[inline(always)]
pub(crate) fn full() {
    fence(Ordering::SeqCst);
    #[cfg(target_arch = "aarch64")]
    barrier!("dmb osh");
}
