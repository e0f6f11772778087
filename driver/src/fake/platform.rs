//! Memory with bus addresses of its own, threads as CPUs.
//!
//! Here and in the tests of the services, which include this file by its path: so it names the
//! driver as others do.
#![expect(unsafe_code, reason = "the fake machine's memory")]

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
use vm_memory::{GuestAddress, GuestMemoryBackend, GuestMemoryMmap};

/// Bus address of the first byte: nothing like a pointer.
const BASE: u64 = 0x7_0000_0000;
/// What tests give up for good is never handed out again.
const LEN: usize = 256 << 20;

/// The memory that driver and device share.
pub(crate) fn memory() -> &'static GuestMemoryMmap {
    static MEMORY: OnceLock<GuestMemoryMmap> = OnceLock::new();
    MEMORY.get_or_init(|| GuestMemoryMmap::from_ranges(&[(GuestAddress(BASE), LEN)]).unwrap())
}

/// Pages that have been handed out.
struct Allocation {
    pages: usize,
    /// They were another test's, and no longer count.
    forgotten: bool,
}

/// Live allocations by their first page.
static LIVE: Mutex<BTreeMap<usize, Allocation>> = Mutex::new(BTreeMap::new());

/// Returns how many pages are allocated.
pub(crate) fn live_pages() -> usize {
    let live = LIVE.lock().unwrap();
    let counted = live.values().filter(|allocation| !allocation.forgotten);
    counted.map(|allocation| allocation.pages).sum()
}

#[cfg(not(loom))]
/// Starts counting anew. What is allocated now is nobody else's before it has been freed: a session
/// may outlive its test's rig for a moment.
pub(crate) fn forget_live_pages() {
    for allocation in LIVE.lock().unwrap().values_mut() {
        allocation.forgotten = true;
    }
}

/// Tells whether these bytes stand anywhere in the memory that is allocated.
#[cfg(not(loom))]
pub(crate) fn is_in_memory(bytes: &[u8]) -> bool {
    let live = LIVE.lock().unwrap();
    let mut counted = live.iter().filter(|(_, allocation)| !allocation.forgotten);
    counted.any(|(first, allocation)| is_in_pages(*first, allocation.pages, bytes))
}

/// Tells whether `bytes` stand anywhere in memory, whoever had it.
#[cfg(not(loom))]
pub(crate) fn is_in_freed_memory(bytes: &[u8]) -> bool {
    is_in_pages(0, LEN / PAGE_SIZE, bytes)
}

/// Tells whether `bytes`, which are not all zeros, begin in one of these pages and stand in them.
#[cfg(not(loom))]
fn is_in_pages(first: usize, pages: usize, bytes: &[u8]) -> bool {
    use vm_memory::Bytes;
    let end = (first + pages) * PAGE_SIZE;
    // With what begins in a page and goes on behind it.
    let mut content = std::vec![0; PAGE_SIZE + bytes.len()];
    let mut begins_in = |page: usize| {
        let start = page * PAGE_SIZE;
        let content = &mut content[..(end - start).min(PAGE_SIZE + bytes.len())];
        let at = GuestAddress(BASE + start as u64);
        memory().read_slice(content, at).unwrap();
        // Most of it is zeros.
        content[..PAGE_SIZE] != [0; PAGE_SIZE]
            && content.windows(bytes.len()).any(|window| window == bytes)
    };
    (first..first + pages).any(&mut begins_in)
}

/// Returns a 16-bit field of a ring, as a device reaches it.
#[cfg(not(loom))]
pub(crate) fn ring_field(bus_address: u64) -> &'static core::sync::atomic::AtomicU16 {
    let field = memory()
        .get_host_address(GuestAddress(bus_address))
        .unwrap();
    // SAFETY: inside memory that lives for ever; fields of rings are aligned, and both halves
    // reach them by atomics only.
    unsafe { core::sync::atomic::AtomicU16::from_ptr(field.cast()) }
}

/// Uses the chain in the indirect table of this head as the first element of a ring: writes its
/// last byte, the status, and nothing else.
#[cfg(loom)]
pub(crate) fn use_chain(addresses: virtio_crypto::transport::QueueAddresses, head: u16) {
    use vm_memory::Bytes;
    let read = |address: u64| -> u64 {
        let word: u64 = memory().read_obj(GuestAddress(address)).unwrap();
        u64::from_le(word)
    };
    let mut descriptor = read(addresses.descriptors() + 16 * u64::from(head));
    while read(descriptor + 8) >> 32 & 1 != 0 {
        descriptor += 16;
    }
    let last = read(descriptor) + (read(descriptor + 8) & 0xffff_ffff) - 1;
    memory().write_obj(0u8, GuestAddress(last)).unwrap();
    let element = (1u64 << 32 | u64::from(head)).to_le();
    memory()
        .write_obj(element, GuestAddress(addresses.used() + 4))
        .unwrap();
    memory()
        .write_obj(1u16.to_le(), GuestAddress(addresses.used() + 2))
        .unwrap();
}

#[cfg(not(loom))]
/// Tells whether all of these bytes are allocated: what a device may touch has to be.
pub(crate) fn is_live(bus_address: u64, len_bytes: u32) -> bool {
    let Some(offset) = bus_address.checked_sub(BASE) else {
        return false;
    };
    let live = LIVE.lock().unwrap();
    let page = offset as usize / PAGE_SIZE;
    live.range(..=page)
        .next_back()
        .is_some_and(|(first, allocation)| {
            offset as usize + len_bytes as usize <= (first + allocation.pages) * PAGE_SIZE
        })
}

/// Registers of fake functions by their address, and how many bytes each has.
static REGISTERS: Mutex<BTreeMap<u64, usize>> = Mutex::new(BTreeMap::new());

/// Makes registers, zeroed, for a BAR of a function: leaked memory, which nothing else ever is, at
/// the address that it has on the bus.
#[cfg(not(loom))]
pub(crate) fn new_registers(len_bytes: usize, align: usize) -> u64 {
    let memory = std::vec![0u128; (len_bytes + align) / 16]
        .leak()
        .as_mut_ptr();
    let address = (memory as usize).next_multiple_of(align) as u64;
    REGISTERS.lock().unwrap().insert(address, len_bytes);
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
    // SAFETY: all of its memory is a mapping that lives for ever and that is reached by copies.
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

// SAFETY: pages lie in one mapping that lives for ever; the map of live ones hands each out once.
unsafe impl Hal for FakePlatform {
    fn dma_alloc(pages: usize, _: BufferDirection) -> (PhysAddr, NonNull<u8>) {
        let mut live = LIVE.lock().unwrap();
        let mut first = 0;
        for (taken, allocation) in live.iter() {
            if *taken >= first + pages {
                break;
            }
            first = taken + allocation.pages;
        }
        if (first + pages) * PAGE_SIZE > LEN {
            return (0, NonNull::dangling());
        }
        let allocation = Allocation {
            pages,
            forgotten: false,
        };
        live.insert(first, allocation);
        let bus_address = BASE + (first * PAGE_SIZE) as u64;
        let start = memory()
            .get_host_address(GuestAddress(bus_address))
            .unwrap();
        // SAFETY: these pages are nobody else's.
        unsafe { start.write_bytes(0, pages * PAGE_SIZE) };
        (bus_address, NonNull::new(start).unwrap())
    }

    unsafe fn dma_dealloc(paddr: PhysAddr, _: NonNull<u8>, pages: usize) -> i32 {
        let first = (paddr - BASE) as usize / PAGE_SIZE;
        let freed = LIVE.lock().unwrap().remove(&first);
        let freed = freed.map(|allocation| allocation.pages);
        assert_eq!(freed, Some(pages), "freed what was not allocated so");
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

// SAFETY: no interrupts; every thread is a CPU with a number of its own.
unsafe impl Platform for FakePlatform {
    fn mask_interrupts() -> bool {
        true
    }

    unsafe fn restore_interrupts(_: bool) {}

    fn cpu() -> u32 {
        CPU.with(Cell::get)
    }

    fn map_registers(address: u64, len_bytes: usize) -> Option<NonNull<u8>> {
        let end = address.checked_add(len_bytes as u64)?;
        let registers = REGISTERS.lock().unwrap();
        let (first, len) = registers.range(..=address).next_back()?;
        (end <= first + *len as u64).then(|| NonNull::new(address as *mut u8))?
    }

    fn now_ns() -> u64 {
        static START: OnceLock<Instant> = OnceLock::new();
        START.get_or_init(Instant::now).elapsed().as_nanos() as u64
    }
}
