//! Device memory of the driver itself, reached by copies and by pointers alone.
//!
//! For rings and slots. The one rule: no Rust reference ever points into it.

use core::{
    fmt,
    marker::PhantomData,
    ptr,
    ptr::NonNull,
    sync::atomic::{self, Ordering},
};

use super::{GivenUp, Pages, watch};
use crate::{Error, Platform};

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

    /// Returns a pointer to `len_bytes` bytes at `offset`, all inside the region. What it may be
    /// used for is the caller's to know; it is valid for as long as the region is.
    pub(crate) fn bytes(&self, offset: usize, len_bytes: usize) -> NonNull<u8> {
        assert!(
            offset <= self.len_bytes && len_bytes <= self.len_bytes - offset,
            "device memory of {} bytes has no {len_bytes} at {offset}",
            self.len_bytes
        );
        // SAFETY: `offset` lies inside the allocation (just checked).
        unsafe { self.memory.start.add(offset) }
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
    pub(crate) fn give_up(&self, total: &GivenUp) {
        self.memory.give_up(total);
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

/// Copies `len_bytes` bytes: short keys, IVs and blocks word by word, because a call costs more
/// than the copy.
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
        watch::tell(to, bytes.len(), true);
        // SAFETY: `to` is valid for `bytes.len()` writes (`pointer` checked it), and `bytes` cannot
        // overlap it: there are no references into a region.
        unsafe { copy(bytes.as_ptr(), to, bytes.len()) }
    }

    /// Copies bytes at `offset` into `bytes`. A device that still writes there changes what is
    /// read, and nothing else.
    #[inline(always)]
    pub(crate) fn read(&self, offset: usize, bytes: &mut [u8]) {
        let from = self.pointer(offset, bytes.len());
        watch::tell(from, bytes.len(), false);
        // SAFETY: as in `write`, with the directions exchanged.
        unsafe { copy(from, bytes.as_mut_ptr(), bytes.len()) }
    }

    /// Reads the byte at `offset`, once, and not before what precedes it. A device that writes it
    /// at the same time changes what is read, and nothing else.
    #[inline(always)]
    pub(crate) fn read_byte(&self, offset: usize) -> u8 {
        let from = self.pointer(offset, 1);
        watch::tell(from, 1, false);
        // SAFETY: inside the part (checked by `pointer`).
        unsafe { from.read_volatile() }
    }

    /// Overwrites the granules ([`WIPE_LEN`]) that hold `len_bytes` bytes at `offset` with zeros,
    /// in a way that is not optimised away.
    #[inline]
    pub(crate) fn wipe(&self, offset: usize, len_bytes: usize) {
        let granules = len_bytes.div_ceil(WIPE_LEN);
        let start = self.pointer(offset, granules * WIPE_LEN).cast::<u64>();
        assert!(offset.is_multiple_of(8));
        watch::tell(start.cast(), granules * WIPE_LEN, true);
        for granule in 0..granules {
            for word in 0..WIPE_LEN / 8 {
                // SAFETY: inside the part (checked by `pointer` for all granules) and aligned
                // (`start` of the part is, and `offset` is a multiple of 8); the caller owns the
                // slot.
                unsafe { start.add(granule * (WIPE_LEN / 8) + word).write_volatile(0) };
            }
        }
        // As `zeroize` does: the writes are not moved behind what follows.
        atomic::compiler_fence(Ordering::SeqCst);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;
    use crate::fake::{Alone, FakePlatform};

    const LEN: usize = 4096;

    fn is_refused<R>(reach: impl FnOnce() -> R) -> bool {
        catch_unwind(AssertUnwindSafe(reach)).is_err()
    }

    #[test]
    fn what_reaches_beyond_device_memory_is_refused() {
        let _alone = Alone::new();
        let region = DmaRegion::<FakePlatform>::new(LEN).unwrap();
        for (offset, len_bytes) in [(0, LEN), (LEN - 1, 1), (LEN, 0)] {
            assert!(!is_refused(|| region.bytes(offset, len_bytes)));
        }
        for (offset, len_bytes) in [
            (0, LEN + 1),
            (1, LEN),
            (LEN, 1),
            (LEN + 1, 0),
            (8, usize::MAX),
        ] {
            assert!(
                is_refused(|| region.bytes(offset, len_bytes)),
                "{offset} {len_bytes}"
            );
        }
        assert!(!is_refused(|| region.part::<64>(LEN - 64)));
        for offset in [LEN - 56, LEN, usize::MAX - 7] {
            assert!(is_refused(|| region.part::<64>(offset)), "{offset}");
        }
    }

    #[test]
    fn a_part_is_aligned() {
        let _alone = Alone::new();
        let region = DmaRegion::<FakePlatform>::new(LEN).unwrap();
        for offset in [1, 4, 12] {
            assert!(is_refused(|| region.part::<64>(offset)), "{offset}");
        }
    }

    #[test]
    fn what_reaches_beyond_a_part_is_refused() {
        let _alone = Alone::new();
        let region = DmaRegion::<FakePlatform>::new(LEN).unwrap();
        let part = region.part::<64>(64);
        part.write(0, &[1; 64]);
        part.read(63, &mut [0]);
        part.wipe(32, 1);
        for (offset, len_bytes) in [(0, 65), (1, 64), (63, 2), (64, 1), (65, 0)] {
            let mut bytes = [0; 65];
            let bytes = &mut bytes[..len_bytes];
            assert!(
                is_refused(|| part.write(offset, bytes)),
                "{offset} {len_bytes}"
            );
            assert!(
                is_refused(|| part.read(offset, bytes)),
                "{offset} {len_bytes}"
            );
        }
        assert!(is_refused(|| part.read_byte(64)));
        // Wiped by granules: the last one has to lie inside as well.
        for (offset, len_bytes) in [(0, 65), (40, 1), (32, 33), (4, 4)] {
            assert!(
                is_refused(|| part.wipe(offset, len_bytes)),
                "{offset} {len_bytes}"
            );
        }
    }

    #[test]
    fn wiping_takes_whole_granules_and_no_more() {
        let _alone = Alone::new();
        let region = DmaRegion::<FakePlatform>::new(LEN).unwrap();
        let part = region.part::<256>(0);
        for len_bytes in 0..=192 {
            part.write(0, &[7; 256]);
            part.wipe(32, len_bytes);
            let mut bytes = [0; 256];
            part.read(0, &mut bytes);
            let end = 32 + len_bytes.next_multiple_of(WIPE_LEN);
            let is_wiped = |at: usize| (32..end).contains(&at);
            assert!(
                (0..256).all(|at| (bytes[at] == 0) == is_wiped(at)),
                "{len_bytes}"
            );
        }
    }
}
