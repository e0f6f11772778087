//! Device registers, mapped.
//!
//! The one rule: every access is volatile, within the mapping, and ordered with memory as a device
//! sees it.

use core::{marker::PhantomData, ptr::NonNull};

use super::capabilities::Stretch;
use crate::{Platform, dma::barrier, transport::TransportError};

/// A stretch of device registers.
///
/// # Invariant
///
/// *Mapped for ever*: [`Platform::map_registers`] gave the address for the whole stretch. It has
/// judged that there are registers, whatever device or configuration space say, and it never takes
/// them back, so an access is valid at any time, also after a reset and after the transport is
/// gone. Accesses are volatile, through raw pointers, never through references.
#[derive(Debug)]
pub(super) struct Registers<P> {
    start: NonNull<u8>,
    len_bytes: usize,
    _platform: PhantomData<fn() -> P>,
}

// SAFETY: registers are reached by single volatile accesses, from any CPU (*Mapped for ever*).
unsafe impl<P> Send for Registers<P> {}
// SAFETY: as above; what two racing accesses mean is the device's affair, memory is safe.
unsafe impl<P> Sync for Registers<P> {}

/// The widths that device registers have.
pub(in crate::transport) trait Register: Copy {}
impl Register for u8 {}
impl Register for u16 {}
impl Register for u32 {}

impl<P: Platform> Registers<P> {
    /// Maps the first `len_bytes` bytes of a structure, or as many as it has.
    ///
    /// # Errors
    ///
    /// [`TransportError::NotRegisters`] when the platform finds something else there.
    pub(super) fn map(
        structure: &'static str,
        stretch: Stretch,
        len_bytes: usize,
    ) -> Result<Self, TransportError> {
        let address = stretch.address;
        let len_bytes = len_bytes.min(stretch.len_bytes);
        let refused = TransportError::NotRegisters {
            structure,
            address,
            len_bytes,
        };
        let start = P::map_registers(address, len_bytes).ok_or(refused)?;
        Ok(Self {
            start,
            len_bytes,
            _platform: PhantomData,
        })
    }

    pub(super) fn len_bytes(&self) -> usize {
        self.len_bytes
    }

    #[inline]
    pub(super) fn pointer<T: Register>(&self, offset: usize) -> NonNull<T> {
        let size = size_of::<T>();
        assert!(
            offset.is_multiple_of(size),
            "register at {offset} is not aligned"
        );
        assert!(
            offset <= self.len_bytes && size <= self.len_bytes - offset,
            "register {offset}"
        );
        // SAFETY: inside the mapped stretch (just checked).
        unsafe { self.start.add(offset).cast() }
    }

    /// Reads a register; accesses to memory that follow come after it.
    #[inline]
    pub(super) fn read<T: Register>(&self, offset: usize) -> T {
        // SAFETY: valid, by `pointer` and *Mapped for ever*; aligned as the stretch's address is,
        // which was checked with its capability: `map_registers` keeps the place in the page.
        let value = unsafe { self.pointer::<T>(offset).as_ptr().read_volatile() };
        barrier::after_register_read();
        value
    }

    /// Writes a register; the device finds whatever was written to memory before.
    #[inline]
    pub(super) fn write<T: Register>(&self, offset: usize, value: T) {
        barrier::before_register_write();
        // SAFETY: as in `read`.
        unsafe { self.pointer::<T>(offset).as_ptr().write_volatile(value) }
    }

    /// Writes a 64-bit field in halves: not every transport takes it whole (Virtio 1.3, 4.1.3.1).
    pub(super) fn write_u64(&self, offset: usize, value: u64) {
        self.write(offset, value as u32);
        self.write(offset + 4, (value >> 32) as u32);
    }
}

/// The register that a queue is notified by.
///
/// # Invariant
///
/// The address came out of [`Registers::pointer`] and is *Mapped for ever*.
#[derive(Clone, Copy, Debug)]
pub(in crate::transport) struct NotifyRegister<T> {
    address: NonNull<T>,
    value: T,
}

// SAFETY: one volatile write of a register that is mapped for ever, from any CPU.
unsafe impl<T> Send for NotifyRegister<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for NotifyRegister<T> {}

impl<T: Register> NotifyRegister<T> {
    /// The register that `register` begins with, to which `value` is written.
    pub(super) fn new<P: Platform>(register: &Registers<P>, value: T) -> Self {
        let address = register.pointer(0);
        Self { address, value }
    }

    /// Writes it. The caller has put the barrier before it.
    #[inline]
    pub(in crate::transport) fn ring(self) {
        // SAFETY: valid and aligned by the type's invariant.
        unsafe { self.address.as_ptr().write_volatile(self.value) }
    }
}

impl NotifyRegister<u32> {
    /// Writes it with these bits beside its own. The caller has put the barrier before it.
    pub(in crate::transport) fn ring_with(self, bits: u32) {
        // SAFETY: valid and aligned by the type's invariant.
        unsafe { self.address.as_ptr().write_volatile(self.value | bits) }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;
    use crate::fake::{FakePlatform, new_registers};

    #[test]
    fn registers_beyond_the_mapping_are_refused() {
        let stretch = Stretch {
            address: new_registers(64, 64),
            len_bytes: 16,
        };
        let registers = Registers::<FakePlatform>::map("test", stretch, 64).unwrap();
        assert_eq!(registers.len_bytes(), 16);
        let is_refused = |offset| {
            let read = AssertUnwindSafe(|| registers.read::<u32>(offset));
            let write = AssertUnwindSafe(|| registers.write(offset, 1u32));
            (catch_unwind(read).is_err(), catch_unwind(write).is_err())
        };
        for offset in [0, 4, 12] {
            assert_eq!(is_refused(offset), (false, false), "{offset}");
        }
        for offset in [1, 2, 14, 16, 20, usize::MAX - 3] {
            assert_eq!(is_refused(offset), (true, true), "{offset}");
        }
    }
}
