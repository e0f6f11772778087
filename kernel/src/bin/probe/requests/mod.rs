//! The device by hand: how a request is made, sent and answered, without the driver.
//!
//! From the ground up: [`trouble`] names why there is no answer. [`words`] and [`ids`] are a
//! request's fields. [`ring`] is a queue, and [`framing`] cuts a request into descriptors. [`raw`]
//! is the device with its queues. [`session`] opens and uses sessions on it. [`shared`] holds the
//! requests that several rules send. Nothing here judges an answer: that is what rules are for.

pub mod framing;
pub mod ids;
pub mod raw;
pub mod ring;
pub mod session;
pub mod shared;
pub mod trouble;
pub mod words;
