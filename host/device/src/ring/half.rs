//! What a device does with its half of a ring, in either format.
//!
//! For whoever serves a queue. The one rule: it is all that a server knows of a format.

use std::fmt;

use super::{Fault, Taken};
use crate::memory::View;

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
