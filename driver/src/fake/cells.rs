//! Memory for loom's models of rings: every field is an atomic of loom's, which may read any value
//! that its orderings allow.
//!
//! The one rule: a field is named by the byte at which it begins, and is always accessed whole.
#![expect(unsafe_code, reason = "a ring's fields, by the trait of its memory")]

use alloc::boxed::Box;
use core::{ptr::NonNull, sync::atomic::Ordering};

use loom::{cell::UnsafeCell, sync::atomic::AtomicU64};

use crate::{
    Error,
    virtqueue::{Field, Part, RingMemory},
};

/// Bytes of the narrowest field.
const STEP: usize = 2;

/// The fields of a ring, or of a part of one. They stay for ever, as a device may reach them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cells(&'static [AtomicU64]);

impl Cells {
    /// Loads the field at byte `at`.
    pub(crate) fn get(self, at: usize, ordering: Ordering) -> u64 {
        self.0[at / STEP].load(ordering)
    }

    /// Stores the field at byte `at`.
    pub(crate) fn put(self, at: usize, value: u64, ordering: Ordering) {
        self.0[at / STEP].store(value, ordering);
    }
}

impl RingMemory for Cells {
    type Part = Self;

    fn allocate(len_bytes: usize) -> Result<Self, Error> {
        let cells: Box<[_]> = (0..len_bytes / STEP).map(|_| AtomicU64::new(0)).collect();
        Ok(Self(Box::leak(cells)))
    }

    fn bus_address(&self, offset: usize) -> u64 {
        offset as u64
    }

    fn part(&self, offset: usize, len_bytes: usize) -> Self {
        Self(&self.0[offset / STEP..(offset + len_bytes) / STEP])
    }
}

impl Part for Cells {
    unsafe fn load<T: Field>(self, at: usize, ordering: Ordering) -> T {
        let mut value = self.get(at, ordering).to_le();
        // SAFETY: eight bytes of this function's own, which begin with the field's.
        unsafe { T::load(NonNull::from(&mut value).cast(), Ordering::Relaxed) }
    }

    unsafe fn store<T: Field>(self, at: usize, value: T, ordering: Ordering) {
        let mut bytes = 0;
        // SAFETY: as in `load`.
        unsafe { T::store(NonNull::from(&mut bytes).cast(), value, Ordering::Relaxed) };
        self.put(at, u64::from_le(bytes), ordering);
    }
}

/// Memory that a request leads to: no atomic, so that loom reports accesses that nothing orders.
#[derive(Debug)]
pub(crate) struct Payload(UnsafeCell<()>);

// SAFETY: there is nothing in it; loom judges who accesses it when.
unsafe impl Sync for Payload {}

impl Payload {
    pub(crate) fn new() -> Self {
        Self(UnsafeCell::new(()))
    }

    pub(crate) fn read(&self) {
        self.0.with(|_| ());
    }

    pub(crate) fn write(&self) {
        self.0.with_mut(|_| ());
    }
}
