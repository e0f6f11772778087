//! With IN_ORDER, chains that one used element stands for (Virtio 1.3, 2.7.9 and 2.8.9).
//!
//! For both rings, which know where the element goes. The one rule: a chain that has no element of
//! its own counts as written completely, so one that is not must be the last of its batch.

use super::Taken;
use crate::feature;

/// Chains that one used element stands for.
#[derive(Clone, Copy, Debug)]
pub struct Batch<P> {
    /// Where it begins, and where its element goes.
    pub start: P,
    /// What the driver knows the last chain by.
    pub id: u16,
    /// Bytes that were written to the last chain.
    pub written_bytes: u32,
}

/// The batch that is under way, if one is.
#[derive(Debug)]
pub struct Batching<P> {
    is_in_order: bool,
    open: Option<Batch<P>>,
}

impl<P: Copy> Batching<P> {
    /// Begins without a batch, in a ring with these features.
    pub fn new(features: u64) -> Self {
        Self {
            is_in_order: features & feature::IN_ORDER != 0,
            open: None,
        }
    }

    /// Adds a chain that is used at a place. Returns what has to be told to the driver now; without
    /// IN_ORDER that is each chain by itself.
    pub fn add(&mut self, place: P, taken: &Taken, written_bytes: u32) -> Option<Batch<P>> {
        let batch = Batch {
            start: self.open.map_or(place, |open| open.start),
            id: taken.id,
            written_bytes,
        };
        let may_go_on = self.is_in_order && u64::from(written_bytes) == taken.writable_bytes();
        self.open = may_go_on.then_some(batch);
        if may_go_on { None } else { Some(batch) }
    }

    /// Ends the batch that is under way.
    pub fn close(&mut self) -> Option<Batch<P>> {
        self.open.take()
    }
}
