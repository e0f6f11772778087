//! What is sent behind the head of a data request, and where it lies in the slot's block.
//!
//! A caller says which parts there are, how long the output is, and what the output may take the
//! place of. Where all of that lies is the queue's affair, and so is where the answer is read.

use super::{
    block::{Block, INLINE_LEN},
    buffers::{Buffers, len_bytes},
    framing::{Chain, Fields},
};
use crate::{Error, Platform, dma::DmaBuffer, virtqueue::Segment};

/// What to send behind the head.
#[derive(Debug)]
pub(crate) enum Body<'a, P: Platform> {
    /// Everything in the slot's own memory.
    Inline(Inline<'a>),
    /// A payload in buffers, between short parts in the slot's own memory. What the device writes
    /// beside the destination, and the status, come behind the short parts.
    Buffers {
        before: &'a [&'a [u8]],
        buffers: &'a mut Buffers<P>,
        after: &'a [&'a [u8]],
        result_len_bytes: usize,
    },
}

/// Parts that fit into the slot's own memory, with what the device writes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Inline<'a> {
    parts: &'a [&'a [u8]],
    /// Where the output begins.
    output_at: usize,
    output_len_bytes: usize,
    /// Of these, the last are a field of their own: a digest, a tag.
    result_len_bytes: usize,
}

impl<'a> Inline<'a> {
    /// Describes a request of these parts. The device, which has read all of them before it writes,
    /// may write its output over all but the first `kept`; the output ends where the parts do, or
    /// behind them. `None` where the slot has no room for that.
    #[inline(always)]
    pub(crate) fn new(
        parts: &'a [&'a [u8]],
        kept: usize,
        output_len_bytes: usize,
        result_len_bytes: usize,
    ) -> Option<Self> {
        let (kept, overwritten) = parts.split_at(kept);
        let untouched_len_bytes = len_bytes(overwritten).saturating_sub(output_len_bytes);
        let output_at = len_bytes(kept) + untouched_len_bytes;
        // With the status right behind the output.
        (output_at + output_len_bytes < INLINE_LEN).then_some(Self {
            parts,
            output_at,
            output_len_bytes,
            result_len_bytes,
        })
    }

    fn inline_bytes(&self) -> usize {
        self.output_at + self.output_len_bytes
    }
}

/// What is known of a data request once its parts are in place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extent {
    /// Inline bytes, which have to be wiped afterwards. Right behind them the device writes the
    /// status, and right before it what it writes inline.
    pub(super) inline_bytes: u16,
    /// All that the device writes before the status, in buffers too.
    pub(super) output_len_bytes: u32,
}

impl Extent {
    /// Of a request with neither.
    pub(super) const NONE: Self = Self {
        inline_bytes: 0,
        output_len_bytes: 0,
    };
}

impl<P: Platform> Body<'_, P> {
    /// Takes the buffers, to be held by the slot.
    pub(super) fn buffers(&mut self) -> Option<&mut Buffers<P>> {
        match self {
            Self::Inline(_) => None,
            Self::Buffers { buffers, .. } => Some(buffers),
        }
    }

    /// Writes the parts that lie in the block.
    #[inline(always)]
    pub(super) fn fill(&self, block: Block<'_>) -> Extent {
        match self {
            Self::Inline(inline) => {
                let parts_len_bytes = block.write_parts(0, inline.parts);
                debug_assert!(parts_len_bytes <= inline.inline_bytes());
                Extent {
                    inline_bytes: inline.inline_bytes() as u16,
                    output_len_bytes: inline.output_len_bytes as u32,
                }
            }
            Self::Buffers {
                before,
                buffers,
                after,
                result_len_bytes,
            } => {
                let inline_bytes = match &buffers.spilled {
                    None => {
                        let at = block.write_parts(0, before);
                        block.write_parts(at, after) + result_len_bytes
                    }
                    Some(_) => 0,
                };
                let destinations = buffers.destinations().iter();
                let destination_len_bytes: usize = destinations.map(|buffer| buffer.len()).sum();
                Extent {
                    inline_bytes: inline_bytes as u16,
                    output_len_bytes: (destination_len_bytes + result_len_bytes) as u32,
                }
            }
        }
    }

    /// Returns as few descriptors as possible.
    ///
    /// # Errors
    ///
    /// [`Error::TooManyBuffers`].
    #[inline(always)]
    pub(super) fn compact(
        &self,
        block: Block<'_>,
        head_len_bytes: usize,
        max: usize,
    ) -> Result<Chain, Error> {
        let mut segments = Chain::new();
        match self {
            Self::Inline(inline) => {
                segments.push(block.head_segment(head_len_bytes, len_bytes(inline.parts)));
                // One descriptor for the output and the status right behind it.
                let output_len_bytes = inline.output_len_bytes + 1;
                segments.push(block.output_segment(inline.output_at, output_len_bytes));
            }
            Self::Buffers {
                before,
                buffers,
                after,
                result_len_bytes,
            } => {
                let spilled = buffers.spilled.as_deref();
                let (before, after, result_len_bytes) = match spilled {
                    None => (len_bytes(before), len_bytes(after), *result_len_bytes),
                    Some(_) => (0, 0, 0),
                };
                let spilled_before = spilled.and_then(|spilled| spilled.before.as_ref());
                let spilled_after = spilled.and_then(|spilled| spilled.after.as_ref());
                let spilled_result = spilled.and_then(|spilled| spilled.result.as_ref());
                let readable = spilled_before.into_iter().chain(buffers.sources());
                let readable = readable.chain(spilled_after);
                let writable = buffers.destinations().iter().chain(spilled_result);
                let descriptors = 2
                    + readable.clone().count()
                    + usize::from(after > 0)
                    + writable.clone().count();
                if descriptors > max {
                    return Err(Error::TooManyBuffers { descriptors, max });
                }
                segments.push(block.head_segment(head_len_bytes, before));
                segments.extend(readable.map(|buffer| buffer_segment(buffer, false)));
                if after > 0 {
                    segments.push(block.source_segment(before, after));
                }
                segments.extend(writable.map(|buffer| buffer_segment(buffer, true)));
                segments.push(block.output_segment(before + after, result_len_bytes + 1));
            }
        }
        Ok(segments)
    }

    /// Returns descriptors of which each field begins one.
    pub(super) fn fields(&self, block: Block<'_>, head_len_bytes: usize) -> Fields {
        match self {
            Self::Inline(inline) => {
                let result_len_bytes = inline.result_len_bytes;
                let data_len_bytes = inline.output_len_bytes - result_len_bytes;
                let lens_bytes = [data_len_bytes, result_len_bytes];
                let (parts, output_at) = (inline.parts, inline.output_at);
                Fields::inline::<P>(block, head_len_bytes, parts, output_at, lens_bytes)
            }
            Self::Buffers {
                before,
                buffers,
                after,
                result_len_bytes,
            } => {
                let parts = [*before, *after];
                Fields::buffers(block, head_len_bytes, parts, *result_len_bytes, buffers)
            }
        }
    }
}

/// Describes a whole buffer.
#[inline]
pub(super) fn buffer_segment<P: Platform>(buffer: &DmaBuffer<P>, writable: bool) -> Segment {
    Segment {
        bus_address: buffer.bus_address(),
        len_bytes: buffer.len() as u32,
        writable,
    }
}
