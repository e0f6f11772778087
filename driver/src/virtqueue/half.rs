//! What a ring of either format does for a queue, and how it is made.
//!
//! The one rule: nothing here is of one format alone.

use super::{
    descriptor::{Chain, Format, UsedElement, UsedIndex},
    outstanding::Outstanding,
};

/// How a ring is made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RingLayout {
    pub(crate) format: Format,
    /// A power of two.
    pub(crate) entries: u16,
    /// As many as there is room for, each with the longest chain that it may have.
    pub(crate) slots: u16,
    /// Most descriptors of the ring that a slot takes: 1 with tables.
    pub(crate) stride: u16,
    pub(crate) event_index: bool,
    /// With `VIRTIO_F_IN_ORDER`.
    pub(crate) in_order: bool,
    /// With `VIRTIO_F_INDIRECT_DESC`.
    pub(crate) tables: Option<Tables>,
}

/// Where the slots' tables are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tables {
    /// That of the first slot.
    pub(crate) first: u64,
    /// From one to the next.
    pub(crate) step_bytes: u64,
    /// What each has room for.
    pub(crate) len_bytes: u32,
}

impl Tables {
    #[inline]
    pub(super) fn address(self, slot: u16) -> u64 {
        self.first + u64::from(slot) * self.step_bytes
    }
}

/// Where requests are made available.
pub(crate) trait AvailableHalf {
    /// Makes the request of a slot available to the device.
    ///
    /// The caller has recorded whose it is: the device may have used it before this returns.
    /// Returns what the device calls it.
    fn publish(&mut self, slot: u16, chain: Chain<'_>) -> u16;

    /// Decides whether the device must be notified of what was published since the last decision.
    fn decide_kick(&mut self) -> bool;

    /// Tells whether as much was published since the last decision as the ring holds. Of much more
    /// nobody can tell whether it passed an event, since positions come round again: a kick must
    /// not be put off any further.
    fn must_decide(&self) -> bool;

    /// Returns where the next descriptor or entry is made available, as a kick says it
    /// (Virtio 1.3, 2.9): with `VIRTIO_F_NOTIFICATION_DATA`.
    fn position(&self) -> u16;
}

/// Where used requests are found.
pub(crate) trait UsedHalf {
    /// Reads how many requests the device has used. In a packed ring at most `limit` more than were
    /// taken are looked for.
    fn used_index(&mut self, limit: u16, outstanding: &Outstanding) -> UsedIndex;

    /// Returns how many used requests have been taken, modulo 2^16.
    fn taken(&self) -> u16;

    /// Takes the next used request. The caller has seen in [`used_index`](Self::used_index) that
    /// there is one.
    fn take_used(&mut self, outstanding: &mut Outstanding) -> UsedElement;

    /// Asks for an interrupt at the next used request. The caller then reads the used index again,
    /// since one may have come meanwhile.
    fn arm(&mut self);

    /// Asks the device for no interrupts at all. A hint: it may send some all the same.
    fn suppress_interrupts(&mut self);

    /// Takes back [`suppress_interrupts`](Self::suppress_interrupts). The caller then looks for
    /// what the device used before it knew. With EVENT_IDX [`arm`](Self::arm) asks for interrupts,
    /// and there is nothing to take back.
    fn allow_interrupts(&mut self);
}

/// What it takes to find requests that were used in order: see `in_order`.
pub(crate) trait Steps: UsedHalf {
    /// Reads id and length of the used element that comes next.
    fn element(&self) -> (u32, u32);

    /// Goes on behind a request that took so many descriptors.
    fn step(&mut self, descriptors: u16);

    /// Reads how many requests the device has used, as [`UsedHalf::used_index`] does. `left` is
    /// what has not been taken yet of a batch that was begun: so many requests, so many
    /// descriptors.
    fn count(&mut self, limit: u16, left: (u16, u16), outstanding: &Outstanding) -> UsedIndex;
}
