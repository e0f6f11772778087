//! The final page tables: each page writable or executable, never both.
//!
//! | where | what | rights |
//! |---|---|---|
//! | where it is linked | the image: code, constants, data | RX, R, RW |
//! | [`PHYSICAL_OFFSET`] | usable memory, without the image | RW |
//! | [`DEVICE_OFFSET`] | device registers and firmware tables, as they are asked for | RW, uncached |
//! | [`STACKS`] | stacks, each above a page that is not mapped | RW |
//!
//! The page below the boot stack is not mapped either, nor is page 0.

use core::{
    ops::Range,
    sync::atomic::{AtomicU64, Ordering},
};

use x86_64::{
    PhysAddr, VirtAddr,
    registers::control::{Cr3, Cr3Flags},
    structures::paging::{
        FrameAllocator, Mapper, OffsetPageTable, Page, PageSize, PageTable, PageTableFlags,
        PhysFrame, Size2MiB, Size4KiB, Translate, mapper::MapToError,
    },
};

use super::{FRAME_LEN, Frames, physical};
use crate::boot::PHYSICAL_OFFSET;

/// Where device registers are mapped: at their bus address plus this.
pub const DEVICE_OFFSET: u64 = 0xffff_c000_0000_0000;
/// Where stacks are.
pub const STACKS: u64 = 0xffff_f000_0000_0000;
/// Bus addresses from here on have no place in the device window.
pub const DEVICE_LEN: u64 = STACKS - DEVICE_OFFSET;

static NEXT_STACK: AtomicU64 = AtomicU64::new(STACKS);

const R: PageTableFlags = PageTableFlags::PRESENT.union(PageTableFlags::NO_EXECUTE);
const RW: PageTableFlags = R.union(PageTableFlags::WRITABLE);
const RX: PageTableFlags = PageTableFlags::PRESENT;
const DEVICE: PageTableFlags = RW
    .union(PageTableFlags::NO_CACHE)
    .union(PageTableFlags::WRITE_THROUGH);
/// Rights are decided in the last level.
const TABLE: PageTableFlags = PageTableFlags::PRESENT.union(PageTableFlags::WRITABLE);

unsafe extern "C" {
    static image_start: u8;
    static text_end: u8;
    static rodata_end: u8;
    static boot_stack_guard: u8;
    static image_end: u8;
}

// SAFETY: every frame comes from the map of free ones, which hands out each once.
unsafe impl FrameAllocator<Size4KiB> for Frames {
    fn allocate_frame(&mut self) -> Option<PhysFrame> {
        let start = self.allocate(1)?;
        Some(PhysFrame::containing_address(PhysAddr::new(start)))
    }
}

fn active_tables() -> OffsetPageTable<'static> {
    let (frame, _) = Cr3::read();
    let table: *mut PageTable = physical(frame.start_address().as_u64()).as_mut_ptr();
    // SAFETY: the top table of the tables in use, reached through the physical map. Callers hold
    // the lock of the frames, so there is one such reference at a time.
    unsafe { OffsetPageTable::new(&mut *table, VirtAddr::new(PHYSICAL_OFFSET)) }
}

/// Builds the final tables and goes over to them.
pub(super) fn switch(usable: impl Iterator<Item = (u64, u64)>, frames: &mut Frames) {
    let Some(top) = frames.allocate_frame() else {
        panic!("no frame for the page tables")
    };
    let table: *mut PageTable = physical(top.start_address().as_u64()).as_mut_ptr();
    // SAFETY: a free frame just taken, mapped by the boot tables; any bits make a table, and it is
    // cleared before use.
    let table = unsafe {
        table.write(PageTable::new());
        &mut *table
    };
    // SAFETY: all frames handed out so far lie in the part that the boot tables map there: first
    // fit begins at the bottom.
    let mut tables = unsafe { OffsetPageTable::new(table, VirtAddr::new(PHYSICAL_OFFSET)) };

    let image = [
        (&raw const image_start, &raw const text_end, RX),
        (&raw const text_end, &raw const rodata_end, R),
        (&raw const rodata_end, &raw const image_end, RW),
    ];
    let guard = &raw const boot_stack_guard as u64;
    for (start, end, rights) in image {
        for address in (start as u64..end as u64).step_by(FRAME_LEN) {
            if address != guard {
                expect_mapped::<Size4KiB>(&mut tables, address, address, rights, frames);
            }
        }
    }
    for (start, end) in usable {
        let (mut start, end) = (start.next_multiple_of(4096), end & !4095);
        while start < end {
            let large = Size2MiB::SIZE;
            if start.is_multiple_of(large) && start + large <= end {
                expect_mapped::<Size2MiB>(&mut tables, PHYSICAL_OFFSET + start, start, RW, frames);
                start += large;
            } else {
                expect_mapped::<Size4KiB>(&mut tables, PHYSICAL_OFFSET + start, start, RW, frames);
                start += Size4KiB::SIZE;
            }
        }
    }
    // SAFETY: the new tables map the image where it runs, the boot stack, and the frames at the
    // same place as before.
    unsafe { Cr3::write(top, Cr3Flags::empty()) };
}

fn map<S: PageSize + core::fmt::Debug>(
    tables: &mut OffsetPageTable,
    to: u64,
    address: u64,
    rights: PageTableFlags,
    frames: &mut Frames,
) -> Result<(), MapToError<S>>
where
    for<'a> OffsetPageTable<'a>: Mapper<S>,
{
    let page = Page::<S>::containing_address(VirtAddr::new(to));
    let frame = PhysFrame::<S>::containing_address(PhysAddr::new(address));
    // SAFETY: the callers map image pages to themselves, usable memory into the physical map,
    // fresh frames as stacks, and registers into the device window: no Rust object is aliased.
    let mapped = unsafe { tables.map_to_with_table_flags(page, frame, rights, TABLE, frames) };
    match mapped {
        Ok(flush) => flush.flush(),
        // Device registers that share a page.
        Err(MapToError::PageAlreadyMapped(there)) if there == frame => {}
        Err(error) => return Err(error),
    }
    Ok(())
}

/// Maps what the kernel cannot do without.
fn expect_mapped<S: PageSize + core::fmt::Debug>(
    tables: &mut OffsetPageTable,
    to: u64,
    address: u64,
    rights: PageTableFlags,
    frames: &mut Frames,
) where
    for<'a> OffsetPageTable<'a>: Mapper<S>,
{
    if let Err(error) = map(tables, to, address, rights, frames) {
        panic!("mapping {address:#x} at {to:#x}: {error:?}");
    }
}

/// Maps whole pages into the device window, and nothing beside them. `None` when the page tables
/// would take too much memory.
pub(super) fn map_device(pages: Range<u64>, frames: &mut Frames) -> Option<()> {
    let mut tables = active_tables();
    expect_room(&pages, frames)?;
    for page in pages.step_by(FRAME_LEN) {
        map::<Size4KiB>(&mut tables, DEVICE_OFFSET + page, page, DEVICE, frames).ok()?;
    }
    Some(())
}

/// Like [`map_device`], in large pages where they fit: nobody else has anything in such a stretch.
pub(super) fn map_device_largely(pages: Range<u64>, frames: &mut Frames) -> Option<()> {
    let mut tables = active_tables();
    expect_room(&pages, frames)?;
    let Range { mut start, end } = pages;
    while start < end {
        let to = DEVICE_OFFSET + start;
        if start.is_multiple_of(Size2MiB::SIZE) && end - start >= Size2MiB::SIZE {
            map::<Size2MiB>(&mut tables, to, start, DEVICE, frames).ok()?;
            start += Size2MiB::SIZE;
        } else {
            map::<Size4KiB>(&mut tables, to, start, DEVICE, frames).ok()?;
            start += Size4KiB::SIZE;
        }
    }
    Some(())
}

/// `None` if mapping `pages` could take more than half of what memory is left.
fn expect_room(pages: &Range<u64>, frames: &Frames) -> Option<()> {
    const TABLES_ABOVE: u64 = 6;
    let tables = (pages.end - pages.start) / Size2MiB::SIZE + TABLES_ABOVE;
    (tables <= frames.free_count() as u64 / 2).then_some(())
}

pub(super) fn map_stack(pages: usize, frames: &mut Frames) -> VirtAddr {
    let mut tables = active_tables();
    let len_bytes = (pages * FRAME_LEN) as u64;
    let guard = NEXT_STACK.fetch_add(len_bytes + FRAME_LEN as u64, Ordering::Relaxed);
    let bottom = guard + FRAME_LEN as u64;
    for page in (bottom..bottom + len_bytes).step_by(FRAME_LEN) {
        let Some(frame) = frames.allocate(1) else {
            panic!("no memory for a stack")
        };
        expect_mapped::<Size4KiB>(&mut tables, page, frame, RW, frames);
    }
    VirtAddr::new(bottom + len_bytes)
}

/// Returns the physical address of a mapped virtual one.
pub fn translate(address: VirtAddr) -> Option<u64> {
    active_tables()
        .translate_addr(address)
        .map(PhysAddr::as_u64)
}

/// Calls `f` with the address and the rights of every mapped page, large or small.
pub fn for_each_mapping(mut f: impl FnMut(VirtAddr, PageTableFlags)) {
    let (top, _) = Cr3::read();
    walk(top.start_address().as_u64(), 4, 0, &mut f);
}

fn walk(table: u64, level: u32, base: u64, f: &mut impl FnMut(VirtAddr, PageTableFlags)) {
    // SAFETY: a table of the tables in use, reached through the physical map, where it stays;
    // tests walk while nothing is being mapped.
    let table: &PageTable = unsafe { &*physical(table).as_ptr() };
    for (index, entry) in (0..).zip(table.iter()) {
        if !entry.flags().contains(PageTableFlags::PRESENT) {
            continue;
        }
        let address = base + (index << (12 + 9 * (level - 1)));
        let leaf = level == 1 || entry.flags().contains(PageTableFlags::HUGE_PAGE);
        if leaf {
            f(VirtAddr::new_truncate(address), entry.flags());
        } else {
            walk(entry.addr().as_u64(), level - 1, address, f);
        }
    }
}
