//! What every case is made of: its choices, its buffers, and what is counted and compared.

use alloc::vec::Vec;
use core::ops::RangeInclusive;

use kernel::{crypto::CryptoDevice, platform::KernelPlatform};
use virtio_crypto::{DmaBuffer, Error};

use crate::{random::Random, served::Served, tally};

pub type Buffer = DmaBuffer<KernelPlatform>;

/// Requests of a case at most.
pub const MOST_REQUESTS: usize = 5;

/// What a case goes by.
pub struct Case<'c> {
    pub device: &'c CryptoDevice,
    pub served: &'c Served,
    pub random: Random,
}

impl Case<'_> {
    /// Chooses whether there is a session.
    pub fn takes_session(&mut self) -> bool {
        !self.served.is_stateless || self.random.below(3) > 0
    }

    /// Chooses a length: mostly what has room in a slot, now and then much more.
    pub fn len(&mut self, most: usize) -> usize {
        let most_here = match self.random.below(32) {
            0..=17 => 512,
            18..=28 => 4096,
            29 | 30 => 20_000,
            _ => 100_000,
        };
        self.random.below(most_here.min(most))
    }

    /// Chooses one that a cipher takes.
    pub fn blocks(&mut self, block: usize, most: usize) -> usize {
        let len = self.len(most);
        (len - len % block).max(block)
    }

    /// Chooses one that an algorithm takes.
    pub fn one_len(&mut self, lens: &[RangeInclusive<usize>], most: usize) -> usize {
        let lens = &lens[self.random.below(lens.len())];
        let (least, most) = (*lens.start(), (*lens.end()).min(most));
        least + self.random.below(most.saturating_sub(least) + 1)
    }

    /// Cuts data into up to four buffers.
    pub fn cut(&mut self, data: &[u8]) -> Result<Vec<Buffer>, Error> {
        let (mut rest, mut parts) = (data, Vec::new());
        while parts.len() < 3 && rest.len() > 1 {
            let (part, others) = rest.split_at(1 + self.random.below(rest.len() - 1));
            parts.push(Buffer::from_slice(part)?);
            rest = others;
        }
        parts.push(Buffer::from_slice(rest)?);
        Ok(parts)
    }
}

/// Counts a session that was opened.
pub fn opened<T>(session: T) -> T {
    tally::SESSIONS.add(1);
    session
}

/// Counts a request that was answered rightly.
pub fn note(len_bytes: usize, by_session: bool) {
    tally::REQUESTS.add(1);
    tally::BYTES.add(len_bytes as u64);
    if !by_session {
        tally::STATELESS.add(1);
    }
}

/// Compares what came with what was expected.
pub fn check(what: impl core::fmt::Debug, got: &[u8], expected: &[u8]) {
    if got == expected {
        return;
    }
    let differs = got.iter().zip(expected).position(|(got, it)| got != it);
    panic!(
        "{what:?}: {} bytes, expected {}, the first that differs is {differs:?}",
        got.len(),
        expected.len()
    );
}

/// Returns all bytes of buffers, in their order.
pub fn joined(parts: &[Buffer]) -> Vec<u8> {
    parts.iter().flat_map(|part| part.iter().copied()).collect()
}

/// Passes on every error but the one that had to come.
pub fn expect<T>(outcome: Result<T, Error>, expected: Error) -> Result<(), Error> {
    match outcome {
        Err(error) if error == expected => Ok(()),
        Err(error) => Err(error),
        Ok(_) => panic!("expected {expected:?}, got success"),
    }
}
