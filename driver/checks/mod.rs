//! Checks of the driver that are the same on the fake device and, in QEMU, on the real one: known
//! answers of the standards, the Wycheproof project's vectors, random sequences of calls.
//!
//! The driver's host tests and the kernel's tests include these files by path. They are published
//! with the driver, so that its tests run from the package.

pub mod monte_carlo;
pub mod oracle;
pub mod random;
pub mod sequences;
pub mod standards;
pub mod table;
pub mod tables;
pub mod tally;
pub mod wycheproof;
