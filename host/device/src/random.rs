//! Numbers that look random and come from a seed.
//!
//! For mixes of options and for what a device does in no order. The one rule: the same seed gives
//! the same numbers; nothing secret comes from here.

/// Steele, Lea and Flood's SplitMix64: any seed is as good as another.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// Begins from a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns the next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// Returns one of `0..count`.
    ///
    /// # Panics
    ///
    /// If there is none.
    pub fn below(&mut self, count: usize) -> usize {
        assert!(count > 0, "none to choose from");
        // Smaller than `count`, which has a `usize`.
        (self.number() % count as u64) as usize
    }

    /// Puts things in a random order.
    pub fn shuffle<T>(&mut self, things: &mut [T]) {
        for last in (1..things.len()).rev() {
            things.swap(last, self.below(last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_splitmix64s() {
        // The first outputs of its authors' reference program for the seed 1234567.
        let mut random = Random::new(1_234_567);
        assert_eq!(random.number(), 6_457_827_717_110_365_317);
        assert_eq!(random.number(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn shuffling_keeps_all() {
        let mut things: Vec<_> = (0..50).collect();
        Random::new(1).shuffle(&mut things);
        assert_ne!(things, (0..50).collect::<Vec<_>>());
        things.sort();
        assert_eq!(things, (0..50).collect::<Vec<_>>());
    }
}
