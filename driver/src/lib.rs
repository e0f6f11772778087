//! Guest driver for the VIRTIO crypto device (Virtio 1.3, section 5.9).
#![no_std]
#![deny(unsafe_code)]

extern crate alloc;

#[cfg(any(test, loom))]
extern crate std;

mod capabilities;
mod cipher;
mod device;
mod dma;
mod error;
#[cfg(test)]
mod fake;
mod interrupts;
mod link;
pub mod platform;
mod queue;
mod request;
mod session;
mod stats;
pub mod sync;
#[cfg(test)]
mod tests;
pub mod transport;
mod virtqueue;
mod wire;

pub use self::{
    capabilities::Capabilities,
    cipher::{AES_BLOCK_LEN, AesCbc},
    device::{Device, Drained, ForcedReset, Options},
    dma::DmaBuffer,
    error::{Breakage, Error, Failed, Refusal, Requirement},
    interrupts::{Interrupt, InterruptMode},
    platform::Platform,
    request::{Woken, block_on},
    stats::{InterruptStats, QueueStats},
    wire::{CipherAlgorithm, DEVICE_ID, Direction, Features, Services},
};
