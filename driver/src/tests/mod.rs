//! The driver against a device that misbehaves on purpose.

mod cancellation;
mod hostile;
mod interrupts;
mod negotiation;
mod requests;
mod ring;
mod stress;
