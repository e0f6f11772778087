//! Numbers that look random and are the same in every run with the same seed.

use alloc::vec::Vec;

/// A generator (xorshift64).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// Makes a generator; seeds that differ in one bit give sequences that have nothing in common.
    pub fn new(seed: u64) -> Self {
        // The finaliser of SplitMix64.
        let mut state = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        // Zero would stay zero.
        Self((state ^ (state >> 31)).max(1))
    }

    /// Returns 64 bits.
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Returns a number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        // The high bits are the better ones.
        ((self.next() >> 32) % end as u64) as usize
    }

    /// Returns one of `choices`.
    pub fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    /// Returns `len_bytes` bytes.
    pub fn bytes(&mut self, len_bytes: usize) -> Vec<u8> {
        (0..len_bytes).map(|_| (self.next() >> 32) as u8).collect()
    }
}
