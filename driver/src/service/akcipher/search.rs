//! The end of a signature that came short: tried with the public half, by one VERIFY for each
//! candidate, some of them side by side.

use arrayvec::ArrayVec;

use super::key::{Key, not_verified};
use crate::{
    Error, Platform,
    queue::{Body, Deferred, InFlight, Inline, Queue, Reserved},
    request::exchange::{Admission, complete, reserve},
    wire::{AkcipherOperation, Head},
};

/// Most candidates that the device has at a time.
const WINDOW: usize = 16;

/// Returns how many of a queue's slots a search takes at most: the others are for other callers.
fn window<P: Platform>(queue: &Queue<P>) -> usize {
    (queue.slots() / 4).clamp(1, WINDOW)
}

impl<P: Platform> Key<P> {
    /// Tries values for the last `unknown_bytes` bytes of `signature`, which may be none, until the
    /// device says that it belongs to `digest`; `false` if it never does. Allocates nothing.
    ///
    /// Takes a slot in line, and further ones only while they are free and nobody waits.
    ///
    /// # Cancellation
    ///
    /// If the future is dropped, the device finishes what it has for nobody.
    pub(super) async fn find_end(
        &self,
        digest: &[u8],
        signature: &mut [u8],
        unknown_bytes: usize,
    ) -> Result<bool, Error> {
        let head = self.head(AkcipherOperation::Verify, signature.len(), digest.len())?;
        let epoch = &**self.mode.epoch();
        // One queue for all, wherever the task goes meanwhile.
        let queue = epoch.data_queue();
        let max = window(queue);
        let candidates = 1u32 << (8 * unknown_bytes);
        let mut sent = 0;
        // In the order in which they were sent.
        let mut in_flight = ArrayVec::<InFlight<'_, P>, WINDOW>::new();
        loop {
            let mut first = None;
            if in_flight.is_empty() && sent < candidates {
                first = Some(reserve(epoch, queue, Admission::Wait).await?);
            }
            // Several at a time, so that one kick will do for them.
            if in_flight.len() <= max / 2 {
                let deferred = Deferred::new(queue);
                while sent < candidates && in_flight.len() < max {
                    let Some(reserved) = first.take().or_else(|| queue.reserve_fast()) else {
                        break;
                    };
                    put(signature, unknown_bytes, sent);
                    in_flight.push(self.send_verify(reserved, &head, [signature, digest])?);
                    sent += 1;
                }
                drop(deferred);
            }
            let Some(oldest) = in_flight.first_mut() else {
                return Ok(false);
            };
            complete(epoch, oldest).await?;
            let candidate = sent - in_flight.len() as u32;
            match take_answer(in_flight.remove(0)) {
                Ok(()) => {
                    put(signature, unknown_bytes, candidate);
                    return Ok(true);
                }
                Err(Error::InvalidSignature) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Sends a request to verify, all of which has room in the slot.
    fn send_verify<'s>(
        &'s self,
        reserved: Reserved<'s, P>,
        head: &Head,
        [signature, digest]: [&[u8]; 2],
    ) -> Result<InFlight<'s, P>, Error> {
        let parts = [self.mode.key(), signature, digest];
        let inline = Inline::new(&parts, parts.len(), 0, 0).expect("a modulus has room in a slot");
        let (head, session) = (head.as_ref(), self.mode.session());
        reserved.submit(head, Body::Inline(inline), session, None)
    }
}

/// Takes the answer to a request to verify.
fn take_answer<P: Platform>(in_flight: InFlight<'_, P>) -> Result<(), Error> {
    let outcome = in_flight.check();
    in_flight.finish();
    outcome.map_err(not_verified)
}

/// Makes the last bytes of a signature those of a candidate.
fn put(signature: &mut [u8], unknown_bytes: usize, candidate: u32) {
    let from = candidate.to_be_bytes().into_iter().rev();
    for (place, byte) in signature.iter_mut().rev().zip(from).take(unknown_bytes) {
        *place = byte;
    }
}
