//! How the fields of a request lie in descriptors.
//!
//! A device must not depend on it (Virtio 1.3, 2.7.4.1 Device Requirements: Message Framing), and
//! most do not: for them, fields that lie one behind the other share a descriptor. A device that
//! depends on it gets the same bytes, but a descriptor begins where a field begins. Set-up chooses
//! between the two.
//!
//! The one rule: what only such a device needs is kept off the way of all other requests.

use arrayvec::ArrayVec;

use super::{
    block::{Block, MAX_SEGMENTS},
    buffers::{Buffers, buffer_segment, part_segment},
};
use crate::{Error, Platform, dma::DmaBuffer, virtqueue::Segment};

/// How the fields of a request lie in descriptors ([`Options::framing`](crate::Options::framing)).
///
/// A device that wants one descriptor a field mostly says so by silence: it takes a request and
/// never answers it. [`Device::data_stats`](crate::Device::data_stats) then counts the request in
/// `in_flight` for good, and `completed` stands still. Sessions still open and close, and
/// [`Device::ended`](crate::Device::ended) stays `None`: the device is not broken, it drops what it
/// does not understand. Shut it down and set it up with the other framing. If that does not help,
/// also refuse INDIRECT_DESC ([`Options::refuse`](crate::Options::refuse)).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Framing {
    /// As few descriptors as possible: two for a short request. For every device that keeps to
    /// Virtio 1.3, 2.7.4.1.
    #[default]
    Compact,
    /// Header, keys, IV, source, additional data, tag, destination, digest and status each begin a
    /// descriptor, as other drivers send them: for devices that count on that, such as DPDK's
    /// `vhost_crypto`. A request has up to ten descriptors beside those of its lists of buffers,
    /// and room for 16, so that without INDIRECT_DESC a queue of 1024 entries has 64 slots.
    OnePerField,
}

/// The descriptors of a request.
pub(super) type Segments = ArrayVec<Segment, MAX_SEGMENTS>;

/// The descriptors of a request in which each field begins one.
#[derive(Debug)]
pub(super) struct Fields {
    segments: Segments,
    /// How many there are, those included that there is no room for.
    count: usize,
}

impl Fields {
    fn begin(block: Block<'_>, head_len_bytes: usize) -> Self {
        let mut fields = Self {
            segments: Segments::new(),
            count: 0,
        };
        fields.push(block.head_segment(head_len_bytes, 0));
        fields
    }

    fn push(&mut self, segment: Segment) {
        self.count += 1;
        // If there is no room, the count shows it.
        let _ = self.segments.try_push(segment);
    }

    /// Adds a descriptor for each part of these lengths. The parts lie one behind the other: from
    /// inline byte `start` on, or in the buffer `apart`. Returns where the inline parts end.
    fn push_parts<P: Platform>(
        &mut self,
        (block, start): (Block<'_>, usize),
        apart: Option<&DmaBuffer<P>>,
        lens_bytes: impl IntoIterator<Item = usize>,
    ) -> usize {
        let (mut at, mut at_apart) = (start, 0);
        for len_bytes in lens_bytes {
            // An empty descriptor stops some devices.
            if len_bytes == 0 {
                continue;
            }
            match apart {
                Some(buffer) => {
                    self.push(part_segment(buffer, at_apart, len_bytes, false));
                    at_apart += len_bytes;
                }
                None => {
                    self.push(block.source_segment(at, len_bytes));
                    at += len_bytes;
                }
            }
        }
        at
    }

    /// Adds a descriptor for each part of these lengths that the device writes, and one for the
    /// status behind them.
    fn push_output(
        &mut self,
        block: Block<'_>,
        start: usize,
        lens_bytes: impl IntoIterator<Item = usize>,
    ) {
        let mut at = start;
        for len_bytes in lens_bytes.into_iter().chain([1]) {
            if len_bytes > 0 {
                self.push(block.output_segment(at, len_bytes));
                at += len_bytes;
            }
        }
    }

    /// Describes a control request, whose keys lie inline or in a buffer of their own.
    #[cold]
    pub(super) fn control<P: Platform>(
        block: Block<'_>,
        head_len_bytes: usize,
        keys_lens_bytes: impl IntoIterator<Item = usize>,
        apart: Option<&DmaBuffer<P>>,
    ) -> Self {
        let mut fields = Self::begin(block, head_len_bytes);
        fields.push_parts((block, 0), apart, keys_lens_bytes);
        fields.push(block.answer_segment());
        fields
    }

    /// Describes a data request in the slot's own memory, whose output begins at `output_at`.
    #[cold]
    pub(super) fn inline<P: Platform>(
        block: Block<'_>,
        head_len_bytes: usize,
        parts: &[&[u8]],
        output_at: usize,
        output_lens_bytes: [usize; 2],
    ) -> Self {
        let mut fields = Self::begin(block, head_len_bytes);
        let lens_bytes = parts.iter().map(|part| part.len());
        fields.push_parts::<P>((block, 0), None, lens_bytes);
        fields.push_output(block, output_at, output_lens_bytes);
        fields
    }

    /// Describes a data request whose payload lies in buffers, and whose other parts lie inline or
    /// were spilled.
    #[cold]
    pub(super) fn buffers<P: Platform>(
        block: Block<'_>,
        head_len_bytes: usize,
        [before, after]: [&[&[u8]]; 2],
        result_len_bytes: usize,
        buffers: &Buffers<P>,
    ) -> Self {
        let mut fields = Self::begin(block, head_len_bytes);
        let spilled = buffers.spilled.as_deref();
        let spilled_before = spilled.and_then(|spilled| spilled.before.as_ref());
        let before_lens_bytes = before.iter().map(|part| part.len());
        let at = fields.push_parts((block, 0), spilled_before, before_lens_bytes);
        for source in buffers.sources() {
            fields.push(buffer_segment(source, false));
        }
        let spilled_after = spilled.and_then(|spilled| spilled.after.as_ref());
        let after_lens_bytes = after.iter().map(|part| part.len());
        let at = fields.push_parts((block, at), spilled_after, after_lens_bytes);
        for destination in buffers.destinations() {
            fields.push(buffer_segment(destination, true));
        }
        match spilled.and_then(|spilled| spilled.result.as_ref()) {
            Some(result) => {
                fields.push(buffer_segment(result, true));
                fields.push_output(block, at, []);
            }
            None => fields.push_output(block, at, [result_len_bytes]),
        }
        fields
    }

    /// # Errors
    ///
    /// [`Error::TooManyBuffers`].
    pub(super) fn into_chain(self, max: usize) -> Result<Segments, Error> {
        let descriptors = self.count;
        if descriptors > max {
            return Err(Error::TooManyBuffers { descriptors, max });
        }
        Ok(self.segments)
    }
}
