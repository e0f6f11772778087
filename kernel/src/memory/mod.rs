//! Physical memory, page tables, stacks, device registers.
//!
//! For every room above: frames, stacks and the heap to have, registers to reach. The one rule:
//! memory and registers have one owner. Nothing is mapped that both Rust objects and devices could
//! lie in, except frames that a room shares with a device itself.
//!
//! # Invariant
//!
//! *Once*: each frame is handed out once until it comes back. Every frame that is handed out is
//! mapped in the physical map for good, writable, and registers and stacks are mapped for good
//! where no frame is.
#![expect(unsafe_code, reason = "memory itself")]

mod frames;
pub mod heap;
pub mod layout;
mod manager;
mod paging;
mod registers;
mod shared;

use bootloader_api::{BootInfo, info::MemoryRegionKind};

pub(crate) use self::registers::{place_trampoline, read_firmware};
use self::{heap::TooLittle, layout::FIRST_BYTE};
pub use self::{
    layout::{FRAME_LEN, in_physical_map, physical},
    manager::{
        allocate_frames, allocate_stack, for_each_mapping, free_frame_count, free_frames, translate,
    },
    paging::Stack,
    registers::{Registers, map_own_registers, map_registers},
    shared::Shared,
};

/// Least usable memory the kernel runs in.
pub const LEAST_USABLE_BYTES: u64 = 24 << 20;

/// Takes over memory: frames from the map, final page tables, the heap, of `heap_len` bytes if that
/// is said.
///
/// # Errors
///
/// [`TooLittle`].
pub(crate) fn init(info: &'static BootInfo, heap_len: Option<usize>) -> Result<(), TooLittle> {
    let usable = || {
        let regions = info.memory_regions.iter();
        regions
            .filter(|region| region.kind == MemoryRegionKind::Usable)
            .map(|region| (region.start.max(FIRST_BYTE), region.end))
            .filter(|(start, end)| start < end)
    };
    let usable_bytes: u64 = usable().map(|(start, end)| end - start).sum();
    if usable_bytes < LEAST_USABLE_BYTES {
        return Err(TooLittle {
            usable_bytes,
            needed_bytes: LEAST_USABLE_BYTES,
        });
    }
    manager::init(usable());
    registers::init(&info.memory_regions);
    heap::init(heap_len)
}
