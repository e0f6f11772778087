//! What the fake machine provides: registers, threads as CPUs, and its memory for the device.
//!
//! Here and in the tests of the services, which include this file by its path: so it names the
//! driver as others do.
#![expect(unsafe_code, reason = "the fake machine's promises")]

use core::{
    cell::Cell,
    ptr::NonNull,
    sync::atomic::{AtomicU32, Ordering},
};
#[cfg(not(loom))]
use std::thread_local;
use std::{
    collections::BTreeMap,
    sync::{Mutex, OnceLock},
    time::Instant,
};

use virtio_crypto::Platform;
use virtio_drivers::{BufferDirection, Hal, PAGE_SIZE, PhysAddr};

use super::memory;

/// Registers of a fake function: where they are, and how many bytes they have.
struct Registers(NonNull<u8>, usize);

// SAFETY: leaked memory; whoever reads or writes there answers for it.
unsafe impl Send for Registers {}

/// Registers of fake functions by their address.
static REGISTERS: Mutex<BTreeMap<u64, Registers>> = Mutex::new(BTreeMap::new());

/// Makes registers, zeroed, for a BAR of a function: leaked memory, which nothing else ever is, at
/// the address that it has on the bus.
#[cfg(not(loom))]
pub(crate) fn new_registers(len_bytes: usize, align: usize) -> u64 {
    let memory = std::vec![0u128; (len_bytes + align) / 16].leak();
    let memory = memory.as_mut_ptr().cast::<u8>();
    let start = memory.addr();
    let registers = memory.wrapping_add(start.next_multiple_of(align) - start);
    let address = registers.addr() as u64;
    let registers = Registers(NonNull::new(registers).unwrap(), len_bytes);
    REGISTERS.lock().unwrap().insert(address, registers);
    address
}

/// A message that raises an interrupt of the fake machine, as all do.
#[cfg(not(loom))]
pub(crate) const fn message(address: u64, data: u32) -> virtio_crypto::transport::MsixMessage {
    // SAFETY: no fake device writes a message anywhere.
    unsafe { virtio_crypto::transport::MsixMessage::new(address, data) }
}

/// Somebody's word for the fake device.
#[cfg(not(loom))]
pub(crate) const fn trusted() -> virtio_crypto::transport::TrustedReset {
    // SAFETY: it reaches nothing but what `memory` has mapped, and that by copies.
    unsafe { virtio_crypto::transport::TrustedReset::new() }
}

fn next_cpu() -> Cell<u32> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    Cell::new(NEXT.fetch_add(1, Ordering::Relaxed))
}

// Threads of loom are not threads of the system.
#[cfg(not(loom))]
thread_local!(static CPU: Cell<u32> = next_cpu());
#[cfg(loom)]
loom::thread_local!(static CPU: Cell<u32> = next_cpu());

// Models of interleavings know nothing of interrupts.
#[cfg(not(loom))]
thread_local!(static IS_MASKED: Cell<bool> = const { Cell::new(false) });

/// Fails if this CPU masks interrupts: nothing foreign is called then, neither the heap nor a
/// device nor a waker.
#[cfg(not(loom))]
pub(crate) fn assert_unmasked() {
    assert!(
        !IS_MASKED.get(),
        "called under a lock that masks interrupts"
    );
}

/// Runs `f` as a CPU whose number leaves the remainder that `cpu` leaves, for every divisor up to
/// 10, and is none that a thread gets by itself.
#[cfg(not(loom))]
pub(crate) fn as_cpu<R>(cpu: u32, f: impl FnOnce() -> R) -> R {
    const FIRST: u32 = 2520 << 8;
    let before = CPU.with(|own| own.replace(FIRST + cpu));
    let result = f();
    CPU.with(|own| own.set(before));
    result
}

#[derive(Debug)]
pub(crate) struct FakePlatform;

// SAFETY: pages are mapped for as long as they are allocated; the map of live ones hands each out
// once.
unsafe impl Hal for FakePlatform {
    fn dma_alloc(pages: usize, _: BufferDirection) -> (PhysAddr, NonNull<u8>) {
        #[cfg(not(loom))]
        assert_unmasked();
        // A platform reckons in bytes.
        assert!(pages <= isize::MAX as usize / PAGE_SIZE, "{pages} pages");
        memory::allocate(pages).unwrap_or((0, NonNull::dangling()))
    }

    unsafe fn dma_dealloc(paddr: PhysAddr, _: NonNull<u8>, pages: usize) -> i32 {
        #[cfg(not(loom))]
        assert_unmasked();
        memory::free(paddr, pages);
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

// SAFETY: no interrupts come, masked or not; every thread is a CPU with a number of its own.
unsafe impl Platform for FakePlatform {
    #[cfg(not(loom))]
    fn mask_interrupts() -> bool {
        !IS_MASKED.replace(true)
    }

    #[cfg(loom)]
    fn mask_interrupts() -> bool {
        true
    }

    unsafe fn restore_interrupts(_were_enabled: bool) {
        #[cfg(not(loom))]
        IS_MASKED.set(!_were_enabled);
    }

    fn cpu() -> u32 {
        CPU.with(Cell::get)
    }

    fn map_registers(address: u64, len_bytes: usize) -> Option<NonNull<u8>> {
        let end = address.checked_add(len_bytes as u64)?;
        let registers = REGISTERS.lock().unwrap();
        let (first, Registers(start, len)) = registers.range(..=address).next_back()?;
        let offset = (address - first) as usize;
        // SAFETY: inside of what was leaked, as is checked before.
        (end <= first + *len as u64).then(|| unsafe { start.add(offset) })
    }

    fn now_ns() -> u64 {
        static START: OnceLock<Instant> = OnceLock::new();
        START.get_or_init(Instant::now).elapsed().as_nanos() as u64
    }
}
