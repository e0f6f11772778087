//! How a request ended (5.9.7.1), and why one was refused.

/// A status of `enum VIRTIO_CRYPTO_STATUS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Success.
    Ok = 0,
    /// A failure that has no other status.
    Err = 1,
    /// What AEAD decrypted is not authentic.
    BadMessage = 2,
    /// An operation or algorithm that the device does not have.
    NotSupported = 3,
    /// No such session.
    InvalidSession = 4,
    /// No free session, if REVISION_1 was negotiated.
    NoSpace = 5,
    /// A signature is not that of the message.
    KeyRejected = 6,
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What the driver is told.
    pub status: Status,
    /// What its author would like to know.
    pub why: &'static str,
}

impl Refusal {
    /// Refuses by `ERR`.
    pub const fn error(why: &'static str) -> Self {
        Self {
            status: Status::Err,
            why,
        }
    }

    /// Refuses by `NOTSUPP`.
    pub const fn not_supported(why: &'static str) -> Self {
        Self {
            status: Status::NotSupported,
            why,
        }
    }
}
