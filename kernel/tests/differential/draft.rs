//! A request before it is one of a device: everything but the number that the device gave its
//! session.
//!
//! For streams, which make them. The one rule: from a draft every device gets the same bytes, cut
//! in the same way.

use alloc::{string::String, vec::Vec};

use crate::{
    hand::{Chain, Lane, MOST_PIECES},
    random::Random,
};

/// Bytes of a request's header with its fixed-length fields, without REVISION_1.
pub const HEAD_BYTES: usize = 72;
/// Bytes that a device may write of a *create*: id, status, padding.
const CREATED_BYTES: usize = 16;

/// What both devices have to make of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// They do it, and write the same bytes.
    Done,
    /// They refuse it, in the same way.
    Refused,
}

/// What becomes of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect<S> {
    Nothing,
    Opens(S),
}

/// A request of any device.
#[derive(Clone, Debug)]
pub struct Draft<S> {
    /// What it is, for whoever reads of a difference.
    pub what: String,
    pub lane: Lane,
    pub expect: Expect,
    pub effect: Effect<S>,
    /// Where the answer's status lies, and how many bytes it has.
    pub status: (usize, usize),
    chain: Chain,
    /// Where the session's number belongs, and the numbers that the devices gave it.
    ids: Option<(usize, Vec<u64>)>,
}

impl<S> Draft<S> {
    /// A *create*: words at their offsets, then keys.
    pub fn create(what: String, words: &[(usize, u32)], key: &[u8]) -> Self {
        let readable = [head(words), key.to_vec()].concat();
        Self {
            what,
            lane: Lane::Control,
            expect: Expect::Done,
            effect: Effect::Nothing,
            status: (8, 4),
            chain: whole(readable, CREATED_BYTES),
            ids: None,
        }
    }

    /// The end of a session.
    pub fn destroy(what: String, opcode: u32, ids: Vec<u64>) -> Self {
        Self {
            what,
            lane: Lane::Control,
            expect: Expect::Done,
            effect: Effect::Nothing,
            status: (0, 1),
            chain: whole(head(&[(0, opcode)]), 1),
            ids: Some((16, ids)),
        }
    }

    /// A data request: words at their offsets, then what is read, and how much is written in front
    /// of the status.
    pub fn data(
        what: String,
        words: &[(usize, u32)],
        ids: Vec<u64>,
        source: &[&[u8]],
        result_bytes: usize,
    ) -> Self {
        let readable = [head(words), source.concat()].concat();
        Self {
            what,
            lane: Lane::Data,
            expect: Expect::Done,
            effect: Effect::Nothing,
            status: (result_bytes, 1),
            chain: whole(readable, result_bytes + 1),
            ids: Some((8, ids)),
        }
    }

    /// Says that devices have to refuse it.
    pub fn refused(self) -> Self {
        let expect = Expect::Refused;
        Self { expect, ..self }
    }

    /// Says that it opens a session.
    pub fn opens(self, session: S) -> Self {
        let effect = Effect::Opens(session);
        Self { effect, ..self }
    }

    /// Tells whether its answer holds nothing but its result and its status.
    pub fn effect_is_nothing(&self) -> bool {
        matches!(self.effect, Effect::Nothing)
    }

    /// Cuts it at random, which has to make no difference (Virtio 1.3, 2.7.4.1).
    pub fn cut(mut self, random: &mut Random) -> Self {
        let most = MOST_PIECES / 2 - 1;
        let mut cuts = |len: usize| {
            let count = random.one_of(&[0, 0, 1, 2, most]);
            let mut cuts: Vec<_> = (0..count).map(|_| random.below(len + 1)).collect();
            cuts.sort_unstable();
            cuts
        };
        self.chain.cuts = [
            cuts(self.chain.readable.len()),
            cuts(self.chain.writable_bytes),
        ];
        self.chain.is_indirect = random.below(2) == 0;
        self
    }

    /// Returns the request for device `number`.
    pub fn chain(&self, number: usize) -> Chain {
        let mut chain = self.chain.clone();
        if let Some((at, ids)) = &self.ids {
            chain.readable[*at..at + 8].copy_from_slice(&ids[number].to_le_bytes());
        }
        chain
    }
}

fn whole(readable: Vec<u8>, writable_bytes: usize) -> Chain {
    Chain {
        readable,
        writable_bytes,
        cuts: [Vec::new(), Vec::new()],
        is_indirect: false,
    }
}

/// Encodes header and fixed-length fields from words at their offsets.
fn head(words: &[(usize, u32)]) -> Vec<u8> {
    let mut bytes = alloc::vec![0; HEAD_BYTES];
    for (at, word) in words {
        bytes[*at..at + 4].copy_from_slice(&word.to_le_bytes());
    }
    bytes
}
