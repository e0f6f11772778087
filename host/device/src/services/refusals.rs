//! Refusals that RSA and ECDSA share.

use crate::wire::status::{Refusal, Status};

/// A signature that is not that of what was signed. The text has BADMSG for it as well; QEMU has
/// this one.
pub const NOT_SIGNED: Refusal = Refusal {
    status: Status::KeyRejected,
    why: "the signature is of something else or by another key",
};

/// What a public key cannot do.
pub const NO_PRIVATE_KEY: Refusal = Refusal::not_supported("it takes a private key");
