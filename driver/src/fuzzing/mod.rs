//! Targets of fuzzing: each a function of bytes, which say what the device does and when.
//!
//! For cargo-fuzz, by the package host/fuzz, and for the tests of each target, which replay the
//! corpus of the repository. The one rule: what a run does follows from its bytes alone, and
//! nothing of it is left for the next one.
//!
//! | target | what the bytes are | what is judged |
//! |---|---|---|
//! | `pci` | capabilities, BARs, registers, what changes between two reads | which stretches are mapped, by a plain model; no other byte written; BARs put back |
//! | `split`, `packed` | calls of a ring's half, and steps of the device between any two accesses to it | each request arrives whole and is found once; no lost kick, no lost interrupt; no field of the device's is written |

mod half;
mod input;
mod machine;
pub mod pci;
#[cfg(test)]
mod replay;
pub mod ring;
