//! What errors say of a length, a key, an answer, a broken device.

use core::{fmt, ops::RangeInclusive};

use super::Error;

/// What a length has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Requirement {
    /// A whole number of blocks, at least one.
    BlocksOf {
        /// Bytes of a block.
        block_bytes: usize,
    },
    /// At most so many bytes.
    AtMost {
        /// The limit.
        max_bytes: u64,
    },
    /// The same as another length.
    SameAs {
        /// The other field.
        field: &'static str,
        /// Its length.
        len_bytes: usize,
    },
    /// At least so many bytes.
    AtLeast {
        /// The limit.
        min_bytes: usize,
    },
    /// Exactly so many bytes.
    Exactly {
        /// How many.
        len_bytes: usize,
    },
    /// One of these lengths in bytes.
    OneOf {
        /// The lengths.
        lens_bytes: &'static [RangeInclusive<usize>],
    },
}

/// Checks that something has the one length that it can have.
pub(crate) fn check_exact_len(
    field: &'static str,
    len_bytes: usize,
    required_bytes: usize,
) -> Result<(), Error> {
    if len_bytes == required_bytes {
        return Ok(());
    }
    let requirement = Requirement::Exactly {
        len_bytes: required_bytes,
    };
    Err(invalid_len(field, len_bytes, requirement))
}

/// Checks that something is not too short.
pub(crate) fn check_at_least(
    field: &'static str,
    len_bytes: usize,
    min_bytes: usize,
) -> Result<(), Error> {
    if len_bytes >= min_bytes {
        return Ok(());
    }
    let requirement = Requirement::AtLeast { min_bytes };
    Err(invalid_len(field, len_bytes, requirement))
}

/// Checks that something is not too long.
pub(crate) fn check_at_most(
    field: &'static str,
    len_bytes: usize,
    max_bytes: u64,
) -> Result<(), Error> {
    if len_bytes as u64 <= max_bytes {
        return Ok(());
    }
    let requirement = Requirement::AtMost { max_bytes };
    Err(invalid_len(field, len_bytes, requirement))
}

/// Checks that something can be counted in 32 bits, as the device does, and returns its length.
pub(crate) fn check_countable(field: &'static str, len_bytes: usize) -> Result<u32, Error> {
    check_at_most(field, len_bytes, u32::MAX.into())?;
    Ok(len_bytes as u32)
}

/// Checks that something has one of the lengths that it can have.
pub(crate) fn check_one_of_lens(
    field: &'static str,
    len_bytes: usize,
    lens_bytes: &'static [RangeInclusive<usize>],
) -> Result<(), Error> {
    if lens_bytes.iter().any(|lens| lens.contains(&len_bytes)) {
        return Ok(());
    }
    let requirement = Requirement::OneOf { lens_bytes };
    Err(invalid_len(field, len_bytes, requirement))
}

/// Says what a length is not.
#[cold]
pub(crate) fn invalid_len(
    field: &'static str,
    len_bytes: usize,
    requirement: Requirement,
) -> Error {
    Error::InvalidLength {
        field,
        len_bytes,
        requirement,
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BlocksOf { block_bytes } => {
                write!(
                    f,
                    "a whole number of {block_bytes}-byte blocks, at least one"
                )
            }
            Self::AtMost { max_bytes } => write!(f, "at most {max_bytes} bytes"),
            Self::SameAs { field, len_bytes } => write!(f, "as long as {field}, {len_bytes} bytes"),
            Self::AtLeast { min_bytes } => write!(f, "at least {min_bytes} bytes"),
            Self::Exactly { len_bytes } => write!(f, "{len_bytes} bytes"),
            Self::OneOf { lens_bytes } => {
                for (position, lens) in lens_bytes.iter().enumerate() {
                    let separator = if position > 0 { " or " } else { "" };
                    match (lens.start(), lens.end()) {
                        (start, end) if start == end => write!(f, "{separator}{start}")?,
                        (start, &usize::MAX) => write!(f, "{separator}{start} or more")?,
                        (start, end) => write!(f, "{separator}{start} to {end}")?,
                    }
                }
                f.write_str(" bytes")
            }
        }
    }
}

/// What is wrong with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyFault {
    /// It is not the expected structure in DER, or has bytes behind it.
    Encoding,
    /// It is for another algorithm, or has other parameters.
    Algorithm,
    /// The modulus has another number of bits than 1024 to 4096.
    ModulusBits {
        /// How many it has.
        bits: usize,
    },
    /// The modulus is even.
    Modulus,
    /// The public exponent is even, less than 3 or has more than 64 bits.
    Exponent,
    /// There are more than two primes.
    MultiPrime,
    /// The product of the primes is not the modulus, or one is more than 64 bits longer.
    Primes,
    /// A private exponent or the coefficient is 0, or not below its modulus.
    PrivateExponent,
    /// A scalar is 0, not below the curve's order, or has not its length.
    Scalar,
    /// A public key is not an uncompressed point of the curve's length.
    Point,
}

impl fmt::Display for KeyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Encoding => "it is not the expected structure in DER",
            Self::Algorithm => "it is for another algorithm",
            Self::ModulusBits { bits } => {
                return write!(f, "its modulus has {bits} bits, not 1024 to 4096");
            }
            Self::Modulus => "its modulus is even",
            Self::Exponent => "its public exponent is even, less than 3 or longer than 64 bits",
            Self::MultiPrime => "it has more than two primes",
            Self::Primes => "its modulus is not the product of its primes, or one is much longer",
            Self::PrivateExponent => "a private exponent or the coefficient is out of range",
            Self::Scalar => "its scalar is 0, not below the curve's order, or has not its length",
            Self::Point => "it is not an uncompressed point of the curve's length",
        })
    }
}

/// Why a device refused a request: the status codes of Virtio 1.3, 5.9.7.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// `VIRTIO_CRYPTO_ERR`. QEMU also answers so when it has no session left.
    Error,
    /// `VIRTIO_CRYPTO_BADMSG`: authentication failed, where there was nothing to authenticate
    /// ([`Error::TagMismatch`] and [`Error::InvalidSignature`] otherwise).
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

/// How a device broke the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeviceFault {
    /// Nothing answers at its registers, or its bus knows of no such device: it has been removed.
    Gone,
    /// The device set DEVICE_NEEDS_RESET.
    NeedsReset,
    /// The device left DRIVER_OK without being told to.
    StatusLost,
    /// The used index went forward by more than there was in flight.
    UsedIndexJump {
        /// How far it went.
        advance: u16,
        /// Requests in flight.
        in_flight: u16,
    },
    /// A used element names a chain that is no request, or none in flight.
    BadUsedId {
        /// The id.
        id: u32,
    },
    /// A used element names a request whose status the device has not written. It has not answered
    /// it, and may do so later: the element is of another life, or a lie.
    Unanswered {
        /// The id.
        id: u32,
    },
}

impl fmt::Display for DeviceFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone => {
                f.write_str("nothing answers at its registers, as if it had been removed")
            }
            Self::NeedsReset => f.write_str("it set DEVICE_NEEDS_RESET"),
            Self::StatusLost => f.write_str("it left DRIVER_OK"),
            Self::UsedIndexJump { advance, in_flight } => {
                write!(
                    f,
                    "its used index went {advance} forward with {in_flight} in flight"
                )
            }
            Self::BadUsedId { id } => write!(f, "it used id {id}, which is not in flight"),
            Self::Unanswered { id } => write!(f, "it used id {id} and has not answered it"),
        }
    }
}
