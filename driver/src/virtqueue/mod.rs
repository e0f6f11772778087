//! The rings themselves: device memory and indices, no locks and no wakers.
//!
//! For queues. A [`Ring`] is split or packed, whichever was negotiated. The queue tells it of
//! *slots*, and a slot has the same number in both: it names the slot's descriptors in a split
//! ring, and is the buffer id in a packed one.
//!
//! The one rule: what the device writes into a ring is read here, and believed nowhere.

mod descriptor;
mod event;
mod half;
mod memory;
mod packed;
mod ring;
mod split;

pub use self::event::need_event;
pub(crate) use self::{
    descriptor::{Chain, DESCRIPTOR_LEN, Format, Segment, UsedElement, write_table},
    half::{AvailableHalf, RingLayout, Tables, UsedHalf},
    ring::{Available, Ring, Used},
};
