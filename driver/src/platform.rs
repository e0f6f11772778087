//! What a host kernel provides.

use virtio_drivers::Hal;

/// What the driver needs of the kernel that embeds it, beside device memory ([`Hal`]).
///
/// Every method is a plain function: the implementing type is a name, never a value.
///
/// # Safety
///
/// The driver's lock is sound only if the implementation keeps these promises:
///
/// - Between [`mask_interrupts`](Self::mask_interrupts) and the matching
///   [`restore_interrupts`](Self::restore_interrupts), no interrupt handler that calls into the
///   driver runs on the calling CPU, and the caller stays on that CPU (no preemption, no
///   migration).
/// - [`cpu`](Self::cpu) differs between any two CPUs that run at the same time, and stays the same
///   while interrupts are masked.
/// - The [`Hal`] hands out memory that stays valid and is not used for anything else until it is
///   given back, and maps device registers for as long as the kernel runs. Where it has none left,
///   its `dma_alloc` returns physical address 0 with a dangling pointer.
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

    /// Returns nanoseconds of a clock that never goes backwards, from any starting point.
    ///
    /// Used for time limits of reset and shutdown, and by [`settle`](crate::Device::settle): never on the
    /// way of a request.
    fn now_ns() -> u64;
}
