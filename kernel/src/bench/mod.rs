//! What the benchmarks share: loads, measures and the time that CPUs spend.

pub mod load;
pub mod measure;
