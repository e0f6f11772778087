//! The rings themselves: device memory and indices, no locks and no wakers.
//!
//! For queues. A [`Ring`] is split or packed, whichever was negotiated. The queue tells it of
//! *slots*, and a slot has the same number in both: it names the slot's descriptors in a split
//! ring, and is the buffer id in a packed one. With IN_ORDER a split ring's descriptors are used in
//! ring order, and `outstanding` remembers which slot they are for.
//!
//! The one rule: what the device writes into a ring is read here, and believed nowhere.

mod descriptor;
mod event;
mod half;
mod in_order;
mod memory;
mod outstanding;
mod packed;
mod position;
mod ring;
mod split;

#[cfg(all(test, not(loom)))]
pub(crate) use self::descriptor::UsedIndex;
pub use self::event::need_event;
#[cfg(loom)]
pub(crate) use self::memory::{Field, Part, RingMemory};
pub(crate) use self::{
    descriptor::{Chain, DESCRIPTOR_LEN, Format, Segment, UsedElement, write_table},
    half::{AvailableHalf, RingLayout, Tables, UsedHalf},
    outstanding::Outstanding,
    ring::{Available, Ring, Used},
};
