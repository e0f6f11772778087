//! How much device memory has been given up for good.
//!
//! For recovery, which refuses beyond a limit. The one rule: it only grows.

use core::sync::atomic::{AtomicU64, Ordering};

/// Device memory that is neither used nor given back any more, because a device may still write to
/// it: that of one device, over all its lives.
#[derive(Debug, Default)]
pub(crate) struct GivenUp(AtomicU64);

impl GivenUp {
    pub(super) fn add(&self, len_bytes: usize) {
        self.0.fetch_add(len_bytes as u64, Ordering::Relaxed);
    }

    pub(crate) fn len_bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
