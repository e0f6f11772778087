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
//! One block a slot and one allocation a queue: a request of a few hundred bytes allocates nothing,
//! shares nothing and takes two descriptors.
//!
//! The one rule: a request is sent with a status that no device uses, so an answer that is missing
//! shows.

use crate::{
    Error, Platform,
    dma::{DmaPart, DmaRegion, GivenUp, WIPE_LEN},
    virtqueue::{Chain, DESCRIPTOR_LEN, Format, Segment, Tables, write_table},
    wire::{self, MAX_HEAD_LEN, PutHead, REQUEST_LEN},
};

/// Bytes of a block.
const BLOCK_LEN: usize = 2048;
/// Where the indirect table lies.
const TABLE: usize = 0;
/// Most descriptors of one request.
pub(super) const MAX_SEGMENTS: usize = 16;
/// Where the answer to a control request lies.
const ANSWER: usize = TABLE + MAX_SEGMENTS * DESCRIPTOR_LEN;
/// Bytes kept for the answer.
pub(super) const ANSWER_LEN: usize = 16;
/// Where the status of a *create* lies: behind the session id. That of a *destroy* comes first.
const CREATE_STATUS: usize = ANSWER + 8;
/// Bytes of the answer to a *create* that count: session id and status, no padding.
const CREATED_LEN: u32 = 12;
/// The status until the device has written it: a value that no device uses.
const NO_ANSWER: u8 = 0xff;
/// Where inline bytes begin, and the head ends.
const INLINE: usize = (ANSWER + ANSWER_LEN + MAX_HEAD_LEN).next_multiple_of(WIPE_LEN);
/// How many inline bytes fit, the status of a data request among them.
pub(crate) const INLINE_LEN: usize = BLOCK_LEN - INLINE;

/// Where in a block the device writes a request's status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StatusAt(u16);

impl StatusAt {
    /// That of a *create*.
    pub(super) const CREATE: Self = Self(CREATE_STATUS as u16);
    /// That of a *destroy*.
    pub(super) const DESTROY: Self = Self(ANSWER as u16);

    /// That of a data request: right behind its inline bytes.
    #[inline(always)]
    pub(super) fn behind(inline_bytes: u16) -> Self {
        Self(INLINE as u16 + inline_bytes)
    }
}

/// The blocks of a queue's slots.
#[derive(Debug)]
pub(super) struct Blocks<P: Platform> {
    memory: DmaRegion<P>,
}

impl<P: Platform> Blocks<P> {
    pub(super) fn new(slots: u16) -> Result<Self, Error> {
        Ok(Self {
            memory: DmaRegion::new(usize::from(slots) * BLOCK_LEN)?,
        })
    }

    /// Returns the block of `slot`.
    #[inline]
    pub(super) fn block(&self, slot: u16) -> Block<'_> {
        Block {
            memory: self.memory.part(usize::from(slot) * BLOCK_LEN),
        }
    }

    /// Returns where the device finds the slots' tables, which have room for so many descriptors.
    pub(super) fn tables(&self, descriptors: u16) -> Tables {
        Tables {
            first: self.memory.bus_address(TABLE),
            step_bytes: BLOCK_LEN as u64,
            len_bytes: u32::from(descriptors) * DESCRIPTOR_LEN as u32,
        }
    }

    /// Gives the memory up for good.
    pub(super) fn give_up(&self, total: &GivenUp) {
        self.memory.give_up(total);
    }
}

/// One block, for the present owner of its slot.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block<'q> {
    memory: DmaPart<'q, BLOCK_LEN>,
}

impl Block<'_> {
    /// Writes inline bytes, from their byte `at` on.
    #[inline(always)]
    pub(super) fn write_inline(&self, at: usize, bytes: &[u8]) {
        self.memory.write(INLINE + at, bytes);
    }

    /// Writes parts one behind the other, from inline byte `at` on; returns their end.
    #[inline(always)]
    pub(super) fn write_parts(&self, mut at: usize, parts: &[&[u8]]) -> usize {
        for part in parts {
            self.write_inline(at, part);
            at += part.len();
        }
        at
    }

    /// Reads inline bytes, from their byte `at` on.
    #[inline(always)]
    pub(super) fn read_inline(&self, at: usize, bytes: &mut [u8]) {
        self.memory.read(INLINE + at, bytes);
    }

    /// Marks a status as not written yet.
    #[inline(always)]
    pub(super) fn await_status(&self, at: StatusAt) {
        self.memory.write(at.0.into(), &[NO_ANSWER]);
    }

    /// Marks the answer to a control request as not written yet.
    #[inline(always)]
    pub(super) fn await_answer(&self) {
        self.memory.write(ANSWER, &[NO_ANSWER; ANSWER_LEN]);
    }

    /// Tells whether the device has written a status.
    #[inline(always)]
    pub(super) fn is_answered(&self, at: StatusAt) -> bool {
        self.memory.read_byte(at.0.into()) != NO_ANSWER
    }

    /// Checks that the device has written `expected_bytes`, the status among them, and that the
    /// status is OK. Else nothing of the answer counts.
    ///
    /// # Errors
    ///
    /// What is wrong with it. The caller makes an [`Error`] of that off its hot path.
    #[inline(always)]
    pub(super) fn check_answer(
        &self,
        at: StatusAt,
        written_bytes: u32,
        expected_bytes: u32,
    ) -> Result<(), BadAnswer> {
        let status = self.memory.read_byte(at.0.into());
        match written_bytes >= expected_bytes && u32::from(status) == wire::STATUS_OK {
            true => Ok(()),
            false => Err(BadAnswer {
                written_bytes,
                expected_bytes,
                status,
            }),
        }
    }

    /// Wipes what a request left inline: keys, plaintext.
    #[inline]
    pub(super) fn wipe_inline(&self, len_bytes: usize) {
        if len_bytes == 0 {
            return;
        }
        // Mostly one granule, whose length the compiler knows.
        if len_bytes <= WIPE_LEN {
            self.memory.wipe(INLINE, WIPE_LEN);
        } else {
            self.memory.wipe(INLINE, len_bytes);
        }
    }

    /// Describes a head of so many bytes and the inline bytes right behind it, for the device to
    /// read.
    #[inline]
    pub(super) fn head_segment(&self, head_len_bytes: usize, inline_bytes: usize) -> Segment {
        self.segment(
            INLINE - head_len_bytes,
            head_len_bytes + inline_bytes,
            false,
        )
    }

    /// Describes inline bytes that the device reads.
    #[inline]
    pub(super) fn source_segment(&self, at: usize, len_bytes: usize) -> Segment {
        self.segment(INLINE + at, len_bytes, false)
    }

    /// Describes inline bytes that the device writes.
    #[inline]
    pub(super) fn output_segment(&self, at: usize, len_bytes: usize) -> Segment {
        self.segment(INLINE + at, len_bytes, true)
    }

    /// Describes where the device writes its answer to a control request.
    #[inline]
    pub(super) fn answer_segment(&self) -> Segment {
        self.segment(ANSWER, ANSWER_LEN, true)
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

    /// Writes a head, so that it ends where the inline bytes begin.
    #[inline(always)]
    pub(super) fn write_head(&self, head: &[u8]) {
        let start = INLINE - head.len();
        if let Ok(head) = <&[u8; REQUEST_LEN]>::try_from(head) {
            // Word by word: most of a head is constant, so the compiler makes constant stores of
            // it.
            let (words, _) = head.as_chunks::<8>();
            for (at, word) in (start..).step_by(8).zip(words) {
                self.memory.write(at, word);
            }
        } else {
            self.memory.write(start, head);
        }
    }

    /// Writes the indirect table, of at most [`MAX_SEGMENTS`].
    #[inline(always)]
    pub(super) fn write_table(&self, format: Format, segments: &[Segment]) -> Chain<'static> {
        write_table(format, segments, |index, descriptor| {
            self.memory
                .write(TABLE + index * DESCRIPTOR_LEN, descriptor);
        });
        Chain::InTable(segments.len() as u16)
    }

    /// Returns the id of the session that the answer to a *create* brings; `None` if it brings
    /// none, and [`why_not_created`](Self::why_not_created) says why.
    #[inline(always)]
    pub(super) fn session_id(&self, written_bytes: u32) -> Option<u64> {
        let mut answer = [NO_ANSWER; ANSWER_LEN];
        self.memory.read(ANSWER, &mut answer);
        match written_bytes >= CREATED_LEN {
            true => wire::parse_session_answer(&answer).ok(),
            false => None,
        }
    }

    /// Says why the answer to a *create* brings no session.
    #[cold]
    #[inline(never)]
    pub(super) fn why_not_created(&self, written_bytes: u32) -> Error {
        let mut answer = [NO_ANSWER; ANSWER_LEN];
        self.memory.read(ANSWER, &mut answer);
        if written_bytes < CREATED_LEN {
            return Error::ShortAnswer {
                written_bytes,
                expected_bytes: CREATED_LEN,
            };
        }
        match wire::parse_session_answer(&answer) {
            Err(refusal) => Error::Refused(refusal),
            // The device has changed it meanwhile.
            Ok(_) => Error::InvalidAnswer,
        }
    }

    /// Checks the answer to a *destroy*, as [`check_answer`](Self::check_answer) does.
    #[inline(always)]
    pub(super) fn check_destroyed(&self, written_bytes: u32) -> Result<(), BadAnswer> {
        self.check_answer(StatusAt::DESTROY, written_bytes, 1)
    }
}

/// An answer that does not count, and what is wrong with it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BadAnswer {
    written_bytes: u32,
    expected_bytes: u32,
    status: u8,
}

impl From<BadAnswer> for Error {
    /// Says what is wrong with the answer: it is missing, its status is an error, or it is too
    /// short.
    #[cold]
    #[inline(never)]
    fn from(answer: BadAnswer) -> Self {
        let BadAnswer {
            written_bytes,
            expected_bytes,
            status,
        } = answer;
        match wire::check_status(u32::from(status)) {
            // Where nothing at all was written there is no status either.
            Err(refusal) if written_bytes > 0 => Self::Refused(refusal),
            _ => Self::ShortAnswer {
                written_bytes,
                expected_bytes,
            },
        }
    }
}

/// A head ends where the inline bytes begin.
impl PutHead for Block<'_> {
    #[inline(always)]
    fn put(&mut self, before_end_bytes: usize, part: &[u8]) {
        self.memory.write(INLINE - before_end_bytes, part);
    }
}
