//! What the device does for a request: sessions of one cipher, which is no cipher.
//!
//! The one rule: what a driver never sends is asserted unless the device has written over it, and
//! memory is reached only while it is allocated.

use alloc::{collections::BTreeMap, vec, vec::Vec};

use crate::{fuzzing::machine, virtqueue::Segment};

const OK: u8 = 0;
const INVALID_SESSION: u8 = 4;
/// Bytes of header and fixed-length fields, on both queues and in both framings.
const HEAD_LEN: usize = 72;

/// What a session's request makes of a byte, for whoever has the key.
pub(in crate::fuzzing::queue) fn transform(key: u8, iv: u8, byte: u8) -> u8 {
    byte.rotate_left(3) ^ key ^ iv
}

/// The sessions: the first byte of the key of each, by its number.
pub(super) struct Service(BTreeMap<u64, u8>);

/// A request that was read.
pub(super) struct Work {
    is_control: bool,
    opcode: u32,
    session: u64,
    /// First byte of the key, or of the IV.
    first: u8,
    source: Vec<u8>,
    writable: Vec<Segment>,
}

fn read(segment: Segment) -> Option<Vec<u8>> {
    let bytes = (0..u64::from(segment.len_bytes)).map(|at| machine::read(segment.bus_address + at));
    bytes.map(|byte| byte.map(|[byte]| byte)).collect()
}

impl Work {
    /// Reads a request.
    pub(super) fn read(is_control: bool, segments: Vec<Segment>, is_suspect: bool) -> Self {
        let (readable, writable): (Vec<_>, Vec<_>) =
            segments.into_iter().partition(|segment| !segment.writable);
        let mut bytes = Vec::new();
        for segment in readable {
            assert!(is_suspect || segment.len_bytes > 0, "an empty descriptor");
            // One whose length was written over may be as long as it likes.
            let read = read(Segment {
                len_bytes: segment.len_bytes.min(0x2000),
                ..segment
            });
            assert!(
                read.is_some() || is_suspect,
                "{segment:?} is not the device's"
            );
            bytes.extend(read.unwrap_or_default());
        }
        let mut work = Self {
            is_control,
            opcode: word(&bytes, 0) as u32,
            session: 0,
            first: 0,
            source: Vec::new(),
            writable,
        };
        work.first = bytes.get(HEAD_LEN).copied().unwrap_or(0);
        if is_control {
            work.session = word(&bytes, 16);
        } else {
            work.session = word(&bytes, 8);
            let iv_len = word(&bytes, 24) as u32 as usize;
            let source = bytes.get(HEAD_LEN + iv_len..).unwrap_or_default();
            work.source = source.to_vec();
            assert!(
                is_suspect || iv_len == 16 && source.len() == word(&bytes, 28) as u32 as usize,
                "lengths of a request"
            );
        }
        work
    }

    /// Writes what the request has room for, from `at` on.
    fn write(&self, mut at: usize, bytes: &[u8], is_suspect: bool) -> u32 {
        let (mut rest, mut written) = (bytes, 0);
        for segment in &self.writable {
            let len_bytes = segment.len_bytes as usize;
            if at >= len_bytes {
                at -= len_bytes;
                continue;
            }
            let count = (len_bytes - at).min(rest.len());
            let place = segment.bus_address + at as u64;
            let outcome = machine::write(place, &rest[..count]);
            assert!(
                outcome.is_some() || is_suspect,
                "{segment:?} was freed while the device had it"
            );
            written += count as u32;
            (rest, at) = (&rest[count..], 0);
        }
        assert!(rest.is_empty() || is_suspect, "no room for the answer");
        written
    }

    fn room(&self) -> usize {
        let rooms = self
            .writable
            .iter()
            .map(|segment| segment.len_bytes as usize);
        rooms.sum()
    }
}

fn word(bytes: &[u8], at: usize) -> u64 {
    let word = bytes.get(at..at + 8).and_then(|word| word.try_into().ok());
    word.map_or(0, u64::from_le_bytes)
}

impl Service {
    pub(super) fn new() -> Self {
        Self(BTreeMap::new())
    }

    pub(super) fn sessions(&self) -> usize {
        self.0.len()
    }

    /// Answers a request, or spoils the answer; returns how much was written.
    pub(super) fn answer(&mut self, work: &Work, is_suspect: bool, spoiled: Option<u8>) -> u32 {
        let room = work.room();
        let (mut output, status) = self.serve(work, is_suspect);
        if work.is_control && work.opcode & 1 == 0 {
            output.extend(u32::from(status).to_le_bytes());
            if let Some(spoiled) = spoiled {
                return work.write(0, &vec![spoiled; usize::from(spoiled) % 17], true);
            }
            return work.write(0, &output, is_suspect);
        }
        let mut written = work.write(0, &output, is_suspect);
        let status = spoiled.unwrap_or(status);
        if spoiled != Some(0xff) && room > 0 {
            // That of a *destroy* has room behind it.
            let at = if work.is_control { 0 } else { room - 1 };
            written += work.write(at, &[status], is_suspect);
        }
        spoiled.map_or(written, |spoiled| u32::from(spoiled) << (spoiled & 7))
    }

    fn serve(&mut self, work: &Work, is_suspect: bool) -> (Vec<u8>, u8) {
        if work.is_control && work.opcode & 1 == 0 {
            // The lowest number that is free, at once: one that comes back too early shows.
            let id = (0..).find(|id| !self.0.contains_key(id)).unwrap_or(0);
            self.0.insert(id, work.first);
            return (id.to_le_bytes().to_vec(), OK);
        }
        if work.is_control {
            let ended = self.0.remove(&work.session);
            assert!(
                ended.is_some() || is_suspect,
                "session {} is ended, which is not there",
                work.session
            );
            return (Vec::new(), OK);
        }
        let Some(key) = self.0.get(&work.session) else {
            assert!(
                is_suspect,
                "a request of session {}, which has ended",
                work.session
            );
            return (Vec::new(), INVALID_SESSION);
        };
        let output = work
            .source
            .iter()
            .map(|byte| transform(*key, work.first, *byte));
        (output.collect(), OK)
    }
}
