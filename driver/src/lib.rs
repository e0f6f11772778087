//! Guest driver for the VIRTIO crypto device (Virtio 1.3, section 5.9).
#![no_std]
#![deny(unsafe_code)]

extern crate alloc;

#[cfg(any(test, loom))]
extern crate std;

pub mod platform;
pub mod sync;
pub mod transport;

pub use platform::Platform;
