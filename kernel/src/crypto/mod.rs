//! Crypto devices: how they are opened, how their interrupts arrive, what a CPU does about them
//! when it has nothing else to do.
//!
//! For programs: tests, benchmarks, the demonstration. The one rule: here the driver meets the
//! kernel, and no room below knows of it, but for [`platform`](crate::platform).

pub mod halt_polling;
mod join;
mod messages;
mod open;
mod unhandled;
mod watch;

pub use self::{
    join::join_all,
    messages::{first_cpu_of, vector_of},
    open::{DeviceOrNone, Reach, Wiring, find_crypto, left, open_crypto},
    unhandled::{Unhandled, unhandled},
    watch::{wait_until_idle, watch},
};
pub use crate::platform::CryptoDevice;

use crate::task::executor;

/// Lets the executor ring the doorbells that the driver has put off, before it waits.
pub(crate) fn init() {
    executor::set_before_wait(virtio_crypto::begin_wait);
}
