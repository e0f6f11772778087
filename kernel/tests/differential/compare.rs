//! Both devices, what they answered, and whether that is alike.
//!
//! For the tests. The one rule: a difference is an error that says which request it was, unless it
//! is counted under a name of its own.

use alloc::vec::Vec;
use core::fmt::{self, Debug};

use crate::{
    draft::{Draft, Effect, Expect},
    hand::{Answer, Hand},
};

/// How a device ends a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    Done,
    /// It knows of no such session.
    NoSession,
    /// It refuses, whatever the status says of the reason.
    Refused,
    /// It asks for a reset.
    NeedsReset,
    /// It answers with what is no status.
    Nonsense,
}

const INVSESS: u32 = 4;
/// The status with the highest number, KEY_REJECTED.
const LAST_STATUS: u32 = 6;

impl Class {
    /// Returns that of a status.
    pub fn of(status: Option<u32>) -> Self {
        match status {
            None => Self::NeedsReset,
            Some(0) => Self::Done,
            Some(INVSESS) => Self::NoSession,
            Some(..=LAST_STATUS) => Self::Refused,
            Some(_) => Self::Nonsense,
        }
    }
}

/// What was seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    valid: u64,
    alike: u64,
    refused: u64,
    same_class: u64,
    /// Of those refused: the very same status.
    same_status: u64,
    result_bytes: u64,
}

impl Tally {
    /// Checks that there were requests of both kinds, and that all were alike.
    pub fn check(&self) {
        assert!(self.valid > 0 && self.refused > 0, "too little was tried");
        assert_eq!(self.valid, self.alike);
        assert_eq!(self.refused, self.same_class);
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "valid={} alike={} refused={} same-class={} same-status={} result_bytes={}",
            self.valid,
            self.alike,
            self.refused,
            self.same_class,
            self.same_status,
            self.result_bytes,
        )
    }
}

/// Two devices.
#[derive(Debug)]
pub struct Pair {
    devices: [Hand; 2],
    pub tally: Tally,
}

impl Pair {
    /// Sets up the first two devices of the bus.
    pub fn open() -> Self {
        Self {
            devices: [0, 1].map(Hand::open),
            tally: Tally::default(),
        }
    }

    /// Sends requests of one queue to both, compares the answers, and returns the sessions that
    /// were opened.
    pub fn send<S: Clone + Debug>(&mut self, batch: &[Draft<S>]) -> Vec<(S, Vec<u64>)> {
        let Some(lane) = batch.first().map(|draft| draft.lane) else {
            return Vec::new();
        };
        let mut number = 0;
        let answers = self.devices.each_mut().map(|device| {
            let chains: Vec<_> = batch.iter().map(|draft| draft.chain(number)).collect();
            number += 1;
            device.exchange(lane, &chains)
        });
        let mut opened = Vec::new();
        for (draft, pair) in batch.iter().zip(answers[0].iter().zip(&answers[1])) {
            let pair = [pair.0, pair.1];
            self.judge(draft, pair);
            if let Effect::Opens(session) = &draft.effect {
                let ids = pair.map(session_id).to_vec();
                opened.push((session.clone(), ids));
            }
        }
        opened
    }

    fn judge<S: Debug>(&mut self, draft: &Draft<S>, answers: [&Answer; 2]) {
        let what = &draft.what;
        let statuses = answers.map(|answer| status(draft, answer));
        let [first, second] = statuses.map(Class::of);
        for class in [first, second] {
            let is_done = class == Class::Done;
            let should = draft.expect == Expect::Done;
            assert!(
                is_done == should && class != Class::Nonsense,
                "{what}: {statuses:?}"
            );
        }
        match draft.expect {
            Expect::Done => {
                self.tally.valid += 1;
                self.tally.result_bytes += result(draft, answers[0]).len() as u64;
                let at = difference(draft, answers);
                assert_eq!(
                    at, None,
                    "{what}: the first byte that differs, of {draft:?}"
                );
                let used = answers.map(used_bytes);
                assert_eq!(used[0], used[1], "{what}: used length");
                self.tally.alike += 1;
            }
            Expect::Refused => {
                self.tally.refused += 1;
                assert_eq!(first, second, "{what}: {statuses:?}");
                self.tally.same_class += 1;
                self.tally.same_status += u64::from(statuses[0] == statuses[1]);
            }
        }
    }
}

/// Returns the status; none if the device asks for a reset.
pub fn status<S>(draft: &Draft<S>, answer: &Answer) -> Option<u32> {
    let Answer::Used { written, .. } = answer else {
        return None;
    };
    let (at, len) = draft.status;
    let bytes = written[at..at + len].iter().rev();
    Some(bytes.fold(0, |word, byte| word << 8 | u32::from(*byte)))
}

/// Returns what is written in front of the status: of a *create*, the number of its session, which
/// is the device's own.
fn result<'a, S>(draft: &Draft<S>, answer: &'a Answer) -> &'a [u8] {
    match answer {
        Answer::Used { written, .. } if draft.effect_is_nothing() => &written[..draft.status.0],
        _ => &[],
    }
}

fn difference<S>(draft: &Draft<S>, answers: [&Answer; 2]) -> Option<usize> {
    let [first, second] = answers.map(|answer| result(draft, answer));
    let mut pairs = first.iter().zip(second);
    pairs.position(|(one, other)| one != other)
}

fn used_bytes(answer: &Answer) -> u32 {
    match answer {
        Answer::Used { used_bytes, .. } => *used_bytes,
        Answer::NeedsReset => 0,
    }
}

fn session_id(answer: &Answer) -> u64 {
    match answer {
        Answer::Used { written, .. } => {
            let bytes = written[..8].iter().rev();
            bytes.fold(0, |id, byte| id << 8 | u64::from(*byte))
        }
        Answer::NeedsReset => 0,
    }
}
