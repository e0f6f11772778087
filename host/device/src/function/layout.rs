//! The memory range of the function: which structure lies where (Virtio 1.3, 4.1.4).
//!
//! For whatever carries it. The one rule: whatever is read or written, of any length at any place,
//! has an answer.

use std::sync::atomic::Ordering;

use super::Function;
use crate::{options::MOST_DATA_QUEUES, rules::Rule};

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
    fn within(&self, offset: u64) -> Option<u64> {
        let within = offset.checked_sub(self.offset.into())?;
        (within < self.len_bytes.into()).then_some(within)
    }
}

impl Function {
    /// Reads from the range.
    pub fn read(&self, offset: u64, data: &mut [u8]) {
        if self.is_gone.load(Ordering::Relaxed) {
            return data.fill(0xff);
        }
        data.fill(0);
        if let Some(at) = COMMON.within(offset) {
            let generation = self.generation.load(Ordering::Acquire);
            let image = self.look(|registers| registers.image(generation, &self.options));
            copy(&image, at, data);
        } else if let Some(at) = DEVICE.within(offset) {
            if self.breaks(Rule::ConfigBeforeFeaturesOk) && self.agreed_features().is_none() {
                return;
            }
            let is_ready = self.is_ready.load(Ordering::Relaxed);
            copy(&self.engine.config(is_ready), at, data);
        } else if INTERRUPT_STATUS.within(offset).is_some() {
            // Reading clears it (4.1.4.5).
            let status = self.interrupt_status.swap(0, Ordering::Relaxed);
            copy(&[status], 0, data);
        }
    }

    /// Writes to the range.
    pub fn write(&self, offset: u64, data: &[u8]) {
        if self.is_gone.load(Ordering::Relaxed) {
            return;
        }
        if let Some(at) = COMMON.within(offset) {
            self.write_common(at, data);
        } else if let Some(at) = DOORBELLS.within(offset) {
            self.notify(at / u64::from(DOORBELL_BYTES), data);
        }
        // The device's own configuration is read only (5.9.4), and so is everything else.
    }
}

fn copy(from: &[u8], at: u64, to: &mut [u8]) {
    let rest = usize::try_from(at).ok().and_then(|at| from.get(at..));
    for (to, byte) in to.iter_mut().zip(rest.unwrap_or(&[])) {
        *to = *byte;
    }
}
