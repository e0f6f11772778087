//! The driver against a device that misbehaves on purpose.

#[cfg(not(loom))]
mod aead;
#[cfg(not(loom))]
mod bad_faith;
#[cfg(not(loom))]
mod batch;
#[cfg(not(loom))]
mod cache;
#[cfg(not(loom))]
mod callers;
#[cfg(not(loom))]
mod cancellation;
#[cfg(not(loom))]
mod chain;
#[cfg(not(loom))]
#[path = "../../checks/mod.rs"]
mod checks;
#[cfg(not(loom))]
mod ciphers;
#[cfg(not(loom))]
mod ecdsa;
#[cfg(not(loom))]
mod examples;
#[cfg(not(loom))]
mod footprint;
#[cfg(not(loom))]
mod framing;
#[cfg(not(loom))]
mod hash;
#[cfg(not(loom))]
mod hostile;
#[cfg(not(loom))]
mod hygiene;
#[cfg(not(loom))]
mod interrupts;
#[cfg(not(loom))]
mod life;
#[cfg(not(loom))]
mod long;
#[cfg(loom)]
mod loom;
#[cfg(not(loom))]
mod mac;
#[cfg(not(loom))]
mod negotiation;
#[cfg(not(loom))]
mod out_of_memory;
#[cfg(not(loom))]
mod panics;
#[cfg(not(loom))]
mod polling;
#[cfg(not(loom))]
mod pool;
#[cfg(not(loom))]
mod prove;
#[cfg(not(loom))]
mod queues;
#[cfg(not(loom))]
mod readiness;
#[cfg(not(loom))]
mod recovery;
#[cfg(not(loom))]
mod removal;
#[cfg(not(loom))]
mod requests;
#[cfg(not(loom))]
mod ring;
#[cfg(not(loom))]
mod rsa;
#[cfg(not(loom))]
mod secrets;
#[cfg(not(loom))]
mod sequences;
#[cfg(not(loom))]
mod services;
#[cfg(not(loom))]
mod signatures;
#[cfg(not(loom))]
mod stateless;
#[cfg(not(loom))]
mod stream;
#[cfg(not(loom))]
mod stress;
#[cfg(not(loom))]
mod trial;
#[cfg(not(loom))]
mod vectors;
#[cfg(not(loom))]
mod waiting;
