//! The parts of a data request behind its head, and their places in the slot's block.
//!
//! For callers, who say which parts there are, how long the output is, and which parts it may
//! overwrite. The one rule: this file alone chooses where parts, output and status lie.

use super::{
    block::{Block, INLINE_LEN},
    buffers::{Buffers, buffer_segment, len_bytes},
    framing::{Fields, Segments},
};
use crate::{Error, Platform};

/// The parts of a data request behind its head.
#[derive(Debug)]
pub(crate) enum Body<'a, P: Platform> {
    /// All of it lies in the slot's own memory.
    Inline(Inline<'a>),
    /// The payload lies in buffers, the short parts around it in the slot's own memory. Behind the
    /// short parts the device writes its result and the status.
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
    /// How many of these, the last ones, are a field of their own: a digest, a tag.
    result_len_bytes: usize,
}

impl<'a> Inline<'a> {
    /// Describes a request of these parts. The device reads all of them before it writes, so its
    /// output may overwrite all but the first `kept`. The output ends where the parts end, or
    /// behind them. `None` if the slot has no room for that.
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

/// The lengths of a data request whose parts are in place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extent {
    /// Inline bytes, to be wiped afterwards. Inline output is the last of them, and the status lies
    /// right behind them.
    pub(super) inline_bytes: u16,
    /// Bytes that the device writes before the status, in buffers too.
    pub(super) output_len_bytes: u32,
}

impl Extent {
    /// Of a request without inline bytes and without output.
    pub(super) const NONE: Self = Self {
        inline_bytes: 0,
        output_len_bytes: 0,
    };
}

impl<P: Platform> Body<'_, P> {
    /// Returns the buffers, which the slot is to hold.
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

    /// Describes the request in as few descriptors as possible.
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
    ) -> Result<Segments, Error> {
        let mut segments = Segments::new();
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

    /// Describes the request so that each field begins a descriptor.
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
