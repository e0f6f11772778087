//! Which physical addresses may be mapped as device registers, and which read as firmware tables.
//!
//! Where things are is said by devices and by firmware, which may lie or be mistaken. What decides
//! is the boot memory map, the CPU's width, and what the kernel keeps for itself: registers of a
//! driver's device lie where all of these know nothing.
//!
//! For rooms that drive a device of the board, and for the driver. The one rule: what the kernel
//! keeps for itself no driver gets.

use core::{arch::x86_64::__cpuid, ops::Range, ptr::NonNull};

use alloc::vec::Vec;
use bootloader_api::info::{MemoryRegion, MemoryRegionKind};
use spin::Once;

use crate::{
    memory::{
        layout::{self, FIRST_BYTE, FRAME_LEN, TRAMPOLINE},
        manager,
    },
    sync::SpinLock,
};

/// Where writes are messages to local APICs (Intel SDM volume 3, 12.11.1).
const MESSAGES: Range<u64> = 0xfee0_0000..0xfef0_0000;
/// "Reserved" in the boot memory map: firmware tables, but the kernel's own registers too.
const RESERVED: MemoryRegionKind = MemoryRegionKind::UnknownBios(2);

/// Most stretches of registers that the kernel keeps for itself.
const MAX_OWN: usize = 64;

/// Registers that the kernel keeps for itself, mapped for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Registers {
    start: u64,
    len_bytes: u64,
}

impl Registers {
    /// Returns where the first is.
    pub fn as_ptr(self) -> *mut u8 {
        self.start as *mut u8
    }

    /// Reads the register at `offset`.
    ///
    /// # Panics
    ///
    /// If it does not lie within, or unaligned.
    #[inline]
    pub(crate) fn read(self, offset: u64) -> u32 {
        // SAFETY: aligned, and within registers that are mapped for good: no Rust object is there.
        unsafe { self.register(offset).read_volatile() }
    }

    /// Writes the register at `offset`. What the device does of it the caller answers for.
    ///
    /// # Panics
    ///
    /// As [`read`](Self::read) does.
    #[inline]
    pub(crate) fn write(self, offset: u64, value: u32) {
        // SAFETY: as in `read`.
        unsafe { self.register(offset).write_volatile(value) }
    }

    #[inline]
    fn register(self, offset: u64) -> *mut u32 {
        let len_bytes = size_of::<u32>() as u64;
        assert!(self.len_bytes >= len_bytes && offset <= self.len_bytes - len_bytes);
        let place = (self.start + offset) as *mut u32;
        assert!(place.is_aligned());
        place
    }
}

/// What the kernel has mapped for itself.
struct Own {
    ranges: [Range<u64>; MAX_OWN],
    count: usize,
}

static OWN: SpinLock<Own> = SpinLock::new(
    "own registers",
    Own {
        ranges: [const { 0..0 }; MAX_OWN],
        count: 0,
    },
);
static REGIONS: Once<&'static [MemoryRegion]> = Once::new();

pub(super) fn init(regions: &'static [MemoryRegion]) {
    REGIONS.call_once(|| regions);
}

fn overlap(one: &Range<u64>, other: &Range<u64>) -> bool {
    one.start < other.end && other.start < one.end
}

/// Returns the pages that `len_bytes` at `address` lie on; `None` where that is nothing, or no
/// place that the CPU can reach and the device window has room for.
fn pages(address: u64, len_bytes: usize) -> Option<Range<u64>> {
    let frame = FRAME_LEN as u64;
    let end = address.checked_add(len_bytes as u64)?;
    let limit = (1 << address_bits()).min(layout::DEVICE_LEN);
    (len_bytes > 0 && end <= limit).then(|| address / frame * frame..end.next_multiple_of(frame))
}

/// Returns the width of the CPU's physical addresses (Intel SDM volume 2, CPUID leaf 0x80000008).
fn address_bits() -> u32 {
    const LEAF: u32 = 0x8000_0008;
    match __cpuid(0x8000_0000).eax {
        LEAF.. => __cpuid(LEAF).eax & 0xff,
        _ => 36,
    }
    .min(52)
}

/// Tells whether the boot memory map has some of `range` as what `is` says.
fn is_named(range: &Range<u64>, is: impl Fn(MemoryRegionKind) -> bool) -> bool {
    let regions = REGIONS.get().into_iter().copied().flatten();
    let mut named = regions.filter(|region| is(region.kind));
    named.any(|region| overlap(range, &(region.start..region.end)))
}

fn is_own(range: &Range<u64>) -> bool {
    OWN.with(|own| {
        let own = &own.ranges[..own.count];
        own.iter().any(|kept| overlap(range, kept))
    })
}

/// Maps registers of a driver's device, uncached, for good. Mapping the same twice is fine.
///
/// `None` unless every byte of the stretch can be device registers: the pages that it lies on are
/// above the first MiB, within what the CPU can address, in no region of the boot memory map
/// (memory, the image, firmware tables), and neither the interrupt messages' window nor registers
/// that the kernel keeps for itself. `None`, too, when there is no memory for page tables.
pub fn map_registers(address: u64, len_bytes: usize) -> Option<NonNull<u8>> {
    let pages = pages(address, len_bytes)?;
    let is_free = pages.start >= FIRST_BYTE
        && !overlap(&pages, &MESSAGES)
        && !is_named(&pages, |_| true)
        && !is_own(&pages);
    if !is_free {
        return None;
    }
    map(address, pages)
}

/// Maps registers that the kernel keeps for itself, where the firmware says that they are. No
/// driver gets them from here on.
///
/// `None` where there is memory, for nothing, past what the CPU can address, and when there is no
/// memory for page tables or no room to remember it.
pub fn map_own_registers(address: u64, len_bytes: usize) -> Option<Registers> {
    let pages = pages(address, len_bytes)?;
    if pages.start < FIRST_BYTE || is_named(&pages, |kind| kind != RESERVED) {
        return None;
    }
    let is_kept = OWN.with(|own| {
        if own.ranges[..own.count].contains(&pages) {
            return true;
        }
        let Some(place) = own.ranges.get_mut(own.count) else {
            return false;
        };
        *place = pages.clone();
        own.count += 1;
        true
    });
    if !is_kept {
        return None;
    }
    manager::map_device_largely(pages)?;
    let start = in_window(address)?.as_ptr() as u64;
    Some(Registers {
        start,
        len_bytes: len_bytes as u64,
    })
}

/// Copies the code at which further CPUs begin to its page: memory that the allocator does not
/// have. `None` when there is no memory to map it.
///
/// # Panics
///
/// If it is longer than a page.
pub(crate) fn place_trampoline(code: &[u8]) -> Option<()> {
    assert!(
        code.len() <= FRAME_LEN,
        "{} bytes of trampoline",
        code.len()
    );
    let page = u64::from(TRAMPOLINE);
    let start = map(page, page..page + FRAME_LEN as u64)?;
    // SAFETY: the page was mapped just now. It lies below the memory that the allocator has, the
    // firmware has done with it, and the code is no longer than it.
    unsafe {
        start
            .as_ptr()
            .copy_from_nonoverlapping(code.as_ptr(), code.len())
    };
    Some(())
}

/// Copies a firmware table.
///
/// A copy, because nobody promises that the memory stays as it is. `None` where the kernel has
/// memory of its own or registers, or nobody says that there is anything: tables lie below the
/// first MiB or in what the boot memory map does not leave to us.
pub(crate) fn read_firmware(address: u64, len_bytes: usize) -> Option<Vec<u8>> {
    let pages = pages(address, len_bytes)?;
    let is_low = pages.end <= FIRST_BYTE;
    let is_ours = |kind| {
        matches!(
            kind,
            MemoryRegionKind::Usable | MemoryRegionKind::Bootloader
        )
    };
    let is_firmwares = is_named(&pages, |kind| !is_ours(kind))
        && !is_named(&pages, is_ours)
        && !overlap(&pages, &MESSAGES)
        && !is_own(&pages);
    if !is_low && !is_firmwares {
        return None;
    }
    let start = map(address, pages)?;
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(len_bytes).ok()?;
    // SAFETY: mapped just now, for good, all of the stretch. Any byte is a `u8`, and reading each
    // by itself stays right whatever the memory does meanwhile.
    bytes.extend((0..len_bytes).map(|at| unsafe { start.add(at).read_volatile() }));
    Some(bytes)
}

fn map(address: u64, pages: Range<u64>) -> Option<NonNull<u8>> {
    manager::map_device(pages)?;
    in_window(address)
}

fn in_window(address: u64) -> Option<NonNull<u8>> {
    NonNull::new((layout::DEVICE_OFFSET + address) as *mut u8)
}
