//! The memory range of the function: which structure lies where (Virtio 1.3, 4.1.4).
//!
//! For whatever carries it, and for what is read and written. The one rule: no structure overlaps
//! another.

use crate::options::MOST_DATA_QUEUES;

/// A structure of the range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Structure {
    /// Where it begins.
    pub offset: u32,
    /// How long it is.
    pub len_bytes: u32,
}

/// The common configuration, with the fields of VIRTIO 1.3 (4.1.4.3).
pub const COMMON: Structure = Structure {
    offset: 0,
    len_bytes: 64,
};
/// The interrupt status (4.1.4.5).
pub const INTERRUPT_STATUS: Structure = Structure {
    offset: 0x1000,
    len_bytes: 1,
};
/// The device's own configuration (5.9.4).
pub const DEVICE: Structure = Structure {
    offset: 0x2000,
    len_bytes: 56,
};
/// The doorbells (4.1.4.4), one a queue and [`DOORBELL_BYTES`] apart.
pub const DOORBELLS: Structure = Structure {
    offset: 0x3000,
    len_bytes: DOORBELL_BYTES * (MOST_DATA_QUEUES as u32 + 1),
};
/// `notify_off_multiplier`.
pub const DOORBELL_BYTES: u32 = 4;
/// The range's length.
pub const RANGE_BYTES: u64 = 0x4000;

/// Returns what a queue's notifications name it by where NOTIF_CONFIG_DATA was accepted: something
/// that is not its number.
pub fn notification_value(queue: u16) -> u16 {
    queue ^ 0x5a00
}

impl Structure {
    /// Returns an offset of the range as one of this structure.
    pub fn within(&self, offset: u64) -> Option<u64> {
        let within = offset.checked_sub(self.offset.into())?;
        (within < self.len_bytes.into()).then_some(within)
    }
}
