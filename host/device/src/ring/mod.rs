//! The device's half of a virtqueue, split or packed (Virtio 1.3, 2.7 and 2.8).
//!
//! For the queues of a function. A ring takes what the driver has made available, and puts back
//! what is used:
//!
//! ```text
//! take .. take -> put .. put -> publish -> wants_interrupt
//!      \-- nothing there: arm; `true` means that something came meanwhile
//! ```
//!
//! The one rule: everything in guest memory is the driver's word, which may change while it is
//! read. It is read once, checked, and a violation is a [`Fault`], after which the ring is dead.

mod batch;
mod broken;
mod chain;
mod fault;
mod half;
mod packed;
mod place;
mod split;
#[cfg(test)]
mod tests;

use crate::{feature, rules::Rule};
use broken::Broken;

pub use chain::{Piece, Shape, Taken};
pub use fault::Fault;
pub use half::{Announced, Ring};
pub use packed::Packed;
pub use place::Place;
pub use split::Split;

/// Makes the ring that these features ask for, with a rule that it breaks if there is one.
///
/// # Errors
///
/// Fails where there can be no such ring at this place.
pub fn new(place: Place, features: u64, broken: Option<Rule>) -> Result<Box<dyn Ring>, Fault> {
    let ring: Box<dyn Ring> = if features & feature::RING_PACKED != 0 {
        Box::new(Packed::new(place, features)?)
    } else {
        Box::new(Split::new(place, features)?)
    };
    Ok(match broken {
        Some(rule) => Box::new(Broken::new(ring, rule, place, features)),
        None => ring,
    })
}
