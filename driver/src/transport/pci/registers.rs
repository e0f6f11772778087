//! Device registers, mapped.

use core::{marker::PhantomData, ptr::NonNull};

use crate::Platform;

/// A stretch of device registers in a memory BAR.
///
/// # Invariant
///
/// *Mapped for ever*: `Hal::mmio_phys_to_virt` gave the address for the whole stretch, and the
/// platform never takes it back, so an access is valid at any time, also after a reset and after
/// the transport is gone. Accesses are volatile, through raw pointers, never through references.
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
pub(super) trait Register: Copy {}
impl Register for u8 {}
impl Register for u16 {}
impl Register for u32 {}

impl<P: Platform> Registers<P> {
    /// Maps `len_bytes` bytes at bus address `address`, which the caller has found to lie inside a
    /// memory BAR of the device.
    pub(super) fn map(address: u64, len_bytes: usize) -> Self {
        // SAFETY: the stretch lies inside one memory BAR (the caller has checked it against the
        // BAR's own size), so it is a valid MMIO region.
        let start = unsafe { P::mmio_phys_to_virt(address, len_bytes) };
        Self {
            start,
            len_bytes,
            _platform: PhantomData,
        }
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

    #[inline]
    pub(super) fn read<T: Register>(&self, offset: usize) -> T {
        // SAFETY: valid, by `pointer` and *Mapped for ever*; aligned as far as the stretch is,
        // whose alignment was checked with its capability.
        unsafe { self.pointer::<T>(offset).as_ptr().read_volatile() }
    }

    #[inline]
    pub(super) fn write<T: Register>(&self, offset: usize, value: T) {
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
pub(in crate::transport) struct NotifyRegister {
    pub(super) address: NonNull<u16>,
    pub(super) value: u16,
}

// SAFETY: one volatile write of a register that is mapped for ever, from any CPU.
unsafe impl Send for NotifyRegister {}
// SAFETY: as above.
unsafe impl Sync for NotifyRegister {}

impl NotifyRegister {
    #[inline]
    pub(in crate::transport) fn ring(self) {
        // SAFETY: valid and aligned by the type's invariant.
        unsafe { self.address.as_ptr().write_volatile(self.value) }
    }
}
