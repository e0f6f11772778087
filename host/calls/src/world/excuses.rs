//! What has happened that a call may end with an error for.

use core::cell::Cell;

use virtio_crypto::{Error, Requirement};

use crate::machine;

/// Something that ends calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Excuse {
    /// The device was reset or shut down.
    Reset = 1,
    /// A queue was reset.
    QueueReset = 2,
    /// The hardware was not ready.
    NotReady = 4,
    /// The device was told to break.
    Broken = 8,
    /// The device takes short requests alone.
    Small = 16,
    /// A device has gone, and with it whatever could tell of its interrupts.
    Gone = 32,
}

/// All that has happened.
#[derive(Debug, Default)]
pub(crate) struct Excuses(Cell<u32>);

impl Excuses {
    pub(crate) fn add(&self, excuse: Excuse) {
        self.0.set(self.0.get() | excuse as u32);
    }

    pub(crate) fn has(&self, excuse: Excuse) -> bool {
        self.0.get() & excuse as u32 != 0
    }

    /// Tells whether there is a reason for an error.
    pub(crate) fn excuse(&self, error: Error) -> bool {
        match error {
            Error::ShutDown | Error::Resetting | Error::NoDevice => self.has(Excuse::Reset),
            Error::QueueReset => self.has(Excuse::QueueReset),
            Error::HardwareNotReady => self.has(Excuse::NotReady),
            Error::Broken(_) => self.has(Excuse::Broken),
            Error::OutOfDeviceMemory { .. } => machine::refusals() > 0,
            Error::InvalidLength {
                requirement: Requirement::AtMost { .. },
                ..
            } => self.has(Excuse::Small),
            // More is asked for than there is room for.
            Error::TooManyBuffers { .. } | Error::TooManySessions { .. } | Error::QueueFull => true,
            _ => false,
        }
    }
}
