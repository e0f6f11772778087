//! Status codes, and what they say (Virtio 1.3, 5.9.7).

use core::fmt;

/// Why a device refused a request: the status codes of Virtio 1.3, 5.9.7.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// `VIRTIO_CRYPTO_ERR`. QEMU also answers so when it has no session left.
    Error,
    /// `VIRTIO_CRYPTO_BADMSG`: authentication failed, where there was nothing to authenticate
    /// ([`TagMismatch`](crate::Error::TagMismatch) and
    /// [`InvalidSignature`](crate::Error::InvalidSignature) otherwise).
    BadMessage,
    /// `VIRTIO_CRYPTO_NOTSUPP`: the service or algorithm is not supported.
    NotSupported,
    /// `VIRTIO_CRYPTO_INVSESS`: the device knows no such session.
    InvalidSession,
    /// `VIRTIO_CRYPTO_NOSPC`: no free session id.
    NoSpace,
    /// `VIRTIO_CRYPTO_KEY_REJECTED`: a signature did not verify, where none was to be verified.
    KeyRejected,
    /// A number that the specification does not give.
    Unknown(u32),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Error => f.write_str("the device answered ERR (bad request, or no session left)"),
            Self::BadMessage => f.write_str("the device answered BADMSG: authentication failed"),
            Self::NotSupported => f.write_str("the device answered NOTSUPP: try another algorithm"),
            Self::InvalidSession => f.write_str("the device answered INVSESS: open a new session"),
            Self::NoSpace => f.write_str("the device answered NOSPC: close a session first"),
            Self::KeyRejected => f.write_str("the device answered KEY_REJECTED: not verified"),
            Self::Unknown(status) => write!(f, "the device answered with status {status:#x}"),
        }
    }
}

/// `VIRTIO_CRYPTO_OK`.
pub(crate) const STATUS_OK: u32 = 0;

/// Tells what a status code means (Virtio 1.3, 5.9.7: `VIRTIO_CRYPTO_OK` and the others).
#[inline]
pub(crate) fn check_status(status: u32) -> Result<(), Refusal> {
    if status == STATUS_OK {
        return Ok(());
    }
    Err(refusal(status))
}

#[cold]
fn refusal(status: u32) -> Refusal {
    match status {
        1 => Refusal::Error,
        2 => Refusal::BadMessage,
        3 => Refusal::NotSupported,
        4 => Refusal::InvalidSession,
        5 => Refusal::NoSpace,
        6 => Refusal::KeyRejected,
        unknown => Refusal::Unknown(unknown),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_codes_are_those_of_the_specification() {
        let all: std::vec::Vec<_> = (0..8).map(check_status).collect();
        assert_eq!(
            all,
            [
                Ok(()),
                Err(Refusal::Error),
                Err(Refusal::BadMessage),
                Err(Refusal::NotSupported),
                Err(Refusal::InvalidSession),
                Err(Refusal::NoSpace),
                Err(Refusal::KeyRejected),
                Err(Refusal::Unknown(7)),
            ]
        );
    }
}
