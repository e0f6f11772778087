//! Refusals of requests that no service gets to see.

use crate::wire::status::{Refusal, Status};

/// A control opcode that 5.9.7.2 does not have.
pub(super) const NO_CONTROL_OPERATION: Refusal = Refusal::not_supported("no such control opcode");

/// A data opcode that 5.9.7.3 does not have.
pub(super) const NO_DATA_OPERATION: Refusal = Refusal::not_supported("no such data opcode");

/// An algorithm that 5.9.4 does not have.
pub(super) const UNKNOWN_ALGORITHM: Refusal = Refusal::not_supported("no such algorithm");

/// An algorithm that the configuration does not have.
pub(super) const NOT_OFFERED: Refusal = Refusal::not_supported("an algorithm that is not offered");

/// An id that no session has, or one of another service.
pub(super) const NO_SESSION: Refusal = Refusal {
    status: Status::InvalidSession,
    why: "no such session of this service",
};
