//! A reset, of the device or of a queue, while the device has requests: what becomes of the memory
//! that it was given.
//!
//! The one rule: that memory is never used again, unless somebody has vouched for the device
//! ([`TrustedReset`]).

/// What becomes of memory that the device still had when it was reset, or when the queue was reset
/// that it lay in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ForcedReset {
    /// It is given up for good, with the rings and slots of the queues that it was in flight on:
    /// some devices write on after they have confirmed a reset (QEMU 10 and later, with a throttled
    /// backend).
    /// [`Options::given_up_limit_bytes`](crate::Options::given_up_limit_bytes) bounds it.
    Quarantine,
    /// It is freed once the device has confirmed the reset: somebody has vouched for the device.
    Reclaim(TrustedReset),
}

impl ForcedReset {
    /// Tells whether the device has let go of what it had once it has confirmed the reset.
    pub(crate) fn is_trusted(self) -> bool {
        matches!(self, Self::Reclaim(_))
    }
}

/// Somebody's word that a device's reset is final: see [`ForcedReset::Reclaim`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrustedReset(());

impl TrustedReset {
    /// Vouches for the device.
    ///
    /// # Safety
    ///
    /// Once its status reads 0 after a reset, the device touches nothing that it had before, not
    /// even for requests that were in flight. Where somebody calls
    /// [`Device::reset_queue`](crate::Device::reset_queue): once the device says that the reset of
    /// a queue is finished, it touches nothing that it had of that queue, either. QEMU 10 and later
    /// do not keep that where a throttle holds requests back.
    pub const unsafe fn new() -> Self {
        Self(())
    }
}
