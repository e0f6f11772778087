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
mod packed;
mod split;
#[cfg(test)]
mod tests;

use std::fmt;

use crate::{
    feature,
    memory::{Unmapped, View},
    rules::Rule,
};
use broken::Broken;

pub use chain::{Piece, Shape, Taken};
pub use fault::Fault;
pub use packed::Packed;
pub use split::Split;

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

/// Where a driver says that it is (2.9).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announced {
    /// 15 bits: of the available index, or the next place in a packed ring.
    pub offset: u16,
    /// The index's highest bit, or the wrap counter.
    pub wrap: bool,
}

/// One half of a virtqueue.
pub trait Ring: fmt::Debug + Send {
    /// Takes the chain that has waited longest; `None` where there is none.
    ///
    /// # Errors
    ///
    /// Fails where the driver broke a rule.
    fn take(&mut self, memory: &View) -> Result<Option<Taken>, Fault>;

    /// Puts a chain back, with so many bytes written to it. The driver may see it from now on, or
    /// only when it is published. With IN_ORDER chains come back in the order in which they were
    /// taken.
    ///
    /// # Errors
    ///
    /// Fails where the ring is not mapped any more.
    fn put(&mut self, memory: &View, taken: &Taken, written_bytes: u32) -> Result<(), Fault>;

    /// Lets the driver see all that was put.
    ///
    /// # Errors
    ///
    /// Fails where the ring is not mapped any more.
    fn publish(&mut self, memory: &View) -> Result<(), Fault>;

    /// Tells whether the driver wants an interrupt for what was published since it was last asked.
    ///
    /// # Errors
    ///
    /// Fails where the driver says it in a way that does not exist.
    fn wants_interrupt(&mut self, memory: &View) -> Result<bool, Fault>;

    /// Asks for no notifications.
    ///
    /// # Errors
    ///
    /// Fails where the ring is not mapped any more.
    fn disarm(&mut self, memory: &View) -> Result<(), Fault>;

    /// Asks for a notification of what comes next. `true`: something has come meanwhile, of which
    /// no notification needs to come.
    ///
    /// # Errors
    ///
    /// Fails where the driver broke a rule.
    fn arm(&mut self, memory: &View) -> Result<bool, Fault>;

    /// Checks where the driver says that it is.
    ///
    /// # Errors
    ///
    /// Fails where the ring has not come so far.
    fn check(&self, memory: &View, announced: Announced) -> Result<(), Fault>;

    /// Returns where it is: the available index, or the next place of a packed ring with its wrap
    /// counter as the highest bit.
    fn index(&self) -> u16;

    /// Goes on where somebody else's half stopped, with nothing in flight.
    fn resume_at(&mut self, index: u16);
}

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

impl Place {
    /// Checks what both kinds of ring ask for: a size, and each area at a multiple of its own.
    fn check(&self, alignments: [u64; 3]) -> Result<(), Fault> {
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
