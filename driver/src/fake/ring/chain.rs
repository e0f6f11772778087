//! A chain that the device has taken: the memory that a request names.

use alloc::{vec, vec::Vec};

use vm_memory::{Bytes, GuestAddress};

use crate::fake::memory::{is_live, memory};

/// A stretch of memory that a descriptor names.
#[derive(Clone, Copy, Debug)]
pub(in crate::fake) struct Stretch {
    pub(super) address: u64,
    pub(super) len: u32,
    pub(super) is_writable: bool,
}

/// A chain that was taken from the ring and not used yet.
#[derive(Clone, Debug)]
pub(in crate::fake) struct Chain {
    /// The head's index in a split ring, the buffer id in a packed one.
    pub(in crate::fake) id: u16,
    /// How many descriptors of the ring it takes.
    pub(super) descriptors: u16,
    segments: Vec<Stretch>,
}

impl Chain {
    pub(super) fn new(id: u16, descriptors: u16, segments: Vec<Stretch>) -> Self {
        let readable = segments.iter().take_while(|segment| !segment.is_writable);
        let writable = &segments[readable.count()..];
        assert!(
            writable.iter().all(|segment| segment.is_writable),
            "readable after writable"
        );
        assert!(
            segments.iter().all(|segment| segment.len > 0),
            "an empty descriptor"
        );
        Self {
            id,
            descriptors,
            segments,
        }
    }

    pub(in crate::fake) fn check_live(&self) {
        for segment in &self.segments {
            assert!(
                is_live(segment.address, segment.len),
                "the driver freed what the device has"
            );
        }
    }

    pub(in crate::fake) fn read(&self) -> Vec<u8> {
        let mut bytes = vec![];
        for segment in self.segments.iter().filter(|segment| !segment.is_writable) {
            let mut part = vec![0; segment.len as usize];
            memory()
                .read_slice(&mut part, GuestAddress(segment.address))
                .unwrap();
            bytes.extend(part);
        }
        bytes
    }

    pub(in crate::fake) fn writable(&self) -> u32 {
        self.segments
            .iter()
            .filter(|segment| segment.is_writable)
            .map(|segment| segment.len)
            .sum()
    }

    pub(in crate::fake) fn write(&self, mut skip: usize, mut bytes: &[u8]) {
        for segment in self.segments.iter().filter(|segment| segment.is_writable) {
            let len = segment.len as usize;
            if skip >= len {
                skip -= len;
                continue;
            }
            let part = bytes.len().min(len - skip);
            let at = GuestAddress(segment.address + skip as u64);
            memory().write_slice(&bytes[..part], at).unwrap();
            bytes = &bytes[part..];
            skip = 0;
        }
    }
}
