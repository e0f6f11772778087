//! Memory that driver and device share, with bus addresses of its own.
//!
//! It is one mapping, or each allocation is one of its own: see [`IS_APART`].
//!
//! Here and in the tests of the services, which include this file by its path: so it names the
//! driver as others do.
#![expect(unsafe_code, reason = "the fake machine's memory")]

use alloc::{sync::Arc, vec, vec::Vec};
use core::ptr::NonNull;
use std::{
    collections::BTreeMap,
    sync::{Mutex, OnceLock},
};

use virtio_drivers::PAGE_SIZE;
use vm_memory::{
    Bytes, GuestAddress, GuestAddressSpace, GuestMemoryAtomic, GuestMemoryBackend,
    GuestMemoryLoadGuard, GuestMemoryMmap, GuestRegionMmap,
};

/// Each allocation is memory of its own, which is unmapped when it is freed, and no address is
/// given out twice: so whatever watches memory (Miri, AddressSanitizer, the CPU) sees a driver
/// that reaches what it has freed, and a device that does finds nothing.
const IS_APART: bool = cfg!(any(miri, apart));

/// Bus address of the first byte: nothing like a pointer.
const BASE: u64 = 0x7_0000_0000;
/// What tests give up for good is never handed out again.
const LEN: usize = 256 << 20;

/// The memory that driver and device share.
pub(crate) fn shared() -> &'static GuestMemoryAtomic<GuestMemoryMmap> {
    static SHARED: OnceLock<GuestMemoryAtomic<GuestMemoryMmap>> = OnceLock::new();
    SHARED.get_or_init(|| {
        GuestMemoryAtomic::new(match IS_APART {
            true => GuestMemoryMmap::new(),
            false => GuestMemoryMmap::from_ranges(&[(GuestAddress(BASE), LEN)]).unwrap(),
        })
    })
}

/// What is there of it now. It stays for as long as this lives.
pub(crate) type View = GuestMemoryLoadGuard<GuestMemoryMmap>;

/// Returns the memory that driver and device share.
pub(crate) fn memory() -> View {
    shared().memory()
}

/// Changes what is there. One at a time: whoever does so has the live allocations.
fn change(change: impl FnOnce(&GuestMemoryMmap) -> GuestMemoryMmap) {
    let changed = change(&memory());
    shared().lock().unwrap().replace(changed);
}

/// Pages that have been handed out.
struct Allocation {
    pages: usize,
    /// They were another test's, and no longer count.
    forgotten: bool,
}

/// Live allocations by their first page.
static LIVE: Mutex<BTreeMap<usize, Allocation>> = Mutex::new(BTreeMap::new());

/// What was in pages when they were freed and unmapped, if it was not all zeros.
static FREED: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

/// Chooses where an allocation lies: in the first gap, or behind all that there ever were, and
/// behind a page that nobody has.
fn place(live: &BTreeMap<usize, Allocation>, pages: usize) -> Option<usize> {
    static NEXT: Mutex<usize> = Mutex::new(0);
    let most = LEN / PAGE_SIZE;
    if IS_APART {
        let taken: usize = live.values().map(|allocation| allocation.pages).sum();
        let mut next = NEXT.lock().unwrap();
        let first = *next;
        *next += pages + 1;
        return (pages <= most - taken).then_some(first);
    }
    let mut first = 0;
    for (taken, allocation) in live {
        if *taken >= first + pages {
            break;
        }
        first = taken + allocation.pages;
    }
    (first + pages <= most).then_some(first)
}

fn bus_address_of(page: usize) -> u64 {
    BASE + (page * PAGE_SIZE) as u64
}

/// Allocates zeroed pages; returns where the bus and where this process finds them.
pub(super) fn allocate(pages: usize) -> Option<(u64, NonNull<u8>)> {
    let mut live = LIVE.lock().unwrap();
    let first = place(&live, pages)?;
    let allocation = Allocation {
        pages,
        forgotten: false,
    };
    live.insert(first, allocation);
    let bus_address = bus_address_of(first);
    let at = GuestAddress(bus_address);
    if IS_APART {
        let region = GuestRegionMmap::from_range(at, pages * PAGE_SIZE, None).unwrap();
        change(|now| now.insert_region(Arc::new(region)).unwrap());
    }
    let start = memory().get_host_address(at).unwrap();
    if !IS_APART {
        // SAFETY: these pages are nobody else's.
        unsafe { start.write_bytes(0, pages * PAGE_SIZE) };
    }
    Some((bus_address, NonNull::new(start).unwrap()))
}

/// Frees pages, which have to be all of an allocation.
pub(super) fn free(bus_address: u64, pages: usize) {
    let first = (bus_address - BASE) as usize / PAGE_SIZE;
    let mut live = LIVE.lock().unwrap();
    let freed = live.remove(&first).map(|allocation| allocation.pages);
    assert_eq!(freed, Some(pages), "freed what was not allocated so");
    if IS_APART {
        let mut content = vec![0; pages * PAGE_SIZE];
        let at = GuestAddress(bus_address);
        memory().read_slice(&mut content, at).unwrap();
        let mut freed = content.chunks_exact(PAGE_SIZE);
        if freed.any(|page| page != [0; PAGE_SIZE]) {
            FREED.lock().unwrap().push(content);
        }
        change(|now| now.remove_region(at, (pages * PAGE_SIZE) as u64).unwrap().0);
    }
}

/// Returns how many pages are allocated.
pub(crate) fn live_pages() -> usize {
    let live = LIVE.lock().unwrap();
    let counted = live.values().filter(|allocation| !allocation.forgotten);
    counted.map(|allocation| allocation.pages).sum()
}

/// Starts counting anew. What is allocated now is nobody else's before it has been freed: a session
/// may outlive its test's rig for a moment.
#[cfg(not(loom))]
pub(crate) fn forget_live_pages() {
    for allocation in LIVE.lock().unwrap().values_mut() {
        allocation.forgotten = true;
    }
}

/// Tells whether all of these bytes are allocated: what a device may touch has to be.
#[cfg(not(loom))]
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
    if IS_APART {
        let freed = FREED.lock().unwrap();
        let live = LIVE.lock().unwrap();
        return freed.iter().any(|content| is_in(content, bytes))
            || (live.iter()).any(|(first, live)| is_in_pages(*first, live.pages, bytes));
    }
    is_in_pages(0, LEN / PAGE_SIZE, bytes)
}

/// Tells whether `bytes` stand in `content`.
#[cfg(not(loom))]
fn is_in(mut content: &[u8], bytes: &[u8]) -> bool {
    use std::io::BufRead;
    // Not window by window, which takes Miri minutes.
    let (first, behind) = bytes.split_first().unwrap();
    assert!(!behind.is_empty());
    while content.skip_until(*first).unwrap() > 0 {
        if content.starts_with(behind) {
            return true;
        }
    }
    false
}

/// Tells whether `bytes`, which are not all zeros, begin in one of these pages and stand in them.
#[cfg(not(loom))]
fn is_in_pages(first: usize, pages: usize, bytes: &[u8]) -> bool {
    let memory = memory();
    let end = (first + pages) * PAGE_SIZE;
    // With what begins in a page and goes on behind it.
    let mut content = vec![0; PAGE_SIZE + bytes.len()];
    let mut begins_in = |page: usize| {
        let start = page * PAGE_SIZE;
        let content = &mut content[..(end - start).min(PAGE_SIZE + bytes.len())];
        let at = GuestAddress(bus_address_of(page));
        memory.read_slice(content, at).unwrap();
        // Most of it is zeros.
        content[..PAGE_SIZE] != [0; PAGE_SIZE] && is_in(content, bytes)
    };
    (first..first + pages).any(&mut begins_in)
}

/// Returns a 16-bit field of a ring, as a device reaches it.
#[cfg(not(loom))]
pub(crate) fn ring_field(memory: &View, bus_address: u64) -> &core::sync::atomic::AtomicU16 {
    use vm_memory::VolatileMemory;
    let at = GuestAddress(bus_address);
    let (region, at) = memory.to_region_addr(at).unwrap();
    region.get_atomic_ref(at.0 as usize).unwrap()
}

/// Uses the chain in the indirect table of this head as the first element of a ring: writes its
/// last byte, the status, and nothing else.
#[cfg(loom)]
pub(crate) fn use_chain(addresses: virtio_crypto::transport::QueueAddresses, head: u16) {
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
