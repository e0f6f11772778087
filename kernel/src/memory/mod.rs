//! Physical memory, page tables, stacks, device registers.

mod frames;
pub mod heap;
pub mod paging;
mod registers;
mod shared;

use bootloader_api::{BootInfo, info::MemoryRegionKind};
use x86_64::VirtAddr;

pub(crate) use self::registers::{map_trampoline, read_firmware};
pub use self::{
    frames::{FRAME_LEN, Frames},
    registers::{map_own_registers, map_registers},
    shared::Shared,
};
use crate::{boot, sync::SpinLock};

/// Least usable memory the kernel runs in.
pub const LEAST_USABLE_BYTES: u64 = 24 << 20;

/// Frames below belong to the firmware, and to the code that starts further CPUs.
const FIRST_BYTE: u64 = 1 << 20;

static FRAMES: SpinLock<Option<Frames>> = SpinLock::new("frames", None);

/// Takes over memory: frames from the map, final page tables, the heap.
///
/// # Errors
///
/// How many usable bytes there are, when they are too few.
pub fn init(info: &'static BootInfo) -> Result<(), u64> {
    let usable = || {
        let regions = info.memory_regions.iter();
        regions
            .filter(|region| region.kind == MemoryRegionKind::Usable)
            .map(|region| (region.start.max(FIRST_BYTE), region.end))
            .filter(|(start, end)| start < end)
    };
    let usable_bytes: u64 = usable().map(|(start, end)| end - start).sum();
    if usable_bytes < LEAST_USABLE_BYTES {
        return Err(usable_bytes);
    }
    let mut frames = Frames::new(usable());
    paging::switch(usable(), &mut frames);
    FRAMES.with(|place| *place = Some(frames));
    registers::init(&info.memory_regions);
    heap::init();
    Ok(())
}

/// Allocates `count` contiguous zeroed frames and returns the physical address of the first.
pub fn allocate_frames(count: usize) -> Option<u64> {
    let start = FRAMES.with(|frames| frames.as_mut()?.allocate(count))?;
    // SAFETY: the frames are free memory just taken, mapped at their place in the physical map.
    unsafe {
        physical(start)
            .as_mut_ptr::<u8>()
            .write_bytes(0, count * FRAME_LEN)
    };
    Some(start)
}

/// Gives frames back.
pub fn free_frames(start: u64, count: usize) {
    FRAMES.with(|frames| {
        if let Some(frames) = frames {
            frames.free(start, count);
        }
    });
}

/// Returns how many frames are free.
pub fn free_frame_count() -> usize {
    FRAMES.with(|frames| frames.as_ref().map_or(0, Frames::free_count))
}

/// Returns where usable physical memory is mapped.
pub fn physical(address: u64) -> VirtAddr {
    VirtAddr::new(boot::PHYSICAL_OFFSET + address)
}

/// Allocates a stack of `pages` pages with an unmapped page below it, and returns its top.
pub fn allocate_stack(pages: usize) -> VirtAddr {
    FRAMES.with(|frames| match frames {
        Some(frames) => paging::map_stack(pages, frames),
        None => panic!("a stack before memory"),
    })
}
