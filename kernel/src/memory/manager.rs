//! The memory manager: free frames and page tables behind one lock, because mapping takes frames.
//!
//! For every room that wants frames, a stack or a mapping. The one rule: both are reached through
//! [`MEMORY`] alone, so only one CPU at a time changes the tables in use.

use core::ops::Range;

use x86_64::{VirtAddr, structures::paging::PageTableFlags};

use crate::{
    memory::{
        frames::Frames,
        layout::{FRAME_LEN, physical},
        paging::{Stack, Tables, is_table},
    },
    sync::SpinLock,
};

struct Memory {
    frames: Frames,
    tables: Tables,
}

static MEMORY: SpinLock<Option<Memory>> = SpinLock::new("memory", None);

/// Takes over the usable regions, and goes over to the final page tables.
///
/// # Panics
///
/// When called again.
pub(super) fn init(usable: impl Iterator<Item = (u64, u64)> + Clone) {
    MEMORY.with(|memory| assert!(memory.is_none(), "memory is taken over once"));
    let mut frames = Frames::new(usable.clone());
    let tables = Tables::switch(usable, &mut frames);
    MEMORY.with(|memory| *memory = Some(Memory { frames, tables }));
}

/// Allocates `count` contiguous zeroed frames and returns the physical address of the first.
pub fn allocate_frames(count: usize) -> Option<u64> {
    let start = MEMORY.with(|memory| memory.as_mut()?.frames.allocate(count))?;
    // SAFETY: the frames are free memory just taken, mapped at their place in the physical map.
    unsafe {
        physical(start)
            .as_mut_ptr::<u8>()
            .write_bytes(0, count * FRAME_LEN)
    };
    Some(start)
}

/// Gives frames back.
///
/// # Safety
///
/// They are `count` frames that [`allocate_frames`] gave, and nobody, no device either, uses them
/// from here on.
pub unsafe fn free_frames(start: u64, count: usize) {
    MEMORY.with(|memory| {
        if let Some(memory) = memory {
            memory.frames.free(start, count);
        }
    });
}

/// Returns how many frames are free.
pub fn free_frame_count() -> usize {
    MEMORY.with(|memory| {
        memory
            .as_ref()
            .map_or(0, |memory| memory.frames.free_count())
    })
}

/// Allocates a stack of `pages` pages with an unmapped page below it.
///
/// # Panics
///
/// When memory runs out.
pub fn allocate_stack(pages: usize) -> Stack {
    MEMORY.with(|memory| match memory {
        Some(Memory { frames, tables }) => tables.map_stack(pages, frames),
        None => panic!("a stack before memory"),
    })
}

/// Maps pages into the device window. `None` when there is too little memory for tables.
pub(super) fn map_device(pages: Range<u64>) -> Option<()> {
    MEMORY.with(|memory| {
        let Memory { frames, tables } = memory.as_mut()?;
        tables.map_device(pages, frames)
    })
}

/// Like [`map_device`], in large pages where they fit: nobody else has anything in such a stretch.
pub(super) fn map_device_largely(pages: Range<u64>) -> Option<()> {
    MEMORY.with(|memory| {
        let Memory { frames, tables } = memory.as_mut()?;
        tables.map_device_largely(pages, frames)
    })
}

/// Returns the physical address of a mapped virtual one.
pub fn translate(address: VirtAddr) -> Option<u64> {
    MEMORY.with(|memory| memory.as_ref()?.tables.translate(address))
}

/// Calls `f` with the address and the rights of every mapped page, large or small.
pub fn for_each_mapping(mut f: impl FnMut(VirtAddr, PageTableFlags)) {
    walk(&mut [0; LEVELS], 0, &mut f);
}

/// Levels of the page tables.
const LEVELS: usize = 4;

/// Walks the table that the first `depth` entries of `path` lead to.
fn walk(path: &mut [usize; LEVELS], depth: usize, f: &mut impl FnMut(VirtAddr, PageTableFlags)) {
    // A copy: `f` does not run under the lock.
    let table = MEMORY.with(|memory| memory.as_ref()?.tables.copy_of(&path[..depth]));
    for (index, entry) in table.iter().flat_map(|table| table.iter().enumerate()) {
        path[depth] = index;
        if depth + 1 < LEVELS && is_table(entry.flags()) {
            walk(path, depth + 1, f);
        } else if entry.flags().contains(PageTableFlags::PRESENT) {
            f(address(&path[..=depth]), entry.flags());
        }
    }
}

/// Returns the first address that an entry stands for.
fn address(path: &[usize]) -> VirtAddr {
    let indices = path.iter().chain(core::iter::repeat(&0)).take(LEVELS);
    let pages = indices.fold(0, |pages, index| pages << 9 | *index as u64);
    VirtAddr::new_truncate(pages << 12)
}
