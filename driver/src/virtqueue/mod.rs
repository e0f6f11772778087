//! The ring itself: device memory and indices, no locks and no wakers.

mod split;

pub use split::need_event;
pub(crate) use split::{DESCRIPTOR_LEN, Segment, SplitQueue, UsedElement, write_table};
