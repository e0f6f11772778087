//! The heap: `linked_list_allocator` behind the interrupt-disabling lock, because a waker that an
//! interrupt drops may free.
//!
//! For `alloc`. The one rule: it has its frames from the start and never grows, so it takes no lock
//! but its own.

use core::{
    alloc::{GlobalAlloc, Layout},
    ptr::{NonNull, null_mut},
    sync::atomic::{AtomicU64, Ordering},
};

use linked_list_allocator::Heap;

use crate::{
    memory::{
        layout::{self, FRAME_LEN},
        manager,
    },
    sync::SpinLock,
};

/// Bytes of the heap at least, unless the command line says how many. Otherwise it is an eighth of
/// memory.
pub const LEAST_LEN: usize = 8 << 20;
/// And at most.
const MOST_LEN: usize = 32 << 20;

struct KernelHeap(SpinLock<Heap>);

#[global_allocator]
static HEAP: KernelHeap = KernelHeap(SpinLock::new("heap", Heap::empty()));

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

/// There is too little memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooLittle {
    pub(crate) usable_bytes: u64,
    pub(crate) needed_bytes: u64,
}

/// Makes the heap, of `len` bytes if that is said.
pub(super) fn init(len: Option<usize>) -> Result<(), TooLittle> {
    let free = manager::free_frame_count();
    let frames = match len {
        Some(len) => len / FRAME_LEN,
        None => (free / 8).clamp(LEAST_LEN / FRAME_LEN, MOST_LEN / FRAME_LEN),
    };
    let bytes = |frames: usize| (frames * FRAME_LEN) as u64;
    let start = manager::allocate_frames(frames).ok_or(TooLittle {
        usable_bytes: bytes(free),
        needed_bytes: bytes(frames),
    })?;
    let start = layout::physical(start).as_mut_ptr();
    // SAFETY: frames taken for the heap alone, mapped for good.
    HEAP.0
        .with(|heap| unsafe { heap.init(start, frames * FRAME_LEN) });
    Ok(())
}

/// Returns how many allocations there have been.
pub fn allocations() -> u64 {
    ALLOCATIONS.load(Ordering::Relaxed)
}

/// Returns how many bytes are allocated now.
pub fn used_bytes() -> usize {
    HEAP.0.with(|heap| heap.used())
}

/// Returns how many bytes are free now, in however many pieces.
pub fn free_bytes() -> usize {
    HEAP.0.with(|heap| heap.free())
}

// SAFETY: `Heap` keeps the contract; the lock makes it callable from any CPU and any interrupt.
unsafe impl GlobalAlloc for KernelHeap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        let allocated = self.0.with(|heap| heap.allocate_first_fit(layout));
        allocated.map_or(null_mut(), NonNull::as_ptr)
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        let Some(pointer) = NonNull::new(pointer) else {
            return;
        };
        // SAFETY: the caller gives back what `alloc` gave for this layout.
        self.0
            .with(|heap| unsafe { heap.deallocate(pointer, layout) });
    }
}
