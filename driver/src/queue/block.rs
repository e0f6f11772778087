//! A slot's own device memory: indirect table, answer, header and a little inline payload.
//!
//! ```text
//! 0        TABLE   indirect descriptors (unused without INDIRECT_DESC)
//! 256      ANSWER  session id and status
//! 272      head    header and fixed-length fields, which end where the inline bytes begin
//! 384      INLINE  keys, IV, additional data, a short payload, a short result; behind them the
//!                  status of a data request
//! 2048
//! ```
//!
//! One block a slot and one allocation a queue: a request of a few hundred bytes allocates
//! nothing, shares nothing and takes two descriptors.

use crate::{
    Error, Platform,
    dma::{DmaPart, DmaRegion, GivenUp, WIPE_LEN},
    virtqueue::{DESCRIPTOR_LEN, Segment, write_table},
    wire::{self, MAX_HEAD_LEN, PutHead, REQUEST_LEN},
};

/// Bytes of a block.
const BLOCK_LEN: usize = 2048;
/// Where the indirect table lies.
const TABLE: usize = 0;
/// Most descriptors of one request.
pub(crate) const MAX_SEGMENTS: usize = 16;
/// Where the answer to a control request lies.
pub(crate) const ANSWER: usize = TABLE + MAX_SEGMENTS * DESCRIPTOR_LEN;
/// Bytes kept for the answer.
pub(crate) const ANSWER_LEN: usize = 16;
/// Where the status of a *create* lies: behind the session id. That of a *destroy* comes first.
pub(super) const CREATE_STATUS: usize = ANSWER + 8;
/// What a status holds until the device has written it: one that no device means.
pub(crate) const NO_ANSWER: u8 = 0xff;
/// Where inline bytes begin, and the head ends.
pub(crate) const INLINE: usize = (ANSWER + ANSWER_LEN + MAX_HEAD_LEN).next_multiple_of(WIPE_LEN);
/// How many inline bytes fit.
pub(crate) const INLINE_LEN: usize = BLOCK_LEN - INLINE;

/// The blocks of a queue's slots.
#[derive(Debug)]
pub(crate) struct Blocks<P: Platform> {
    memory: DmaRegion<P>,
}

impl<P: Platform> Blocks<P> {
    pub(crate) fn new(slots: u16) -> Result<Self, Error> {
        Ok(Self {
            memory: DmaRegion::new(usize::from(slots) * BLOCK_LEN)?,
        })
    }

    /// Returns the block of `slot`.
    #[inline]
    pub(crate) fn block(&self, slot: u16) -> Block<'_> {
        Block {
            memory: self.memory.part(usize::from(slot) * BLOCK_LEN),
        }
    }

    /// Gives the memory up for good.
    pub(crate) fn give_up(&self, total: &GivenUp) {
        self.memory.give_up(total);
    }
}

/// One block, for whoever owns its slot at the time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block<'q> {
    memory: DmaPart<'q, BLOCK_LEN>,
}

impl Block<'_> {
    #[inline(always)]
    pub(crate) fn write(&self, offset: usize, bytes: &[u8]) {
        self.memory.write(offset, bytes);
    }

    #[inline(always)]
    pub(crate) fn read(&self, offset: usize, bytes: &mut [u8]) {
        self.memory.read(offset, bytes);
    }

    /// Tells whether the device has written the status at `offset`.
    #[inline(always)]
    pub(super) fn is_answered(&self, offset: u16) -> bool {
        self.memory.read_byte(usize::from(offset)) != NO_ANSWER
    }

    /// Wipes what a request left inline: keys, plaintext.
    #[inline]
    pub(crate) fn wipe_inline(&self, len_bytes: usize) {
        if len_bytes == 0 {
            return;
        }
        // Mostly one granule, of which the compiler knows all.
        if len_bytes <= WIPE_LEN {
            self.memory.wipe(INLINE, WIPE_LEN);
        } else {
            self.memory.wipe(INLINE, len_bytes);
        }
    }

    /// Describes bytes that the device reads.
    #[inline]
    pub(crate) fn readable(&self, offset: usize, len_bytes: usize) -> Segment {
        self.segment(offset, len_bytes, false)
    }

    /// Describes bytes that the device writes.
    #[inline]
    pub(crate) fn writable(&self, offset: usize, len_bytes: usize) -> Segment {
        self.segment(offset, len_bytes, true)
    }

    #[inline]
    fn segment(&self, offset: usize, len_bytes: usize, writable: bool) -> Segment {
        debug_assert!(len_bytes > 0 && offset + len_bytes <= BLOCK_LEN);
        let bus_address = self.memory.bus_address(offset);
        Segment {
            bus_address,
            len_bytes: len_bytes as u32,
            writable,
        }
    }

    /// Returns where the device finds the indirect table.
    #[inline]
    pub(crate) fn table_address(&self) -> u64 {
        self.memory.bus_address(TABLE)
    }

    /// Writes a head, so that it ends where the inline bytes begin; returns where it begins.
    #[inline(always)]
    pub(crate) fn write_head(&self, head: &[u8]) -> usize {
        let start = INLINE - head.len();
        if let Ok(head) = <&[u8; REQUEST_LEN]>::try_from(head) {
            // Word by word, which the compiler makes stores of what it knows: most of it is
            // constant.
            let (words, _) = head.as_chunks::<8>();
            for (at, word) in (start..).step_by(8).zip(words) {
                self.memory.write(at, word);
            }
        } else {
            self.memory.write(start, head);
        }
        start
    }

    /// Writes the indirect table, of at most [`MAX_SEGMENTS`].
    #[inline(always)]
    pub(crate) fn write_table(&self, segments: &[Segment]) {
        write_table(segments, |index, descriptor| {
            self.memory
                .write(TABLE + index * DESCRIPTOR_LEN, descriptor);
        });
    }

    /// Reads the answer to a *create*: the session's id.
    #[inline(always)]
    pub(super) fn created_session(&self, written_bytes: u32) -> Result<u64, Error> {
        let mut answer = [NO_ANSWER; ANSWER_LEN];
        self.read(ANSWER, &mut answer);
        // Session id and status; the padding behind them says nothing.
        const NEEDED: u32 = 12;
        if written_bytes < NEEDED {
            return Err(Error::ShortAnswer {
                written_bytes,
                expected_bytes: NEEDED,
            });
        }
        wire::parse_session_answer(&answer).map_err(Error::Refused)
    }

    /// Reads the answer to a *destroy*.
    #[inline(always)]
    pub(super) fn destroy_result(&self, written_bytes: u32) -> Result<(), Error> {
        let mut status = [NO_ANSWER];
        self.read(ANSWER, &mut status);
        check_status(written_bytes, 1, status[0])
    }
}

/// A head ends where the inline bytes begin.
impl PutHead for Block<'_> {
    #[inline(always)]
    fn put(&mut self, before_end_bytes: usize, part: &[u8]) {
        self.write(INLINE - before_end_bytes, part);
    }
}

/// Judges an answer of `expected_bytes`, the status among them: whether there is one, its status,
/// then whether all of it was written. On an error nothing of the output counts.
#[inline(always)]
fn check_status(written_bytes: u32, expected_bytes: u32, status: u8) -> Result<(), Error> {
    if written_bytes >= expected_bytes && u32::from(status) == wire::STATUS_OK {
        return Ok(());
    }
    Err(bad_answer(written_bytes, expected_bytes, status))
}

/// Tells what is wrong with an answer.
#[cold]
fn bad_answer(written_bytes: u32, expected_bytes: u32, status: u8) -> Error {
    let refusal = wire::check_status(u32::from(status)).map_err(Error::Refused);
    match refusal {
        // Where nothing at all was written there is no status either.
        Err(refused) if written_bytes > 0 => refused,
        _ => Error::ShortAnswer {
            written_bytes,
            expected_bytes,
        },
    }
}
