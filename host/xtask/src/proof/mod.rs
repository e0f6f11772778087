//! Promises, and the machines that try to break them: a file for each command.
//!
//! For whoever doubts a promise. The rule: each says how hard it has tried in its last line, and
//! fails with all that it has found.

mod crates;
pub mod deny;
pub mod fuzz;
pub mod miri;
pub mod mutants;
mod nightly;
mod progress;
pub mod sanitize;
pub mod semver;
pub mod soak;
pub mod tools;
