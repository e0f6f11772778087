//! What the driver remembers of requests that the device has.
//!
//! For both formats, which need what a used element does not say. One thing is how many descriptors
//! of the ring a request took. Where the device uses requests in the order in which they were sent
//! (`VIRTIO_F_IN_ORDER`), another is which requests come before it, and which slots they are for.
//!
//! The one rule: an id is looked up here before anything is done with it.

use alloc::boxed::Box;

use crate::{Error, heap::boxed};

/// A request that the device has.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Request {
    /// What the device calls it.
    pub(super) id: u16,
    pub(super) slot: u16,
}

/// The requests that the device has.
#[derive(Debug)]
pub(crate) struct Outstanding {
    /// How many descriptors of the ring the request of each slot took; none where all take one.
    descriptors: Box<[u16]>,
    /// Those in flight in the order in which they were sent, from `first` on; none where the order
    /// does not count.
    line: Box<[Request]>,
    first: usize,
    len: usize,
}

impl Outstanding {
    /// Makes room for the requests of all slots.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfMemory`].
    pub(super) fn new(slots: u16, has_tables: bool, in_order: bool) -> Result<Self, Error> {
        let direct = if has_tables { 0 } else { slots };
        let ordered = if in_order { slots } else { 0 };
        Ok(Self {
            descriptors: boxed((0..direct).map(|_| 1))?,
            line: boxed((0..ordered).map(|_| Request::default()))?,
            first: 0,
            len: 0,
        })
    }

    /// Takes note of a request that is about to be sent, and of how many descriptors it takes.
    pub(crate) fn push(&mut self, slot: u16, id: u16, descriptors: u16) {
        if let Some(taken) = self.descriptors.get_mut(usize::from(slot)) {
            *taken = descriptors;
        }
        // As many slots as places.
        if self.len < self.line.len() {
            let at = (self.first + self.len) % self.line.len();
            self.line[at] = Request { id, slot };
            self.len += 1;
        }
    }

    /// Returns how many descriptors the request of a slot took; 1 if there is no such slot.
    #[inline]
    pub(super) fn descriptors(&self, slot: u16) -> u16 {
        self.descriptors
            .get(usize::from(slot))
            .map_or(1, |taken| *taken)
    }

    fn in_order(&self) -> impl Iterator<Item = Request> {
        let at = |index| (self.first + index) % self.line.len();
        (0..self.len).map(move |index| self.line[at(index)])
    }

    /// Returns how many requests were sent before the one with this id, and how many descriptors
    /// they and it took. Those before `skip` do not count.
    pub(super) fn find(&self, id: u16, skip: usize) -> Option<(u16, u16)> {
        let mut descriptors = 0u16;
        for (before, request) in (0..).zip(self.in_order().skip(skip)) {
            descriptors = descriptors.wrapping_add(self.descriptors(request.slot));
            if request.id == id {
                return Some((before, descriptors));
            }
        }
        None
    }

    /// Takes the request that was sent first.
    pub(super) fn pop(&mut self) -> Option<Request> {
        let request = self.in_order().next()?;
        self.first = (self.first + 1) % self.line.len();
        self.len -= 1;
        Some(request)
    }
}
