//! Memory that driver and device share, with bus addresses of its own.
//!
//! Here and in the tests of the services, which include this file by its path: so it names the
//! driver as others do.
#![expect(unsafe_code, reason = "the fake machine's memory")]

use core::ptr::NonNull;
use std::{
    collections::BTreeMap,
    sync::{Mutex, OnceLock},
};

use virtio_drivers::PAGE_SIZE;
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

/// Allocates zeroed pages; returns where the bus and where this process finds them.
pub(super) fn allocate(pages: usize) -> Option<(u64, NonNull<u8>)> {
    let mut live = LIVE.lock().unwrap();
    let mut first = 0;
    for (taken, allocation) in live.iter() {
        if *taken >= first + pages {
            break;
        }
        first = taken + allocation.pages;
    }
    if (first + pages) * PAGE_SIZE > LEN {
        return None;
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
    Some((bus_address, NonNull::new(start).unwrap()))
}

/// Frees pages, which have to be all of an allocation.
pub(super) fn free(bus_address: u64, pages: usize) {
    let first = (bus_address - BASE) as usize / PAGE_SIZE;
    let freed = LIVE.lock().unwrap().remove(&first);
    let freed = freed.map(|allocation| allocation.pages);
    assert_eq!(freed, Some(pages), "freed what was not allocated so");
}

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
