//! The ring itself: device memory and indices, no locks and no wakers.

mod split;

pub(crate) use split::{Segment, SplitQueue, write_table};
pub use split::need_event;
