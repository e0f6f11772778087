//! Every status that a device answered, by opcode.

use alloc::vec::Vec;

use crate::requests::chain::UNWRITTEN;

/// How often which status came is of no interest: only whether.
#[derive(Clone, Debug, Default)]
pub struct Statuses {
    seen: Vec<(u32, u32, bool)>,
}

/// A status that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    pub opcode: u32,
    pub status: u32,
    /// Whether the device works by REVISION_1.
    pub has_revision_1: bool,
}

impl Seen {
    /// Whether it was not written at all.
    pub fn is_unwritten(self) -> bool {
        let byte = u32::from(UNWRITTEN);
        self.status == byte || self.status == byte * 0x0101_0101
    }
}

impl Statuses {
    pub fn note(&mut self, opcode: u32, status: u32, has_revision_1: bool) {
        let seen = (opcode, status, has_revision_1);
        if !self.seen.contains(&seen) {
            self.seen.push(seen);
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = Seen> {
        self.seen
            .iter()
            .map(|&(opcode, status, has_revision_1)| Seen {
                opcode,
                status,
                has_revision_1,
            })
    }
}
