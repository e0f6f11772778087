//! Owned memory that the device can reach.
//!
//! # Invariants
//!
//! *Owned*: a [`DmaRegion`] or [`DmaBuffer`] owns its bytes alone, from `Hal::dma_alloc` until it
//! is dropped, and `Hal` promises that nothing else aliases them. What the device may touch is
//! owned by a queue or by one of its slots, never by a caller, so nobody holds a Rust reference
//! into memory that the device may write.
//!
//! *No reference into shared memory*: a [`DmaRegion`] is read and written through raw pointers
//! only, by copies and by atomics. A device that writes where or when it should not changes bytes,
//! never the meaning of a reference.
#![expect(unsafe_code, reason = "the room of raw device memory")]

pub(crate) mod barrier;
mod buffer;
mod given_up;
mod region;
pub(crate) mod watch;

use core::{
    marker::PhantomData,
    ptr::NonNull,
    sync::atomic::{AtomicBool, Ordering},
};

use virtio_drivers::{BufferDirection, PAGE_SIZE};

pub use self::buffer::DmaBuffer;
pub(crate) use self::{
    given_up::GivenUp,
    region::{DmaPart, DmaRegion, WIPE_LEN},
};
use crate::{Error, Platform};

/// Whole pages from the platform, zeroed, contiguous for the device.
struct Pages<P: Platform> {
    bus_address: u64,
    start: NonNull<u8>,
    pages: usize,
    /// The device may still write to them: they are never given back.
    given_up: AtomicBool,
    _platform: PhantomData<fn() -> P>,
}

// SAFETY: the pages are plain memory, owned alone (*Owned*), and reachable from every CPU.
unsafe impl<P: Platform> Send for Pages<P> {}
// SAFETY: `&Pages` gives out an address only; the code that reads or writes through it answers for
// it.
unsafe impl<P: Platform> Sync for Pages<P> {}

impl<P: Platform> Pages<P> {
    fn new(len_bytes: usize) -> Result<Self, Error> {
        // No slice is longer, and no platform is asked to reckon with more.
        if len_bytes > isize::MAX as usize - PAGE_SIZE {
            return Err(Error::OutOfDeviceMemory { len_bytes });
        }
        let pages = len_bytes.max(1).div_ceil(PAGE_SIZE);
        let (bus_address, start) = P::dma_alloc(pages, BufferDirection::Both);
        if bus_address == 0 {
            return Err(Error::OutOfDeviceMemory { len_bytes });
        }
        Ok(Self {
            bus_address,
            start,
            pages,
            given_up: AtomicBool::new(false),
            _platform: PhantomData,
        })
    }

    /// Gives the pages up for good, because the device may still write to them.
    fn give_up(&self, total: &GivenUp) {
        if !self.given_up.swap(true, Ordering::Relaxed) {
            total.add(self.pages * PAGE_SIZE);
        }
    }
}

impl<P: Platform> Drop for Pages<P> {
    fn drop(&mut self) {
        if *self.given_up.get_mut() {
            return;
        }
        // SAFETY: all three values are those of the `dma_alloc` in `new`, given back once, here.
        let result = unsafe { P::dma_dealloc(self.bus_address, self.start, self.pages) };
        debug_assert_eq!(result, 0, "dma_dealloc");
    }
}
