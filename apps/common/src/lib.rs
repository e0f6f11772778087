//! What applications share: what the host gives them, and the devices that are not this project's.
//!
//! ```text
//! disk     virtio-blk: disks, with many requests in flight
//! fw_cfg   files that QEMU was given for the guest
//! net      virtio-net: TCP connections that are awaited
//! random   random numbers of the CPU's
//! ```
//!
//! # Unsafe
//!
//! Code that the compiler cannot check stands in `disk/ring.rs`, `fw_cfg` and `net/frames.rs`.
#![no_std]
#![deny(unsafe_code)]

extern crate alloc;

pub mod disk;
pub mod fw_cfg;
pub mod net;
pub mod random;
