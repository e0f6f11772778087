//! A network: virtio-net (Virtio 1.3, 5.1) by the queues and the transport of `virtio-drivers`,
//! TCP by `smoltcp`, and sockets that are awaited.
//!
//! `smoltcp` wants to be called: when a frame has come, when a socket has something to send, when
//! one of its timers is due. One task does that ([`Network::run`]); whoever has a socket leaves
//! bytes there, or takes some, and wakes that task. So frames go out in batches, with one kick
//! each.
//!
//! What this room takes from `virtio-drivers` believes its device: a device that uses what it was
//! not given ends the run.
//!
//! | file | what it does |
//! |---|---|
//! | `setup` | finds the device |
//! | `frames` | its queues and their buffers |
//! | `stack` | `smoltcp` behind a lock, and when it is called |
//! | `socket` | connections |
//!
//! For applications. The one rule: the lock of `smoltcp` is taken by tasks alone, for a few
//! microseconds, and nobody waits under it.

mod frames;
mod setup;
mod socket;
mod stack;

pub use self::{
    setup::SetupError,
    socket::{Ended, Peer, Sizes, Socket},
    stack::{Addresses, Network, Stats},
};
