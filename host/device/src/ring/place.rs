//! Where a ring lies.
//!
//! For both formats. The one rule: a place that was checked overflows no sum.

use super::Fault;
use crate::memory::Unmapped;

/// Where a ring lies in guest memory (2.6, 4.1.4.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Descriptors.
    pub size: u16,
    /// The descriptor area: the table, or the packed ring itself.
    pub descriptors: u64,
    /// The driver area: the available ring, or the driver's event suppression structure.
    pub driver: u64,
    /// The device area: the used ring, or the device's event suppression structure.
    pub device: u64,
}

impl Place {
    /// Checks what both kinds of ring ask for: a size, and each area at a multiple of its own.
    pub(super) fn check(&self, alignments: [u64; 3]) -> Result<(), Fault> {
        if self.size == 0 || self.size > 1 << 15 {
            return Err(Fault::Size { size: self.size });
        }
        let areas = [self.descriptors, self.driver, self.device];
        for (address, alignment) in areas.into_iter().zip(alignments) {
            if !address.is_multiple_of(alignment) {
                return Err(Fault::Misaligned { address, alignment });
            }
            // From here on no sum of an area's address and a place in it overflows.
            let len_bytes = 32 * usize::from(self.size);
            if address.checked_add(len_bytes as u64).is_none() {
                return Err(Unmapped { address, len_bytes }.into());
            }
        }
        Ok(())
    }
}
