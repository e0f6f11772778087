//! What applications share: what the host gives them, and the devices that are not this project's.
//!
//! ```text
//! disk     virtio-blk: disks, with many requests in flight
//! net      virtio-net: TCP connections that are awaited
//! bus      where both have their devices from
//! fw_cfg   files that QEMU was given for the guest
//! random   random numbers of the CPU's
//! ```
//!
//! # Unsafe
//!
//! Code that the compiler cannot check stands in `disk/ring.rs`, `fw_cfg` and `net/frames.rs`.
#![no_std]
#![deny(unsafe_code)]

extern crate alloc;

mod bus;
pub mod disk;
pub mod fw_cfg;
pub mod net;
pub mod random;
