//! Targets of fuzzing: each a function of bytes, which say what the device does and when.
//!
//! For cargo-fuzz, by the package host/fuzz, and for the tests of each target, which replay the
//! corpus of the repository. The one rule: what a run does follows from its bytes alone, and
//! nothing of it is left for the next one.
//!
//! | target | what the bytes are |
//! |---|---|
//! | `config` | registers that change at each read, and how a device is set up |
//! | `pci` | capabilities, BARs, registers, and what changes between two reads |
//! | `split`, `packed` | what is sent and drained, what a device does between any two accesses |
//! | `queue` | calls of a whole driver, and what a device does between any two accesses |
//!
//! What each judges stands in docs/PROOFS.md.

pub mod config;
mod half;
mod input;
mod machine;
pub mod pci;
pub mod queue;
#[cfg(test)]
mod replay;
pub mod ring;
mod transport;
