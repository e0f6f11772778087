//! The buffers that a request holds, from its publish to its end.

use alloc::vec::Vec;
use core::slice;

use crate::{Error, Platform, Requirement, dma::DmaBuffer};

/// Buffers that are one after the other for the device.
#[derive(Debug)]
pub(crate) enum List<P: Platform> {
    One(DmaBuffer<P>),
    Many(Vec<DmaBuffer<P>>),
}

impl<P: Platform> List<P> {
    pub(crate) fn as_slice(&self) -> &[DmaBuffer<P>] {
        match self {
            Self::One(buffer) => slice::from_ref(buffer),
            Self::Many(buffers) => buffers,
        }
    }

    /// Returns the bytes of all together.
    pub(crate) fn len_bytes(&self) -> usize {
        self.as_slice().iter().map(|buffer| buffer.len()).sum()
    }

    pub(crate) fn into_one(self) -> Option<DmaBuffer<P>> {
        match self {
            Self::One(buffer) => Some(buffer),
            Self::Many(_) => None,
        }
    }

    pub(crate) fn into_many(self) -> Option<Vec<DmaBuffer<P>>> {
        match self {
            Self::One(_) => None,
            Self::Many(buffers) => Some(buffers),
        }
    }

    fn quarantine(self) {
        match self {
            Self::One(buffer) => buffer.quarantine(),
            Self::Many(buffers) => buffers.into_iter().for_each(DmaBuffer::quarantine),
        }
    }
}

/// Where the device writes.
#[derive(Debug, Default)]
pub(crate) enum Destination<P: Platform> {
    /// Into the slot's own block alone.
    #[default]
    None,
    /// Over the source.
    InPlace,
    Apart(List<P>),
}

/// What a request holds beside its slot's own block.
#[derive(Debug)]
pub(crate) struct Buffers<P: Platform> {
    pub(crate) source: Option<List<P>>,
    pub(crate) destination: Destination<P>,
}

impl<P: Platform> Default for Buffers<P> {
    fn default() -> Self {
        Self {
            source: None,
            destination: Destination::None,
        }
    }
}

impl<P: Platform> Buffers<P> {
    /// Returns buffers that the device reads and nothing else.
    pub(crate) fn read_only(source: List<P>) -> Self {
        Self {
            source: Some(source),
            destination: Destination::None,
        }
    }

    /// Returns buffers that the device reads, then overwrites.
    pub(crate) fn in_place(source: List<P>) -> Self {
        Self {
            source: Some(source),
            destination: Destination::InPlace,
        }
    }

    /// Returns buffers that the device reads, and others that it writes.
    pub(crate) fn apart(source: List<P>, destination: List<P>) -> Self {
        Self {
            source: Some(source),
            destination: Destination::Apart(destination),
        }
    }

    #[inline]
    pub(crate) fn is_none(&self) -> bool {
        self.source.is_none()
    }

    pub(crate) fn sources(&self) -> &[DmaBuffer<P>] {
        self.source.as_ref().map_or(&[], List::as_slice)
    }

    pub(crate) fn destinations(&self) -> &[DmaBuffer<P>] {
        match &self.destination {
            Destination::None => &[],
            Destination::InPlace => self.sources(),
            Destination::Apart(list) => list.as_slice(),
        }
    }

    /// Returns source and destination, if they are apart.
    pub(crate) fn into_lists(self) -> (Option<List<P>>, Option<List<P>>) {
        let destination = match self.destination {
            Destination::Apart(list) => Some(list),
            Destination::None | Destination::InPlace => None,
        };
        (self.source, destination)
    }

    /// Checks that no descriptor will be empty: some devices stop working when they meet one.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidLength`].
    pub(crate) fn check_none_empty(&self) -> Result<(), Error> {
        let mut buffers = self.sources().iter().chain(self.destinations());
        if buffers.any(|buffer| buffer.is_empty()) {
            return Err(Error::InvalidLength {
                field: "buffer",
                len_bytes: 0,
                requirement: Requirement::AtLeast { min_bytes: 1 },
            });
        }
        Ok(())
    }

    /// Gives all of them up for good, because the device may still write to them.
    pub(crate) fn quarantine(self) {
        if let Some(source) = self.source {
            source.quarantine();
        }
        if let Destination::Apart(destination) = self.destination {
            destination.quarantine();
        }
    }
}
