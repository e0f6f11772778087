//! Fuzz targets over the driver's public interface, on the device of our own, in one process.
//!
//! For `./run.sh fuzz`, and for the tests of this crate, which replay its corpus and play random
//! inputs. A target is a function of bytes that panics when it has found something:
//!
//! | target | what the input says |
//! |---|---|
//! | [`answers`] | a request of any service in any form, and what the device answers |
//! | [`calls_honest`] | calls in any order, and what an honest device does between any two steps |
//! | [`calls_hostile`] | the same on a device that breaks rules |
//!
//! One thread is the whole machine: CPUs, device and callers take turns where the driver calls its
//! platform or reaches a register. So the same bytes give the same execution.
//!
//! | room | what it does |
//! |---|---|
//! | `answers`, `sequences` | the targets |
//! | `world` | a machine, devices on it, and what is judged at the end |
//! | `service` | every service: what is asked, in every form, and what has to come of it |
//! | `far` | the device between two steps of the driver |
//! | `transport` | its registers |
//! | `machine` | memory with owners, a clock, CPUs |
//! | `secrets` | keys and plaintext that are known wherever they are left |
//! | `input` | the bytes |
#![deny(unsafe_code)]

extern crate alloc;

mod answers;
mod checks;
mod far;
mod input;
mod machine;
#[expect(dead_code, reason = "some of it only the tests of the services need")]
#[path = "../../services/src/oracle.rs"]
mod oracle;
mod secrets;
mod sequences;
mod service;
#[path = "../../services/src/rig/transport.rs"]
mod transport;
mod world;

#[cfg(test)]
mod replay;

pub use answers::answers;
pub use sequences::{calls_honest, calls_hostile};
