//! Checks of the driver that are the same on a device in its process and on one of QEMU: known
//! answers of the standards, the Wycheproof project's vectors, random sequences of calls.
//!
//! The kernel's tests and its build script include these files by path.

pub mod monte_carlo;
pub mod oracle;
pub mod random;
pub mod sequences;
pub mod standards;
pub mod table;
pub mod tables;
pub mod tally;
pub mod wycheproof;
