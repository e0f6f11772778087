//! What a device does, whatever it is obliged to: each algorithm that the specification numbers,
//! and what a driver is better off to know.
//!
//! [`services`] and [`akcipher`] try by hand, [`ciphers`] through the driver. [`quirks`] are what
//! no rule speaks of.

pub mod akcipher;
pub mod ciphers;
pub mod quirks;
pub mod services;
