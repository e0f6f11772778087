//! Where the doorbells of a device's queues are (Virtio 1.3, 4.1.4.4).
//!
//! For the transport, which keeps every such structure that the device lists. The one rule: a
//! register lies inside its structure, and at a multiple of its length.

use super::capabilities::{Claim, NOTIFY, Stretch, fault};
use crate::transport::TransportError;

/// A notification structure (4.1.4.4).
#[derive(Clone, Copy, Debug)]
pub(super) struct Notification {
    stretch: Stretch,
    off_multiplier: u32,
}

impl Notification {
    pub(super) fn new(claim: &Claim, stretch: Stretch) -> Result<Self, TransportError> {
        let no_multiplier = fault(NOTIFY, "has no multiplier");
        let off_multiplier = claim.notify_off_multiplier.ok_or(no_multiplier)?;
        Ok(Self {
            stretch,
            off_multiplier,
        })
    }

    /// Returns where the register of so many bytes is for a queue with this offset.
    pub(super) fn place(self, off: u16, len_bytes: usize) -> Result<Stretch, TransportError> {
        let offset = u64::from(off) * u64::from(self.off_multiplier);
        if !offset.is_multiple_of(len_bytes as u64) {
            return Err(fault(NOTIFY, "gives a queue an odd address"));
        }
        if offset + len_bytes as u64 > self.stretch.len_bytes as u64 {
            return Err(fault(NOTIFY, "is too short for the device's queues"));
        }
        Ok(Stretch {
            address: self.stretch.address + offset,
            len_bytes,
        })
    }
}
