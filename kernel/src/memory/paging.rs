//! The final page tables: each page writable or executable, never both. Where everything is says
//! [`layout`](crate::memory::layout).
//!
//! The one rule: only [`Tables`] changes them, and there is one.

use core::ops::Range;

use x86_64::{
    PhysAddr, VirtAddr,
    registers::control::{Cr3, Cr3Flags},
    structures::paging::{
        FrameAllocator, Mapper, OffsetPageTable, Page, PageSize, PageTable, PageTableFlags,
        PhysFrame, Size2MiB, Size4KiB, Translate, mapper::MapToError,
    },
};

use crate::memory::{
    frames::Frames,
    layout::{DEVICE_OFFSET, FRAME_LEN, PHYSICAL_OFFSET, STACKS, physical},
};

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

/// A stack that nobody has used yet.
///
/// Whoever gets one has it alone and for good: it is never unmapped, and no other is at its place.
#[derive(Debug)]
pub struct Stack {
    top: VirtAddr,
}

impl Stack {
    /// Returns the first address past its end, where it begins.
    pub fn top(&self) -> VirtAddr {
        self.top
    }
}

/// The page tables in use, which every CPU has.
pub(super) struct Tables {
    /// Reaches every table through the physical map.
    mapper: OffsetPageTable<'static>,
    /// Where the next stack goes.
    next_stack: u64,
}

impl Tables {
    /// Builds the final tables and goes over to them. Once, on the boot CPU, with its tables.
    pub(super) fn switch(usable: impl Iterator<Item = (u64, u64)>, frames: &mut Frames) -> Self {
        let Some(top) = frames.allocate_frame() else {
            panic!("no frame for the page tables")
        };
        let table: *mut PageTable = physical(top.start_address().as_u64()).as_mut_ptr();
        // SAFETY: a free frame just taken, mapped by the boot tables; any bits make a table, and it
        // is cleared before use.
        let table = unsafe {
            table.write(PageTable::new());
            &mut *table
        };
        // SAFETY: all frames handed out so far lie in the part that the boot tables map there:
        // first fit begins at the bottom.
        let mapper = unsafe { OffsetPageTable::new(table, VirtAddr::new(PHYSICAL_OFFSET)) };
        let mut tables = Self {
            mapper,
            next_stack: STACKS,
        };

        let image = [
            (&raw const image_start, &raw const text_end, RX),
            (&raw const text_end, &raw const rodata_end, R),
            (&raw const rodata_end, &raw const image_end, RW),
        ];
        let guard = &raw const boot_stack_guard as u64;
        for (start, end, rights) in image {
            for address in (start as u64..end as u64).step_by(FRAME_LEN) {
                if address != guard {
                    tables.expect_mapped::<Size4KiB>(address, address, rights, frames);
                }
            }
        }
        for (start, end) in usable {
            let (mut start, end) = (start.next_multiple_of(4096), end & !4095);
            while start < end {
                let large = Size2MiB::SIZE;
                if start.is_multiple_of(large) && start + large <= end {
                    tables.expect_mapped::<Size2MiB>(PHYSICAL_OFFSET + start, start, RW, frames);
                    start += large;
                } else {
                    tables.expect_mapped::<Size4KiB>(PHYSICAL_OFFSET + start, start, RW, frames);
                    start += Size4KiB::SIZE;
                }
            }
        }
        // SAFETY: the new tables map the image where it runs, the boot stack, and the frames at the
        // same place as before.
        unsafe { Cr3::write(top, Cr3Flags::empty()) };
        tables
    }

    fn map<S: PageSize + core::fmt::Debug>(
        &mut self,
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
        let mapped = unsafe {
            self.mapper
                .map_to_with_table_flags(page, frame, rights, TABLE, frames)
        };
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
        &mut self,
        to: u64,
        address: u64,
        rights: PageTableFlags,
        frames: &mut Frames,
    ) where
        for<'a> OffsetPageTable<'a>: Mapper<S>,
    {
        if let Err(error) = self.map(to, address, rights, frames) {
            panic!("mapping {address:#x} at {to:#x}: {error:?}");
        }
    }

    /// Maps whole pages into the device window, and nothing beside them. `None` when the page
    /// tables would take too much memory.
    pub(super) fn map_device(&mut self, pages: Range<u64>, frames: &mut Frames) -> Option<()> {
        expect_room(&pages, frames)?;
        for page in pages.step_by(FRAME_LEN) {
            self.map::<Size4KiB>(DEVICE_OFFSET + page, page, DEVICE, frames)
                .ok()?;
        }
        Some(())
    }

    /// Like [`map_device`](Self::map_device), in large pages where they fit: nobody else has
    /// anything in such a stretch.
    pub(super) fn map_device_largely(
        &mut self,
        pages: Range<u64>,
        frames: &mut Frames,
    ) -> Option<()> {
        expect_room(&pages, frames)?;
        let Range { mut start, end } = pages;
        while start < end {
            let to = DEVICE_OFFSET + start;
            if start.is_multiple_of(Size2MiB::SIZE) && end - start >= Size2MiB::SIZE {
                self.map::<Size2MiB>(to, start, DEVICE, frames).ok()?;
                start += Size2MiB::SIZE;
            } else {
                self.map::<Size4KiB>(to, start, DEVICE, frames).ok()?;
                start += Size4KiB::SIZE;
            }
        }
        Some(())
    }

    /// Maps a stack of `pages` pages above a page that stays unmapped.
    pub(super) fn map_stack(&mut self, pages: usize, frames: &mut Frames) -> Stack {
        let bottom = self.next_stack + FRAME_LEN as u64;
        let top = bottom + (pages * FRAME_LEN) as u64;
        self.next_stack = top;
        for page in (bottom..top).step_by(FRAME_LEN) {
            let Some(frame) = frames.allocate(1) else {
                panic!("no memory for a stack")
            };
            self.expect_mapped::<Size4KiB>(page, frame, RW, frames);
        }
        Stack {
            top: VirtAddr::new(top),
        }
    }

    /// Returns the physical address of a mapped virtual one.
    pub(super) fn translate(&self, address: VirtAddr) -> Option<u64> {
        self.mapper.translate_addr(address).map(PhysAddr::as_u64)
    }

    /// Returns a copy of the table that the entries of `path` lead to from the top; `None` where
    /// one of them leads to none.
    pub(super) fn copy_of(&self, path: &[usize]) -> Option<PageTable> {
        let mut table = self.mapper.level_4_table();
        for &index in path {
            let entry = &table[index];
            if !is_table(entry.flags()) {
                return None;
            }
            // SAFETY: the entry names a table of the tables in use, reached through the physical
            // map. Tables stay where they are, and `self` is borrowed as long as the reference is.
            table = unsafe { &*physical(entry.addr().as_u64()).as_ptr() };
        }
        Some(table.clone())
    }
}

/// Tells whether an entry above the last level leads to a table and not to a large page.
pub(super) fn is_table(flags: PageTableFlags) -> bool {
    flags.contains(PageTableFlags::PRESENT) && !flags.contains(PageTableFlags::HUGE_PAGE)
}

/// `None` if mapping `pages` could take more than half of what memory is left.
fn expect_room(pages: &Range<u64>, frames: &Frames) -> Option<()> {
    const TABLES_ABOVE: u64 = 6;
    let tables = (pages.end - pages.start) / Size2MiB::SIZE + TABLES_ABOVE;
    (tables <= frames.free_count() as u64 / 2).then_some(())
}
