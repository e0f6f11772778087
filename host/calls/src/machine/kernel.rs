//! What the driver is embedded in: the machine as a platform.
//!
//! The one rule: each call is a step, between which others have their turn.
#![expect(unsafe_code, reason = "what a platform promises")]

use std::ptr::NonNull;

use virtio_crypto::Platform;
use virtio_drivers::{BufferDirection, Hal, PAGE_SIZE, PhysAddr};

use super::{BASE, MACHINE, step};

/// What a reading of the clock takes.
const TICK_NS: u64 = 1_000;

/// What the driver is embedded in.
#[derive(Debug)]
pub(crate) struct Kernel;

// SAFETY: pages lie in a mapping that lives as long as the thread, which is all that has them, and
// each is handed out once in an execution.
unsafe impl Hal for Kernel {
    fn dma_alloc(pages: usize, _: BufferDirection) -> (PhysAddr, NonNull<u8>) {
        step();
        MACHINE.with(|machine| match machine.allocate(pages) {
            Some(first) => {
                let address = BASE + (first * PAGE_SIZE) as u64;
                (address, machine.start(first))
            }
            None => (0, NonNull::dangling()),
        })
    }

    unsafe fn dma_dealloc(paddr: PhysAddr, _: NonNull<u8>, pages: usize) -> i32 {
        step();
        MACHINE.with(|machine| machine.free((paddr - BASE) as usize / PAGE_SIZE, pages));
        0
    }

    unsafe fn mmio_phys_to_virt(_: PhysAddr, _: usize) -> NonNull<u8> {
        unreachable!("the driver's transports map by `map_registers`")
    }

    unsafe fn share(_: NonNull<[u8]>, _: BufferDirection) -> PhysAddr {
        unreachable!("the driver shares nothing")
    }

    unsafe fn unshare(_: PhysAddr, _: NonNull<[u8]>, _: BufferDirection) {}
}

// SAFETY: one thread is all CPUs, one at a time; another comes in between only where no lock is
// held.
unsafe impl Platform for Kernel {
    fn mask_interrupts() -> bool {
        step();
        MACHINE.with(|machine| {
            let masked = machine.masked.get();
            machine.masked.set(masked + 1);
            masked == 0 && !machine.is_in_handler.get()
        })
    }

    unsafe fn restore_interrupts(were_enabled: bool) {
        MACHINE.with(|machine| {
            let masked = machine.masked.get() - 1;
            machine.masked.set(masked);
            let are_enabled = masked == 0 && !machine.is_in_handler.get();
            assert_eq!(were_enabled, are_enabled, "interrupts were not so before");
        });
        step();
    }

    fn cpu() -> u32 {
        MACHINE.with(|machine| machine.first_cpu + machine.cpu.get())
    }

    fn map_registers(_: u64, _: usize) -> Option<NonNull<u8>> {
        None
    }

    fn now_ns() -> u64 {
        step();
        MACHINE.with(|machine| {
            let now_ns = machine.clock_ns.get() + TICK_NS;
            machine.clock_ns.set(now_ns);
            now_ns
        })
    }
}
