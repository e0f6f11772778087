//! What rings lie in: fields that both halves read and write, one at a time.
//!
//! For the rings, which know offsets, and for whoever stands in for device memory, such as a model
//! checker. The one rule: every access is one atomic access of one field.
#![expect(
    unsafe_code,
    reason = "raw fields of a region, for the rings that own it"
)]

use core::{
    fmt,
    ptr::NonNull,
    sync::atomic::{AtomicU16, AtomicU32, AtomicU64, Ordering},
};

use crate::{
    Error, Platform,
    dma::{DmaRegion, watch},
};

/// A field's value, as the CPU has it.
pub(crate) trait Field: Copy + fmt::Debug {
    /// Loads one, little-endian.
    ///
    /// # Safety
    ///
    /// `field` is valid and aligned, and everybody reaches it by atomics or from outside the guest.
    unsafe fn load(field: NonNull<Self>, ordering: Ordering) -> Self;

    /// Stores one, little-endian.
    ///
    /// # Safety
    ///
    /// That of [`load`](Self::load).
    unsafe fn store(field: NonNull<Self>, value: Self, ordering: Ordering);
}

impl Field for u16 {
    #[inline(always)]
    unsafe fn load(field: NonNull<Self>, ordering: Ordering) -> Self {
        // SAFETY: as the caller promises.
        let field = unsafe { AtomicU16::from_ptr(field.as_ptr()) };
        Self::from_le(field.load(ordering))
    }

    #[inline(always)]
    unsafe fn store(field: NonNull<Self>, value: Self, ordering: Ordering) {
        // SAFETY: as the caller promises.
        let field = unsafe { AtomicU16::from_ptr(field.as_ptr()) };
        field.store(value.to_le(), ordering);
    }
}

impl Field for u32 {
    #[inline(always)]
    unsafe fn load(field: NonNull<Self>, ordering: Ordering) -> Self {
        // SAFETY: as the caller promises.
        let field = unsafe { AtomicU32::from_ptr(field.as_ptr()) };
        Self::from_le(field.load(ordering))
    }

    #[inline(always)]
    unsafe fn store(field: NonNull<Self>, value: Self, ordering: Ordering) {
        // SAFETY: as the caller promises.
        let field = unsafe { AtomicU32::from_ptr(field.as_ptr()) };
        field.store(value.to_le(), ordering);
    }
}

impl Field for u64 {
    #[inline(always)]
    unsafe fn load(field: NonNull<Self>, ordering: Ordering) -> Self {
        // SAFETY: as the caller promises.
        let field = unsafe { AtomicU64::from_ptr(field.as_ptr()) };
        Self::from_le(field.load(ordering))
    }

    #[inline(always)]
    unsafe fn store(field: NonNull<Self>, value: Self, ordering: Ordering) {
        // SAFETY: as the caller promises.
        let field = unsafe { AtomicU64::from_ptr(field.as_ptr()) };
        field.store(value.to_le(), ordering);
    }
}

/// Memory in which a ring lies.
pub(crate) trait RingMemory: fmt::Debug + Sized + Send {
    /// A part of it, which a ring has looked up once.
    type Part: Part;

    /// Allocates `len_bytes` zeroed bytes, aligned for whatever a ring holds.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfDeviceMemory`].
    fn allocate(len_bytes: usize) -> Result<Self, Error>;

    /// Returns where the device finds the byte at `offset`.
    fn bus_address(&self, offset: usize) -> u64;

    /// Looks up the part of `len_bytes` bytes at `offset`, a multiple of its fields' length.
    fn part(&self, offset: usize, len_bytes: usize) -> Self::Part;
}

/// A part of a ring's memory.
pub(crate) trait Part: Copy + fmt::Debug + Send {
    /// Loads the field at byte `at`.
    ///
    /// # Safety
    ///
    /// The memory lives. The field lies in the part, and `at` is a multiple of its length.
    unsafe fn load<T: Field>(self, at: usize, ordering: Ordering) -> T;

    /// Stores the field at byte `at`.
    ///
    /// # Safety
    ///
    /// That of [`load`](Self::load).
    unsafe fn store<T: Field>(self, at: usize, value: T, ordering: Ordering);
}

/// A pointer to the first byte of a part of a region.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Start(NonNull<u8>);

// SAFETY: an address; whoever reads or writes there answers for it.
unsafe impl Send for Start {}

impl<P: Platform> RingMemory for DmaRegion<P> {
    type Part = Start;

    fn allocate(len_bytes: usize) -> Result<Self, Error> {
        Self::new(len_bytes)
    }

    fn bus_address(&self, offset: usize) -> u64 {
        self.bus_address(offset)
    }

    fn part(&self, offset: usize, len_bytes: usize) -> Start {
        Start(self.bytes(offset, len_bytes))
    }
}

impl Part for Start {
    #[inline(always)]
    unsafe fn load<T: Field>(self, at: usize, ordering: Ordering) -> T {
        watch::tell(self.0.as_ptr().wrapping_add(at), size_of::<T>(), false);
        // SAFETY: inside the region, as the caller promises; the driver reaches rings by atomics
        // alone, and the device is outside.
        unsafe { T::load(self.0.add(at).cast(), ordering) }
    }

    #[inline(always)]
    unsafe fn store<T: Field>(self, at: usize, value: T, ordering: Ordering) {
        watch::tell(self.0.as_ptr().wrapping_add(at), size_of::<T>(), true);
        // SAFETY: as in `load`.
        unsafe { T::store(self.0.add(at).cast(), value, ordering) }
    }
}
