//! The buffers that a request holds, from the time it is sent to its end.
//!
//! For callers, who get their buffers back with the outcome. The one rule: a buffer that the device
//! may still write to is never freed; it is given up for good.

use alloc::{boxed::Box, vec::Vec};
use core::slice;

use zeroize::Zeroize;

use super::block::INLINE_LEN;
use crate::{
    Error, Platform,
    dma::{DmaBuffer, GivenUp},
    error::{Requirement, invalid_len},
    virtqueue::Segment,
};

/// One buffer, or several that the device sees one after the other.
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

    fn as_mut_slice(&mut self) -> &mut [DmaBuffer<P>] {
        match self {
            Self::One(buffer) => slice::from_mut(buffer),
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

    fn give_up(self, total: &GivenUp) {
        match self {
            Self::One(buffer) => buffer.give_up(total),
            Self::Many(buffers) => buffers.into_iter().for_each(|buffer| buffer.give_up(total)),
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
    /// The driver's own buffers, for parts that the slot's block has no room for.
    pub(crate) spilled: Option<Box<Spilled<P>>>,
}

/// Parts of a request that are too long for the slot's own block.
#[derive(Debug)]
pub(crate) struct Spilled<P: Platform> {
    /// What the device reads before the source.
    pub(crate) before: Option<DmaBuffer<P>>,
    /// What it reads after the source.
    pub(crate) after: Option<DmaBuffer<P>>,
    /// What it writes after the destination.
    pub(crate) result: Option<DmaBuffer<P>>,
}

impl<P: Platform> Default for Buffers<P> {
    fn default() -> Self {
        Self {
            source: None,
            destination: Destination::None,
            spilled: None,
        }
    }
}

impl<P: Platform> Buffers<P> {
    /// Returns buffers that the device only reads.
    pub(crate) fn read_only(source: List<P>) -> Self {
        Self {
            source: Some(source),
            ..Self::default()
        }
    }

    /// Returns a buffer with the keys one after the other if the slot's block has no room for them,
    /// such as for a private key of RSA; else no buffer.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfDeviceMemory`].
    pub(crate) fn of_keys(keys: &[&[u8]]) -> Result<Self, Error> {
        let source = match len_bytes(keys) > INLINE_LEN {
            true => joined(keys)?.map(List::One),
            false => None,
        };
        Ok(Self {
            source,
            ..Self::default()
        })
    }

    /// Returns buffers that the device reads, then overwrites.
    pub(crate) fn in_place(source: List<P>) -> Self {
        Self {
            source: Some(source),
            destination: Destination::InPlace,
            spilled: None,
        }
    }

    /// Returns buffers that the device reads, and others that it writes.
    pub(crate) fn apart(source: List<P>, destination: List<P>) -> Self {
        Self {
            source: Some(source),
            destination: Destination::Apart(destination),
            spilled: None,
        }
    }

    /// Puts parts and the result into buffers of their own, if the slot's block has no room for
    /// them.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfDeviceMemory`].
    pub(crate) fn spill_unless_short(
        &mut self,
        before: &[&[u8]],
        after: &[&[u8]],
        result_len_bytes: usize,
    ) -> Result<(), Error> {
        // With the status right behind them.
        if len_bytes(before) + len_bytes(after) + result_len_bytes < INLINE_LEN {
            return Ok(());
        }
        let result = match result_len_bytes {
            0 => None,
            len_bytes => Some(DmaBuffer::new(len_bytes)?),
        };
        self.spilled = Some(Box::new(Spilled {
            before: joined(before)?,
            after: joined(after)?,
            result,
        }));
        Ok(())
    }

    #[inline]
    pub(crate) fn is_none(&self) -> bool {
        self.source.is_none() && self.spilled.is_none()
    }

    /// Returns how many bytes the source has.
    pub(crate) fn source_len_bytes(&self) -> usize {
        self.source.as_ref().map_or(0, List::len_bytes)
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
            let requirement = Requirement::AtLeast { min_bytes: 1 };
            return Err(invalid_len("buffer", 0, requirement));
        }
        Ok(())
    }

    /// Wipes the buffers that the device has written, because its answer does not count.
    pub(crate) fn wipe_destinations(&mut self) {
        let list = match &mut self.destination {
            Destination::None => None,
            Destination::InPlace => self.source.as_mut(),
            Destination::Apart(list) => Some(list),
        };
        for buffer in list.into_iter().flat_map(List::as_mut_slice) {
            buffer.zeroize();
        }
    }

    /// Gives all of them up for good, because the device may still write to them.
    pub(crate) fn give_up(self, total: &GivenUp) {
        if let Some(source) = self.source {
            source.give_up(total);
        }
        if let Some(spilled) = self.spilled {
            let Spilled {
                before,
                after,
                result,
            } = *spilled;
            let buffers = [before, after, result].into_iter().flatten();
            buffers.for_each(|buffer| buffer.give_up(total));
        }
        if let Destination::Apart(destination) = self.destination {
            destination.give_up(total);
        }
    }
}

/// Describes a whole buffer.
#[inline]
pub(super) fn buffer_segment<P: Platform>(buffer: &DmaBuffer<P>, writable: bool) -> Segment {
    part_segment(buffer, 0, buffer.len(), writable)
}

/// Describes a part of a buffer.
#[inline]
pub(super) fn part_segment<P: Platform>(
    buffer: &DmaBuffer<P>,
    start: usize,
    len_bytes: usize,
    writable: bool,
) -> Segment {
    Segment {
        bus_address: buffer.bus_address() + start as u64,
        len_bytes: len_bytes as u32,
        writable,
    }
}

/// Returns the length of all parts together.
pub(crate) fn len_bytes(parts: &[&[u8]]) -> usize {
    parts.iter().map(|part| part.len()).sum()
}

/// Returns a buffer with the parts one after the other; `None` if they are empty.
fn joined<P: Platform>(parts: &[&[u8]]) -> Result<Option<DmaBuffer<P>>, Error> {
    let len_bytes = len_bytes(parts);
    if len_bytes == 0 {
        return Ok(None);
    }
    let mut buffer = DmaBuffer::new(len_bytes)?;
    let mut rest = &mut buffer[..];
    for part in parts {
        let (place, behind) = rest.split_at_mut(part.len());
        place.copy_from_slice(part);
        rest = behind;
    }
    Ok(Some(buffer))
}
