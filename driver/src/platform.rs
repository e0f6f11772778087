//! What a host kernel provides: one trait, and its promises.
//!
//! The one rule: all that the driver cannot do by itself is asked for here or by [`Hal`].

use core::ptr::NonNull;

use virtio_drivers::Hal;

/// What the driver needs of the kernel that embeds it, beside device memory ([`Hal`]).
///
/// Every method is a plain function: the implementing type is a name, never a value.
///
/// # Safety
///
/// The driver's lock and its access to memory are sound only if the implementation keeps these
/// promises:
///
/// - Between [`mask_interrupts`](Self::mask_interrupts) and the matching
///   [`restore_interrupts`](Self::restore_interrupts), no interrupt handler that calls into the
///   driver runs on the calling CPU, and the caller stays on that CPU (no preemption, no
///   migration).
/// - [`cpu`](Self::cpu) differs between any two CPUs that run at the same time, and stays the same
///   while interrupts are masked.
/// - The [`Hal`] hands out memory that stays valid and is not used for anything else until it is
///   given back. Where it has none left, its `dma_alloc` returns physical address 0 with a dangling
///   pointer.
/// - [`map_registers`](Self::map_registers) is a judge. What it is asked for is a device's own
///   word, so it trusts nothing about it: it maps registers that devices have, and never RAM, nor
///   anything else that Rust code or the kernel relies on (interrupt controllers, an IOMMU,
///   configuration space, devices of other drivers).
#[expect(
    unsafe_code,
    reason = "declares the contract that the unsafe rooms rely on"
)]
pub unsafe trait Platform: Hal + Send + Sync + 'static {
    /// Masks interrupts on the calling CPU and returns whether they were enabled before.
    ///
    /// Calls nest: a nested call returns `false`.
    fn mask_interrupts() -> bool;

    /// Puts interrupts on the calling CPU back to what [`mask_interrupts`](Self::mask_interrupts)
    /// found.
    ///
    /// # Safety
    ///
    /// `were_enabled` is what the matching call returned, on the same CPU, in reverse order.
    unsafe fn restore_interrupts(were_enabled: bool);

    /// Returns the number of the calling CPU, below [`u32::MAX`].
    fn cpu() -> u32;

    /// Maps `len_bytes` bytes of device registers, at least one, at physical address `address`, and
    /// returns where the first of them is; `None` for whatever is not wholly device registers, or
    /// lies beyond what the CPU can address, or cannot be mapped.
    ///
    /// What it returns is aligned as `address` is (within a page), stays mapped for ever, uncached
    /// where the CPU does not see to that by itself, and may be read and written at any time, from
    /// any CPU. The same registers may be asked for again. Called while a device is set up, with no
    /// lock of the driver held.
    fn map_registers(address: u64, len_bytes: usize) -> Option<NonNull<u8>>;

    /// Returns nanoseconds of a clock that never goes backwards, from any starting point. Where it
    /// does not go forward, time limits end after a number of readings.
    ///
    /// Used for the time limits of set-up, reset and shutdown, and by
    /// [`settle`](crate::Device::settle): never on the way of a request.
    fn now_ns() -> u64;
}
