//! The driver against a device that misbehaves on purpose.

#[cfg(not(loom))]
mod batch;
#[cfg(not(loom))]
mod cache;
#[cfg(not(loom))]
mod cancellation;
#[cfg(not(loom))]
mod ciphers;
#[cfg(not(loom))]
mod examples;
#[cfg(not(loom))]
mod hostile;
#[cfg(not(loom))]
mod hygiene;
#[cfg(not(loom))]
mod interrupts;
#[cfg(not(loom))]
mod long;
#[cfg(loom)]
mod loom;
#[cfg(not(loom))]
mod negotiation;
#[cfg(not(loom))]
mod recovery;
#[cfg(not(loom))]
mod requests;
#[cfg(not(loom))]
mod ring;
#[cfg(not(loom))]
mod stream;
#[cfg(not(loom))]
mod stress;
