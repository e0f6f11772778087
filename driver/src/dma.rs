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
//! only, by copies and by atomics. A device that writes where or when it should not changes bytes, never the
//! meaning of a reference.
#![expect(unsafe_code, reason = "the room of raw device memory")]

use alloc::{sync::Arc, vec::Vec};
use core::{
    fmt,
    marker::PhantomData,
    mem::{self, ManuallyDrop},
    ptr,
    ptr::NonNull,
    slice,
    sync::atomic::{self, AtomicBool, Ordering},
};

use virtio_drivers::{BufferDirection, PAGE_SIZE};
use zeroize::Zeroize;

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
// SAFETY: `&Pages` gives out an address only; who reads or writes through it answers for it.
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

/// Device memory of the driver itself: rings and request blocks.
pub(crate) struct DmaRegion<P: Platform> {
    memory: Pages<P>,
    len_bytes: usize,
}

impl<P: Platform> DmaRegion<P> {
    /// Allocates `len_bytes` zeroed bytes, page aligned.
    pub(crate) fn new(len_bytes: usize) -> Result<Self, Error> {
        Ok(Self {
            memory: Pages::new(len_bytes)?,
            len_bytes,
        })
    }

    /// Returns where the device finds the byte at `offset`.
    #[inline]
    pub(crate) fn bus_address(&self, offset: usize) -> u64 {
        self.memory.bus_address + offset as u64
    }

    /// Returns a pointer to a `T` at `offset`, inside the region and aligned. What it may be used
    /// for is the caller's to know; it is valid for as long as the region is.
    pub(crate) fn field<T>(&self, offset: usize) -> NonNull<T> {
        let len_bytes = size_of::<T>();
        assert!(
            offset <= self.len_bytes && len_bytes <= self.len_bytes - offset,
            "device memory of {} bytes has no {len_bytes} at {offset}",
            self.len_bytes
        );
        assert!(
            offset.is_multiple_of(align_of::<T>()),
            "{offset} is not aligned"
        );
        // SAFETY: `offset` lies inside the allocation (just checked).
        unsafe { self.memory.start.add(offset).cast() }
    }

    /// Returns the part of `LEN` bytes at `offset`.
    #[inline(always)]
    pub(crate) fn part<const LEN: usize>(&self, offset: usize) -> DmaPart<'_, LEN> {
        let end = offset.checked_add(LEN);
        assert!(end.is_some_and(|end| end <= self.len_bytes));
        assert!(offset.is_multiple_of(align_of::<u64>()));
        DmaPart {
            // SAFETY: `offset` lies inside the allocation (just checked).
            start: unsafe { self.memory.start.add(offset) },
            bus_address: self.bus_address(offset),
            _region: PhantomData,
        }
    }

    /// Gives the pages up for good, because the device may still write to them.
    pub(crate) fn quarantine(&self) {
        self.memory.given_up.store(true, Ordering::Relaxed);
    }
}

impl<P: Platform> fmt::Debug for DmaRegion<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DmaRegion")
            .field(
                "bus_address",
                &format_args!("{:#x}", self.memory.bus_address),
            )
            .field("len_bytes", &self.len_bytes)
            .finish()
    }
}

/// What is wiped at a time: most of what is short takes one or two steps.
pub(crate) const WIPE_LEN: usize = 32;

/// Copies `len_bytes` bytes: short keys, IVs and blocks word by word, because a call costs more than
/// the copy.
///
/// # Safety
///
/// That of [`ptr::copy_nonoverlapping`].
#[inline(always)]
unsafe fn copy(from: *const u8, to: *mut u8, len_bytes: usize) {
    let words = match len_bytes {
        16 => 2,
        32 => 4,
        // SAFETY: as the caller promises.
        _ => return unsafe { ptr::copy_nonoverlapping(from, to, len_bytes) },
    };
    let (from, to) = (from.cast::<u64>(), to.cast::<u64>());
    for word in 0..words {
        // SAFETY: as the caller promises; so many words are `len_bytes` bytes.
        unsafe {
            to.add(word)
                .write_unaligned(from.add(word).read_unaligned())
        };
    }
}

/// A part of a region whose length the compiler knows, so that checks of what is written where
/// cost nothing.
///
/// # Invariant
///
/// `start` points to `LEN` bytes of the region, aligned for 64-bit words.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DmaPart<'m, const LEN: usize> {
    start: NonNull<u8>,
    bus_address: u64,
    _region: PhantomData<&'m ()>,
}

// SAFETY: a pointer into memory that every CPU reaches, for as long as the region is borrowed.
unsafe impl<const LEN: usize> Send for DmaPart<'_, LEN> {}
// SAFETY: as above; the bytes are copied, never referred to.
unsafe impl<const LEN: usize> Sync for DmaPart<'_, LEN> {}

impl<const LEN: usize> DmaPart<'_, LEN> {
    /// Returns where the device finds the byte at `offset`.
    #[inline]
    pub(crate) fn bus_address(&self, offset: usize) -> u64 {
        self.bus_address + offset as u64
    }

    /// Returns a pointer to `len_bytes` bytes at `offset`, all inside the part.
    #[inline(always)]
    fn pointer(&self, offset: usize, len_bytes: usize) -> *mut u8 {
        assert!(
            offset <= LEN && len_bytes <= LEN - offset,
            "beyond a part of device memory"
        );
        // SAFETY: `offset` lies inside the part (just checked).
        unsafe { self.start.as_ptr().add(offset) }
    }

    /// Copies `bytes` to `offset`.
    ///
    /// The caller owns these bytes at this time: the slot is not in flight.
    #[inline(always)]
    pub(crate) fn write(&self, offset: usize, bytes: &[u8]) {
        let to = self.pointer(offset, bytes.len());
        // SAFETY: `to` is valid for `bytes.len()` writes (`pointer` checked it), and `bytes` cannot
        // overlap it: there are no references into a region.
        unsafe { copy(bytes.as_ptr(), to, bytes.len()) }
    }

    /// Copies bytes at `offset` into `bytes`. A device that still writes there changes what is
    /// read, and nothing else.
    #[inline(always)]
    pub(crate) fn read(&self, offset: usize, bytes: &mut [u8]) {
        let from = self.pointer(offset, bytes.len());
        // SAFETY: as in `write`, with the directions exchanged.
        unsafe { copy(from, bytes.as_mut_ptr(), bytes.len()) }
    }

    /// Reads the byte at `offset`, once, and not before what precedes it. A device that writes it at the
    /// same time changes what is read, and nothing else.
    #[inline(always)]
    pub(crate) fn read_byte(&self, offset: usize) -> u8 {
        // SAFETY: inside the part (checked by `pointer`).
        unsafe { self.pointer(offset, 1).read_volatile() }
    }

    /// Overwrites the granules ([`WIPE_LEN`]) that hold `len_bytes` bytes at `offset` with zeros, in a
    /// way that is not optimised away.
    #[inline]
    pub(crate) fn wipe(&self, offset: usize, len_bytes: usize) {
        let granules = len_bytes.div_ceil(WIPE_LEN);
        let start = self.pointer(offset, granules * WIPE_LEN).cast::<u64>();
        assert!(offset.is_multiple_of(8));
        for granule in 0..granules {
            for word in 0..WIPE_LEN / 8 {
                // SAFETY: inside the part (checked by `pointer` for all granules) and aligned (`start`
                // of the part is, and `offset` is a multiple of 8); the caller owns the slot.
                unsafe { start.add(granule * (WIPE_LEN / 8) + word).write_volatile(0) };
            }
        }
        // As `zeroize` does: the writes are not moved behind what follows.
        atomic::compiler_fence(Ordering::SeqCst);
    }
}

/// Where a buffer's bytes lie.
enum Backing<P: Platform> {
    /// At the start of pages of its own.
    Whole(Pages<P>),
    /// Behind `offset` in pages that belong to it and to other parts of what was split.
    Part { pages: Arc<Pages<P>>, offset: usize },
}

/// A caller's buffer in memory that the device reads and writes directly, contiguous for the
/// device.
///
/// While a request is in flight the buffer has moved into the request, so nobody can look at it;
/// it comes back with the result or inside the error. Dropping it wipes and frees it.
///
/// # Invariant
///
/// *Alone*: the `len_bytes` bytes at `offset` are initialised, inside the pages, and no other
/// buffer's.
pub struct DmaBuffer<P: Platform> {
    backing: Backing<P>,
    len_bytes: usize,
}

impl<P: Platform> DmaBuffer<P> {
    /// Allocates a zeroed buffer of `len_bytes` bytes.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfDeviceMemory`] when the platform has no such pages.
    pub fn new(len_bytes: usize) -> Result<Self, Error> {
        Ok(Self {
            backing: Backing::Whole(Pages::new(len_bytes)?),
            len_bytes,
        })
    }

    /// Allocates a buffer that holds a copy of `bytes`.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfDeviceMemory`] when the platform has no such pages.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, Error> {
        let mut buffer = Self::new(bytes.len())?;
        buffer.copy_from_slice(bytes);
        Ok(buffer)
    }

    #[inline]
    fn place(&self) -> (&Pages<P>, usize) {
        match &self.backing {
            Backing::Whole(pages) => (pages, 0),
            Backing::Part { pages, offset } => (pages, *offset),
        }
    }

    #[inline]
    fn start(&self) -> *mut u8 {
        let (pages, offset) = self.place();
        // SAFETY: inside the pages (*Alone*).
        unsafe { pages.start.as_ptr().add(offset) }
    }

    /// Returns where the device finds the first byte.
    #[inline]
    pub(crate) fn bus_address(&self) -> u64 {
        let (pages, offset) = self.place();
        pages.bus_address + offset as u64
    }

    fn into_backing(self) -> Backing<P> {
        let this = ManuallyDrop::new(self);
        // SAFETY: `this` is neither used nor dropped any more, so the backing has one owner.
        unsafe { ptr::read(&this.backing) }
    }

    /// Splits the buffer into parts of `part_len_bytes` bytes; the last may be shorter. Each is a
    /// buffer of its own; the pages are freed with the last of them.
    pub(crate) fn split(self, part_len_bytes: usize) -> Vec<Self> {
        let len_bytes = self.len_bytes;
        let (pages, start) = match self.into_backing() {
            Backing::Whole(pages) => (Arc::new(pages), 0),
            Backing::Part { pages, offset } => (pages, offset),
        };
        let part_len_bytes = part_len_bytes.max(1);
        let offsets = (0..len_bytes).step_by(part_len_bytes);
        // *Alone*: the parts share no byte, and together they are the buffer that is gone.
        let part = |offset| Self {
            backing: Backing::Part {
                pages: pages.clone(),
                offset: start + offset,
            },
            len_bytes: part_len_bytes.min(len_bytes - offset),
        };
        offsets.map(part).collect()
    }

    /// Puts all parts of a buffer together again, in their order; `None`, and the parts freed, if
    /// they are not one behind the other.
    pub(crate) fn rejoin(parts: Vec<Self>) -> Option<Self> {
        let mut parts = parts.into_iter();
        let mut whole = parts.next()?;
        for part in parts {
            let ((pages, offset), (others, at)) = (whole.place(), part.place());
            if !ptr::eq(pages, others) || at != offset + whole.len_bytes {
                return None;
            }
            // *Alone*: the part's bytes pass to the whole.
            whole.len_bytes += part.len_bytes;
            drop(part.into_backing());
        }
        let len_bytes = whole.len_bytes;
        let backing = match whole.into_backing() {
            Backing::Part { pages, offset: 0 } => match Arc::try_unwrap(pages) {
                Ok(pages) => Backing::Whole(pages),
                Err(pages) => Backing::Part { pages, offset: 0 },
            },
            other => other,
        };
        Some(Self { backing, len_bytes })
    }

    /// Gives the pages up for good, because the device may still write to them; wipes them first.
    pub(crate) fn quarantine(self) {
        let start = self.start();
        for index in 0..self.len_bytes {
            // SAFETY: *Alone*: inside the pages, which stay. There is no reference, and what the device
            // reads or writes at the same time it finds or leaves as it may.
            unsafe { start.add(index).write_volatile(0) };
        }
        mem::forget(self);
    }
}

impl<P: Platform> core::ops::Deref for DmaBuffer<P> {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        // SAFETY: *Alone*; whoever has the buffer is its only owner, and the device has let go of it
        // (*Owned*).
        unsafe { slice::from_raw_parts(self.start(), self.len_bytes) }
    }
}

impl<P: Platform> core::ops::DerefMut for DmaBuffer<P> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`, and `&mut self` is the only reference.
        unsafe { slice::from_raw_parts_mut(self.start(), self.len_bytes) }
    }
}

impl<P: Platform> Drop for DmaBuffer<P> {
    fn drop(&mut self) {
        self.zeroize();
    }
}

impl<P: Platform> fmt::Debug for DmaBuffer<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DmaBuffer")
            .field("len_bytes", &self.len_bytes)
            .finish_non_exhaustive()
    }
}
