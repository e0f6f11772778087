//! Tests of the driver's services on the device library, in one process.
//!
//! For whoever changes a service: `cargo test --target host-tuple -p services NAME` runs one. The
//! driver is reached by its public interface alone, as an embedder reaches it; the device computes
//! by its own reading of the specification. Rings, slots and interrupts have their tests in the
//! driver's folder, which has a small device of its own and can be vendored alone.
//!
//! | room | what it does |
//! |---|---|
//! | `rig` | a driver and a device put together; faults |
//! | `heap` | finds secrets in what was freed, and refuses memory |
//! | `oracle` | what the answers are compared with |
//! | `ways`, `checks` | every way to use a service; checks that the kernel's tests make, too |
//! | all others | the tests, a file a service or a promise |
#![cfg(test)]
#![deny(unsafe_code)]

extern crate alloc;

mod aead;
mod batch;
mod cache;
mod chain;
#[path = "../checks/mod.rs"]
mod checks;
mod ciphers;
#[path = "../checks/digests.rs"]
mod digests;
mod ecdsa;
mod examples;
mod framing;
mod hash;
mod heap;
mod long;
mod mac;
mod oracle;
mod out_of_memory;
mod prove;
mod rig;
mod rsa;
mod secrets;
mod sequences;
mod signatures;
mod stateless;
mod stream;
mod trial;
mod vectors;
mod ways;
