//! The life of one request, from a caller's call to the device's answer.
//!
//! There is one way to send a request and to wait for it: [`exchange`]. Sessions and modes say what
//! is sent; where that lies in device memory is the queue's affair.
//!
//! # Cancellation
//!
//! Before the request is sent, dropping its future gives the slot back and the buffers go with the
//! future. Afterwards the device has them: dropping the future leaves slot and buffers behind as an
//! orphan, which is emptied once the device has used it. Forgetting the future keeps its slot for
//! good, or the one that it is handed if it is in the line. That endangers nothing: no other slot,
//! and no other caller's turn.

pub(crate) mod blocking;
pub(crate) mod exchange;
pub(crate) mod join;
pub(crate) mod mode;
pub(crate) mod session;
