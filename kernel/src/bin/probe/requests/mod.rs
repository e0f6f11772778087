//! The device by hand: how a request is made, sent and answered, without the driver.
//!
//! From the ground up: [`trouble`] names why there is no answer. [`features`], [`words`], [`ids`]
//! and [`config`] are numbers of the specification. [`chain`] is a request in memory, which
//! [`framing`] cuts into descriptors, and [`ring`] a queue, [`split`] or [`packed`], of which
//! [`layout`] has the words. [`raw`] is the device with its queues, [`lives`] how it is set up,
//! [`batch`] several requests at a time, and [`interrupts`] what it sends. [`session`] opens and
//! uses sessions on it, [`statuses`] keeps what they answered. [`work`] and [`shared`] hold the
//! requests that several rules send, [`known`] and [`catalog`] those whose answers are known.
//! Nothing here judges an answer: that is what rules are for.

pub mod batch;
pub mod catalog;
pub mod chain;
pub mod config;
pub mod features;
pub mod framing;
pub mod ids;
pub mod interrupts;
pub mod known;
pub mod layout;
pub mod lives;
pub mod packed;
pub mod raw;
pub mod ring;
pub mod session;
pub mod shared;
pub mod split;
pub mod statuses;
pub mod trouble;
pub mod words;
pub mod work;
