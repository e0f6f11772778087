//! The life of one request, from a caller's call to the device's answer.
//!
//! For the services and for `device/`. The one rule: there is one way to send a request and to wait
//! for it, [`exchange`]. Sessions and modes say what to send; the queue decides where it lies in
//! device memory.
//!
//! # Cancellation
//!
//! Before the request is sent, dropping its future gives the slot back, and the buffers go with the
//! future. Afterwards the device has them: dropping the future leaves slot and buffers behind as an
//! orphan, which is emptied once the device has used it. A forgotten future keeps its slot for
//! good, also one that it is handed later in the line. It endangers nothing else: no other slot,
//! and no other caller's turn.

pub(crate) mod blocking;
pub(crate) mod exchange;
pub(crate) mod join;
pub(crate) mod mode;
pub(crate) mod sending;
pub(crate) mod session;
