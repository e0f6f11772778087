//! The bytes of a run: calls of the driver from the start on, steps of the device from the end on,
//! so that neither moves when the other changes.
//!
//! The one rule: where they end, there are zeros, so that every input means something.

use alloc::vec::Vec;

/// What is left of an input.
#[derive(Clone, Debug)]
pub(super) struct Input {
    bytes: Vec<u8>,
    start: usize,
}

impl Input {
    pub(super) fn new(bytes: &[u8]) -> Self {
        Self {
            bytes: bytes.to_vec(),
            start: 0,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.start >= self.bytes.len()
    }

    pub(super) fn byte(&mut self) -> u8 {
        let byte = self.bytes.get(self.start).copied();
        self.start += usize::from(byte.is_some());
        byte.unwrap_or(0)
    }

    pub(super) fn last_byte(&mut self) -> u8 {
        if self.is_empty() {
            return 0;
        }
        self.bytes.pop().unwrap_or(0)
    }

    pub(super) fn bytes<const LEN: usize>(&mut self) -> [u8; LEN] {
        core::array::from_fn(|_| self.byte())
    }

    pub(super) fn u16(&mut self) -> u16 {
        u16::from_le_bytes(self.bytes())
    }

    pub(super) fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.bytes())
    }

    pub(super) fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.bytes())
    }

    /// Takes a number below `end`, 256 at most.
    pub(super) fn below(&mut self, end: usize) -> usize {
        usize::from(self.byte()) % end
    }
}
