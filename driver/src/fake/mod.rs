//! A machine made of threads: memory, a platform, and a device that misbehaves on purpose.
//!
//! The device's half of the rings is rust-vmm's `virtio-queue`, which is not by the same hand as
//! the driver's; what a hostile device writes is written over it, by address.

mod device;
mod platform;
mod rig;
mod transport;

pub(crate) use self::{
    device::{FakeDevice, Fault, Served},
    platform::{FakePlatform, live_pages},
    rig::{IV, KEY, Rig, Wakes, oracle, poll_once, run},
    transport::{FakeTransport, Setup},
};
