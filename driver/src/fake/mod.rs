//! A machine made of threads: memory, a platform, and a device that misbehaves on purpose.
//!
//! The device's half of split rings is rust-vmm's `virtio-queue`, which is not by the same hand as
//! the driver's; what a hostile device writes is written over it, by address. No crate has the
//! device's half of a packed ring, so that is written here, from the specification's text.

#[cfg(not(loom))]
mod callers;
#[cfg(loom)]
mod cells;
#[cfg(not(loom))]
mod device;
mod memory;
mod platform;
#[cfg(not(loom))]
mod random;
#[cfg(not(loom))]
mod rig;
#[cfg(not(loom))]
mod ring;
#[cfg(not(loom))]
mod rings;
#[cfg(not(loom))]
mod services;
#[cfg(not(loom))]
mod setup;
#[cfg(not(loom))]
mod transport;

#[cfg(not(loom))]
pub(crate) use self::{
    callers::{Alone, IV, KEY, Wakes, oracle, poll_once, run},
    device::{FakeDevice, Served},
    memory::{View, forget_live_pages, is_in_freed_memory, is_in_memory, ring_field},
    platform::{as_cpu, assert_unmasked, message, new_registers, trusted},
    random::Random,
    rig::{Rig, request},
    rings::is_packed,
    setup::{Fault, Gone, Setup},
    transport::FakeTransport,
};
#[cfg(loom)]
pub(crate) use self::{
    cells::{Cells, Payload},
    memory::use_chain,
};
pub(crate) use self::{
    memory::{live_pages, memory},
    platform::FakePlatform,
};

/// Returns how often a test tries something: less in Miri, which takes a thousand times as long.
pub(crate) const fn times<T: Copy>(natively: T, in_miri: T) -> T {
    if cfg!(miri) { in_miri } else { natively }
}
