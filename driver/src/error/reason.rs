//! What errors say more: of a length, a key, a broken device.

use core::{fmt, ops::RangeInclusive};

use crate::index::QueueIndex;

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
    /// It did not finish the reset of a queue in time, or would not have its vector again.
    QueueNotReset {
        /// The queue.
        queue: QueueIndex,
    },
    /// The used index went forward by more than there was in flight, or as many descriptors of a
    /// packed ring are marked as used.
    UsedIndexJump {
        /// How far it went. In a packed ring it is not known how much further.
        advance: u16,
        /// Requests in flight.
        in_flight: u16,
    },
    /// A used element names a chain that is no request, or none in flight.
    BadUsedId {
        /// The id.
        id: u32,
    },
    /// A used element names a request whose status the device has not written. The device has not
    /// answered it, and may do so later: the element is of another epoch, or a lie.
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
            Self::QueueNotReset { queue } => write!(f, "queue {} did not come back", queue.0),
            Self::UsedIndexJump { advance, in_flight } => {
                write!(
                    f,
                    "it used {advance} requests or more, with {in_flight} in flight"
                )
            }
            Self::BadUsedId { id } => write!(f, "it used id {id}, which is not in flight"),
            Self::Unanswered { id } => write!(f, "it used id {id} and has not answered it"),
        }
    }
}
