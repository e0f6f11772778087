//! What the benchmarks and the demonstration share: loads, measures and what they are made of.

pub mod load;
pub mod measure;
pub mod race;
pub mod sessions;
