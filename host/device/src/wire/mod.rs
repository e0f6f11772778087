//! The bytes of section 5.9 of VIRTIO 1.3: numbers, the configuration, requests.
//!
//! For the engine, which gets typed requests or a refusal. Written from the text of 5.9 alone, so
//! that a driver which reads it in another way is noticed. The one rule: structures are read field
//! by field in the order in which the text lists them, so there are no offsets to get wrong; what
//! ends too early is refused.
//!
//! Where the text leaves something open, or where QEMU does otherwise, a comment says which of the
//! two was chosen.

pub mod algorithm;
pub mod config;
pub mod control;
pub mod data;
pub mod header;
pub mod parameters;
pub mod reader;
pub mod stateless;
pub mod status;
#[cfg(test)]
mod tests;
