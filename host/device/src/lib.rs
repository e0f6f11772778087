//! A virtio-crypto device: what it computes, how its rings work, what its registers say.
//!
//! For authors of drivers, who point it at theirs; for this project's driver, which is proved on
//! it, in one process and from another one; and for whoever wants to see what section 5.9 of VIRTIO
//! 1.3 asks of a device. Its reading of the specification is its own: it shares nothing with a
//! driver, so that a mistake shows.
//!
//! The one rule: what a driver says is hostile until it has been checked. A request that cannot be
//! is answered as the specification says, or breaks the device as it allows, and never the process.
//!
//! | room | what it does |
//! |---|---|
//! | `serve` | carries a device to a virtual machine, for the program |
//! | `function` | the whole device, whatever carries it: registers, queues, interrupts |
//! | `ring` | the device's half of a virtqueue, split or packed |
//! | `engine` | sessions and requests: a chain's bytes in, an answer's bytes out |
//! | `services` | what is computed, by RustCrypto |
//! | `memory` | what the driver lets the device reach |
//! | `options` | what a device is: services, limits, features, queues; mixes of them |
//! | `offer` | algorithms that it offers |
//! | `results` | results of RSA as some real devices give them |
//! | `rules` | rules that can be broken on purpose |
//! | `wire` | numbers and layouts of section 5.9, read from its text |
//! | `feature`, `random` | feature bits and what each needs; numbers from a seed |
#![forbid(unsafe_code)]

pub mod engine;
pub mod feature;
pub mod function;
pub mod memory;
pub mod offer;
pub mod options;
pub mod random;
pub mod results;
pub mod ring;
pub mod rules;
#[cfg(feature = "program")]
pub mod serve;
pub mod services;
pub mod wire;

/// Returns how often a test tries something: less in Miri, which takes a thousand times as long.
#[cfg(test)]
pub(crate) const fn times<T: Copy>(natively: T, in_miri: T) -> T {
    if cfg!(miri) { in_miri } else { natively }
}
