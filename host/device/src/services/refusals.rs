//! Refusals that several services have, or that a broken rule takes for something else.

use crate::wire::status::{Refusal, Status};

/// A key of no length of its algorithm.
pub const KEY_LEN: Refusal = Refusal::error("a key of this length does not exist");

/// An IV of no length of its algorithm.
pub const IV_LEN: Refusal = Refusal::error("an IV of this length does not exist");

/// A source that is not made of blocks.
pub const PART_OF_A_BLOCK: Refusal = Refusal::error("the source does not end with a block");

/// A key that is not in its DER, or not of its curve.
pub const BAD_KEY: Refusal = Refusal::error("the key is no key of its kind");

/// What a public key cannot do.
pub const NO_PRIVATE_KEY: Refusal = Refusal::not_supported("it takes a private key");

/// What is not authentic.
pub const FORGED: Refusal = Refusal {
    status: Status::BadMessage,
    why: "text, IV, additional data and tag do not belong together",
};

/// A signature that is not that of what was signed. The text has BADMSG for it as well; QEMU has
/// this one.
pub const NOT_SIGNED: Refusal = Refusal {
    status: Status::KeyRejected,
    why: "the signature is of something else or by another key",
};
