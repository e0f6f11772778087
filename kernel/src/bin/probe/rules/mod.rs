//! What is asked of a device, each rule by requests of its own, and what its answers mean.
//!
//! [`set_up`] and [`sessions`] check what the specification requires. [`framing`] and [`quirks`]
//! find out what a driver has to reckon with. [`services`] and [`akcipher`] try every algorithm by
//! hand, [`ciphers`] through the driver. [`dangerous`] runs by name alone. A rule sends by
//! [`requests`](crate::requests) and writes into a [`Report`](crate::report::Report).

pub mod akcipher;
pub mod ciphers;
pub mod config;
pub mod dangerous;
pub mod framing;
pub mod quirks;
pub mod services;
pub mod sessions;
pub mod set_up;
