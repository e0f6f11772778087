//! One caller at a time changes a device as a whole.
//!
//! The one rule: a caller that resets the device or a queue, moves a vector or ends sessions of an
//! owner before holds [`Alone`] as long as that takes.

use core::sync::atomic::{AtomicU8, Ordering};

use crate::Error;

/// What somebody is changing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Change {
    Nothing = 0,
    Reset = 1,
    Vector = 2,
    Sessions = 3,
    Queue = 4,
}

/// What is being changed now.
#[derive(Debug)]
pub(crate) struct Changing(AtomicU8);

impl Changing {
    pub(crate) fn new() -> Self {
        Self(AtomicU8::new(Change::Nothing as u8))
    }

    #[inline]
    pub(crate) fn is(&self, change: Change) -> bool {
        self.0.load(Ordering::Acquire) == change as u8
    }

    /// Keeps other callers out as long as what this returns lives.
    ///
    /// # Errors
    ///
    /// [`Error::Resetting`] while another caller is in here.
    pub(crate) fn begin(&self, change: Change) -> Result<Alone<'_>, Error> {
        let (nothing, change) = (Change::Nothing as u8, change as u8);
        // Acquire and release pair with each other: one change sees all that the last one did.
        self.0
            .compare_exchange(nothing, change, Ordering::Acquire, Ordering::Relaxed)
            .map_err(|_| Error::Resetting)?;
        Ok(Alone(&self.0))
    }

    /// Forgets a change whose caller has been forgotten: the device is dropped, so nobody is at it
    /// any more.
    pub(crate) fn forget(&mut self) {
        *self.0.get_mut() = Change::Nothing as u8;
    }
}

/// The caller that changes a device as a whole, which is over with this, also when a waker panics.
#[derive(Debug)]
pub(crate) struct Alone<'d>(&'d AtomicU8);

impl Drop for Alone<'_> {
    fn drop(&mut self) {
        // Release: see `begin`.
        self.0.store(Change::Nothing as u8, Ordering::Release);
    }
}
