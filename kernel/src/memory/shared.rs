//! Memory that a device may write at any time, for rings that are filled by hand: the probe's, and
//! a benchmark's. The one rule: no reference to it exists.

use crate::memory::{
    layout::{FRAME_LEN, physical},
    manager::allocate_frames,
};

/// Frames that are kept for good, or a part of them: touched by volatile accesses only.
#[derive(Clone, Copy, Debug)]
pub struct Shared {
    start: u64,
    len_bytes: u64,
}

/// A number of which every pattern of bits is one.
///
/// # Safety
///
/// That is so, and it has no padding.
pub unsafe trait Number: Copy {}

// SAFETY: integers.
unsafe impl Number for u8 {}
// SAFETY: the same.
unsafe impl Number for u16 {}
// SAFETY: the same.
unsafe impl Number for u32 {}
// SAFETY: the same.
unsafe impl Number for u64 {}

impl Shared {
    /// Takes zeroed frames for `len_bytes`.
    pub fn allocate(len_bytes: u64) -> Option<Self> {
        let start = allocate_frames(len_bytes.div_ceil(FRAME_LEN as u64) as usize)?;
        Some(Self { start, len_bytes })
    }

    /// Returns the physical address.
    pub fn address(self) -> u64 {
        self.start
    }

    /// Returns a part of it.
    ///
    /// # Panics
    ///
    /// If it does not lie within.
    pub fn part(self, offset: u64, len_bytes: u64) -> Self {
        assert!(offset <= self.len_bytes && len_bytes <= self.len_bytes - offset);
        Self {
            start: self.start + offset,
            len_bytes,
        }
    }

    /// Writes a number.
    ///
    /// # Panics
    ///
    /// If it does not lie within, or unaligned.
    #[inline]
    pub fn write<T: Number>(self, offset: u64, value: T) {
        let place: *mut T = self.part(offset, size_of::<T>() as u64).pointer();
        // SAFETY: aligned, and in frames that were taken for this alone and stay mapped.
        unsafe { place.write_volatile(value) };
    }

    /// Reads a number.
    ///
    /// # Panics
    ///
    /// As [`write`](Self::write) does.
    #[inline]
    pub fn read<T: Number>(self, offset: u64) -> T {
        let place: *mut T = self.part(offset, size_of::<T>() as u64).pointer();
        // SAFETY: as in `write`; any bits are a `T`.
        unsafe { place.read_volatile() }
    }

    #[inline]
    fn pointer<T>(self) -> *mut T {
        let place: *mut T = physical(self.start).as_mut_ptr();
        assert!(place.is_aligned());
        place
    }

    /// Writes a split ring's descriptor (Virtio 1.3, 2.7.5).
    pub fn write_descriptor(self, index: u64, address: u64, len_bytes: u64, flags: u16, next: u64) {
        let at = index * 16;
        self.write(at, address);
        self.write(at + 8, len_bytes as u32);
        self.write(at + 12, flags);
        self.write(at + 14, next as u16);
    }
}
