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
    memory::RingMemory,
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
}

/// An [`AvailableHalf`] of either format.
///
/// Chosen at run time, once for each request and once for each drain: queues that are compiled for
/// one format would double all that sends.
#[derive(Debug)]
pub(crate) enum Available<M: RingMemory> {
    Split(SplitAvailable<M>),
    Packed(PackedAvailable<M>),
}

/// A [`UsedHalf`] of either format.
#[derive(Debug)]
pub(crate) enum Used<M: RingMemory> {
    Split(SplitUsed<M>),
    Packed(PackedUsed<M>),
}

impl<M: RingMemory> Ring<M> {
    /// Makes an empty ring.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfDeviceMemory`].
    pub(crate) fn new(layout: RingLayout) -> Result<Self, Error> {
        Ok(match layout.format {
            Format::Split => {
                let (memory, addresses, available, used) = split::new(layout)?;
                Self {
                    memory,
                    addresses,
                    available: Available::Split(available),
                    used: Used::Split(used),
                }
            }
            Format::Packed => {
                let (memory, addresses, available, used) = packed::new(layout)?;
                Self {
                    memory,
                    addresses,
                    available: Available::Packed(available),
                    used: Used::Packed(used),
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
        }
    }
}

impl<M: RingMemory> Used<M> {
    /// See [`UsedHalf::suppress_interrupts`].
    pub(crate) fn suppress_interrupts(&mut self) {
        match self {
            Self::Split(half) => half.suppress_interrupts(),
            Self::Packed(half) => half.suppress_interrupts(),
        }
    }

    /// See [`UsedHalf::allow_interrupts`].
    pub(crate) fn allow_interrupts(&mut self) {
        match self {
            Self::Split(half) => half.allow_interrupts(),
            Self::Packed(half) => half.allow_interrupts(),
        }
    }
}
