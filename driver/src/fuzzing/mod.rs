//! Targets of fuzzing: each a function of bytes, which say what the device does and when.
//!
//! For cargo-fuzz, by the package host/fuzz, and for the tests of each target, which replay the
//! corpus of the repository. The one rule: what a run does follows from its bytes alone, and
//! nothing of it is left for the next one.
//!
//! | target | what the bytes are | what is judged |
//! |---|---|---|
//! | `pci` | capabilities, BARs, registers, what changes between two reads | which stretches are mapped, by a plain model; no other byte written; BARs put back |

mod input;
mod machine;
pub mod pci;
#[cfg(test)]
mod replay;
