//! One interface in front of both formats.
//!
//! A ring has two halves of the driver's: where requests are made available, and where used ones
//! are found. A drain holds the second while what it does may need the first.
//!
//! The one rule: a queue says *slot* and *request*, and asks which format it has only to fill a
//! slot's table.

use super::{
    descriptor::Format,
    half::{AvailableHalf, RingLayout, UsedHalf},
    in_order::{InOrder, SplitInOrder},
    memory::RingMemory,
    outstanding::Outstanding,
    packed::{self, PackedAvailable, PackedUsed},
    split::{self, SplitAvailable, SplitUsed},
};
use crate::{Error, transport::QueueAddresses};

/// A ring that the device does not know of yet.
#[derive(Debug)]
pub(crate) struct Ring<M: RingMemory> {
    /// It has to live as long as the halves do.
    pub(crate) memory: M,
    pub(crate) addresses: QueueAddresses,
    pub(crate) available: Available<M>,
    pub(crate) used: Used<M>,
    pub(crate) outstanding: Outstanding,
}

/// An [`AvailableHalf`] of either format.
///
/// Chosen at run time, once for each request and once for each drain: queues that are compiled for
/// one format would double all that sends.
#[derive(Debug)]
pub(crate) enum Available<M: RingMemory> {
    Split(SplitAvailable<M>),
    Packed(PackedAvailable<M>),
    SplitInOrder(SplitInOrder<M>),
}

/// A [`UsedHalf`] of either format.
#[derive(Debug)]
pub(crate) enum Used<M: RingMemory> {
    Split(SplitUsed<M>),
    Packed(PackedUsed<M>),
    SplitInOrder(InOrder<SplitUsed<M>>),
    PackedInOrder(InOrder<PackedUsed<M>>),
}

impl<M: RingMemory> Ring<M> {
    /// Makes an empty ring.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfDeviceMemory`], [`Error::OutOfMemory`].
    pub(crate) fn new(layout: RingLayout) -> Result<Self, Error> {
        let outstanding = Outstanding::new(layout.slots, layout.tables.is_some(), layout.in_order)?;
        Ok(match layout.format {
            Format::Split => {
                let (memory, addresses, available, used) = split::new(layout)?;
                let (available, used) = match layout.in_order {
                    false => (Available::Split(available), Used::Split(used)),
                    true => (
                        Available::SplitInOrder(SplitInOrder::new(available, layout.tables)),
                        Used::SplitInOrder(InOrder::new(used)),
                    ),
                };
                Self {
                    memory,
                    addresses,
                    available,
                    used,
                    outstanding,
                }
            }
            Format::Packed => {
                let (memory, addresses, available, used) = packed::new(layout)?;
                Self {
                    memory,
                    addresses,
                    available: Available::Packed(available),
                    used: match layout.in_order {
                        false => Used::Packed(used),
                        true => Used::PackedInOrder(InOrder::new(used)),
                    },
                    outstanding,
                }
            }
        })
    }
}

impl<M: RingMemory> Available<M> {
    /// Decides whether the device must be notified of what was published since the last decision.
    #[inline]
    pub(crate) fn decide_kick(&mut self) -> bool {
        match self {
            Self::Split(half) => half.decide_kick(),
            Self::Packed(half) => half.decide_kick(),
            Self::SplitInOrder(half) => half.decide_kick(),
        }
    }

    /// See [`AvailableHalf::position`].
    pub(crate) fn position(&self) -> u16 {
        match self {
            Self::Split(half) => half.position(),
            Self::Packed(half) => half.position(),
            Self::SplitInOrder(half) => half.position(),
        }
    }
}

impl<M: RingMemory> Used<M> {
    /// See [`UsedHalf::suppress_interrupts`].
    pub(crate) fn suppress_interrupts(&mut self) {
        match self {
            Self::Split(half) => half.suppress_interrupts(),
            Self::Packed(half) => half.suppress_interrupts(),
            Self::SplitInOrder(half) => half.suppress_interrupts(),
            Self::PackedInOrder(half) => half.suppress_interrupts(),
        }
    }

    /// See [`UsedHalf::allow_interrupts`].
    pub(crate) fn allow_interrupts(&mut self) {
        match self {
            Self::Split(half) => half.allow_interrupts(),
            Self::Packed(half) => half.allow_interrupts(),
            Self::SplitInOrder(half) => half.allow_interrupts(),
            Self::PackedInOrder(half) => half.allow_interrupts(),
        }
    }
}
