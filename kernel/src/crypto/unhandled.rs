//! Which interrupts nothing accounted for: the first few, for whoever looks for the reason.
//!
//! The one rule: one costs nothing where there is none.

use core::ptr;

use virtio_crypto::transport::MsixEntry;

use crate::{cpu, platform::CryptoDevice, sync::SpinLock, time};

/// How many are kept.
const MOST: usize = 16;

/// An interrupt that nothing accounted for.
#[derive(Clone, Copy, Debug)]
pub struct Unhandled {
    /// When it came.
    pub at_ns: u64,
    /// The CPU that it came to.
    pub cpu: u32,
    /// The device's entry that it came by.
    pub entry: MsixEntry,
    /// Where the device is in memory.
    device: usize,
}

impl Unhandled {
    /// Tells whether it came by this device's vector.
    pub fn is_of(&self, device: &CryptoDevice) -> bool {
        self.device == ptr::from_ref(device).addr()
    }
}

static FIRST: SpinLock<[Option<Unhandled>; MOST]> = SpinLock::new("unhandled", [None; MOST]);

/// Keeps one, if there are not too many.
#[cold]
pub(super) fn note(device: &CryptoDevice, entry: MsixEntry) {
    let unhandled = Unhandled {
        at_ns: time::now_ns(),
        cpu: cpu::number(),
        entry,
        device: ptr::from_ref(device).addr(),
    };
    FIRST.with(|first| {
        if let Some(place) = first.iter_mut().find(|place| place.is_none()) {
            *place = Some(unhandled);
        }
    });
}

/// Returns the first that came, in their order.
pub fn unhandled() -> impl Iterator<Item = Unhandled> {
    FIRST.with(|first| *first).into_iter().flatten()
}
