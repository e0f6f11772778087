//! Which interrupt vectors are free.

use core::sync::atomic::{AtomicU8, Ordering};

use virtio_crypto::transport::MsixMessage;

use crate::{
    interrupts::{
        apic,
        idt::{self, Handler},
    },
    task::executor,
};

/// Vectors below are exceptions; the next 16 are where the 8259s are parked.
const FIRST: u8 = 0x30;
/// The local APIC's own vectors and the parked 8259s' begin here.
const END: u8 = 0xe0;

static NEXT: AtomicU8 = AtomicU8::new(FIRST);

/// Every vector has been given out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoVector;

impl core::fmt::Display for NoVector {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "all {} interrupt vectors are taken", END - FIRST)
    }
}

/// Gives out a vector that calls `handler`. Vectors are not given back: devices do not leave.
///
/// # Errors
///
/// [`NoVector`] when all are taken.
pub fn allocate(handler: Handler) -> Result<u8, NoVector> {
    let take = |next| (next < END).then(|| next + 1);
    let vector = NEXT.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take);
    let vector = vector.map_err(|_| NoVector)?;
    idt::set_handler(vector, handler);
    Ok(vector)
}

/// Returns how many are left.
pub fn left() -> usize {
    usize::from(END - NEXT.load(Ordering::Relaxed))
}

/// Returns the message that delivers `vector` to the calling CPU.
pub fn message_here(vector: u8) -> Option<MsixMessage> {
    apic::message(apic::id(), vector)
}

/// Returns the message that delivers `vector` to CPU `cpu`, if that is up.
pub fn message_for(cpu: u32, vector: u8) -> Option<MsixMessage> {
    apic::message(executor::apic_id(cpu)?, vector)
}
