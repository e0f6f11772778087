//! What can go wrong, and what to do about it.

use core::{fmt, ops::RangeInclusive};

use crate::{
    transport::{MsixEntry, QueueIndex, TransportError},
    wire::CipherAlgorithm,
};

/// Every error of the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The transport could not be used.
    Transport(TransportError),
    /// The device does not offer a feature that this cannot do without, or it was refused at set-up
    /// ([`Options::refuse`](crate::Options::refuse)).
    FeatureMissing {
        /// Name of the feature bit in the specification.
        feature: &'static str,
    },
    /// The device did not accept the features: FEATURES_OK read back as 0.
    FeaturesRefused {
        /// The feature bits that the driver wrote.
        features: u64,
    },
    /// The device did not finish its reset in time.
    ResetTimeout {
        /// How long the driver waited.
        waited_ns: u64,
    },
    /// The device says that its crypto hardware is not ready (`VIRTIO_CRYPTO_S_HW_READY` is 0).
    HardwareNotReady,
    /// The configuration space changed every time it was read.
    ConfigUnstable,
    /// The device has no such queue.
    QueueMissing {
        /// The queue.
        queue: QueueIndex,
    },
    /// The device says that it has so many data queues that the control queue, which comes behind
    /// them, has no number.
    ControlQueueOutOfReach {
        /// How many it says.
        max_data_queues: u32,
    },
    /// The queue has too few entries for a single request.
    QueueTooSmall {
        /// The queue.
        queue: QueueIndex,
        /// Entries that the device allows.
        entries: u16,
        /// Entries that one request needs.
        needed: u16,
    },
    /// The platform has no such device memory.
    OutOfDeviceMemory {
        /// Bytes asked for.
        len_bytes: usize,
    },
    /// A length does not fit the algorithm or the device; nothing was sent.
    InvalidLength {
        /// What has the length.
        field: &'static str,
        /// The length given.
        len_bytes: usize,
        /// What it has to be.
        requirement: Requirement,
    },
    /// A part of the data begins behind its end, or does not end within the data; nothing was sent.
    OutOfRange {
        /// What is over that part.
        field: &'static str,
        /// Where the part begins.
        start: usize,
        /// Where the part ends.
        end: usize,
        /// The length of the data.
        len_bytes: usize,
    },
    /// A request of so many buffers needs more descriptors than the queue has room for; nothing was
    /// sent.
    TooManyBuffers {
        /// Descriptors that it takes.
        descriptors: usize,
        /// Descriptors of a request at most.
        max: usize,
    },
    /// The algorithm has no such form; nothing was sent.
    UnfitAlgorithm {
        /// The session's algorithm.
        algorithm: CipherAlgorithm,
    },
    /// Every slot of the queue is taken.
    QueueFull,
    /// As many sessions are open or still closing as the driver was set up for.
    TooManySessions {
        /// How many that is.
        max: u16,
    },
    /// The device refused the request.
    Refused(Refusal),
    /// The tag is not that of the data: the driver has compared them.
    TagMismatch,
    /// The device answered with fewer bytes than the request calls for.
    ShortAnswer {
        /// Bytes that it says it wrote.
        written_bytes: u32,
        /// Bytes that it had to write.
        expected_bytes: u32,
    },
    /// The device's answer cannot be one to the request, whatever its status says; nothing of it was
    /// used.
    InvalidAnswer,
    /// A signature does not belong to the digest and the key.
    InvalidSignature,
    /// A number is 0, or not smaller than the key's modulus; nothing was sent.
    NotBelowModulus {
        /// Which number.
        field: &'static str,
    },
    /// A key cannot be used; nothing was sent.
    InvalidKey(KeyFault),
    /// The device broke the rules or asks for a reset; every request in flight has ended.
    Broken(Breakage),
    /// The manager has no device that serves this, or none that is up.
    NoDevice,
    /// The driver has been shut down, or the device reset, since this was made.
    ShutDown,
    /// The driver does not use that entry of the MSI-X table.
    NoSuchVector {
        /// The entry.
        entry: MsixEntry,
        /// How many entries it uses, from 0 on.
        used: usize,
    },
    /// Another caller is shutting the device down, setting it up anew or moving a vector.
    Resetting,
    /// The caller stopped waiting.
    GaveUp,
}

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
    Err(Error::InvalidLength {
        field,
        len_bytes,
        requirement: Requirement::Exactly {
            len_bytes: required_bytes,
        },
    })
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
    Err(Error::InvalidLength {
        field,
        len_bytes,
        requirement: Requirement::OneOf { lens_bytes },
    })
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
    /// A scalar is 0, or has not the curve's length.
    Scalar,
    /// A public key is not an uncompressed point of the curve's length.
    Point,
}

/// Why a device refused a request: the status codes of Virtio 1.3, 5.9.7.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// `VIRTIO_CRYPTO_ERR`. QEMU also answers so when it has no session left.
    Error,
    /// `VIRTIO_CRYPTO_BADMSG`: authentication failed.
    BadMessage,
    /// `VIRTIO_CRYPTO_NOTSUPP`: the service or algorithm is not supported.
    NotSupported,
    /// `VIRTIO_CRYPTO_INVSESS`: the device knows no such session.
    InvalidSession,
    /// `VIRTIO_CRYPTO_NOSPC`: no free session id.
    NoSpace,
    /// `VIRTIO_CRYPTO_KEY_REJECTED`: a signature did not verify.
    KeyRejected,
    /// A number that the specification does not give, or no answer at all (0xff..).
    Unknown(u32),
}

/// How a device broke the rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Breakage {
    /// Its registers read all ones: the device has been removed.
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
}

impl From<TransportError> for Error {
    fn from(error: TransportError) -> Self {
        Self::Transport(error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Transport(error) => error.fmt(f),
            Self::FeatureMissing { feature } => write!(
                f,
                "{feature} is missing: the device does not offer it, or it was refused at set-up"
            ),
            Self::FeaturesRefused { features } => {
                write!(f, "the device refused the features {features:#x}")
            }
            Self::ResetTimeout { waited_ns } => {
                write!(f, "the device did not finish its reset in {waited_ns} ns")
            }
            Self::HardwareNotReady => {
                f.write_str("the device's crypto hardware is not ready: try again later")
            }
            Self::ConfigUnstable => {
                f.write_str("the device's configuration changed at every reading")
            }
            Self::QueueMissing { queue } => write!(f, "the device has no queue {}", queue.0),
            Self::ControlQueueOutOfReach { max_data_queues } => write!(
                f,
                "no control queue behind the {max_data_queues} data queues that the device claims"
            ),
            Self::QueueTooSmall {
                queue,
                entries,
                needed,
            } => write!(
                f,
                "queue {} has {entries} entries, one request needs {needed}: \
                 give the device larger queues, or INDIRECT_DESC",
                queue.0
            ),
            Self::OutOfDeviceMemory { len_bytes } => {
                write!(f, "no device memory for {len_bytes} bytes")
            }
            Self::InvalidLength {
                field,
                len_bytes,
                requirement,
            } => {
                write!(f, "{field} of {len_bytes} bytes has to be {requirement}")
            }
            Self::OutOfRange {
                field,
                start,
                end,
                len_bytes,
            } => write!(
                f,
                "{field} from {start} to {end} does not lie in {len_bytes} bytes of data"
            ),
            Self::TooManyBuffers { descriptors, max } => write!(
                f,
                "the request takes {descriptors} descriptors, {max} is the most: use fewer buffers"
            ),
            Self::UnfitAlgorithm { algorithm } => {
                write!(
                    f,
                    "{algorithm:?} has no such form: use another of its requests"
                )
            }
            Self::QueueFull => f.write_str("every slot of the queue is taken: wait for one"),
            Self::TooManySessions { max } => {
                write!(
                    f,
                    "all {max} sessions are taken: close one, or ask for more at set-up"
                )
            }
            Self::Refused(refusal) => refusal.fmt(f),
            Self::TagMismatch => f.write_str("the tag is not that of the data"),
            Self::ShortAnswer {
                written_bytes,
                expected_bytes,
            } => {
                write!(
                    f,
                    "the device wrote {written_bytes} bytes of {expected_bytes}"
                )
            }
            Self::InvalidAnswer => f.write_str("the device's answer cannot be one to the request"),
            Self::InvalidSignature => f.write_str("the signature is not that of digest and key"),
            Self::NotBelowModulus { field } => {
                write!(f, "{field} is 0, or not smaller than the key's modulus")
            }
            Self::InvalidKey(fault) => write!(f, "the key cannot be used: {fault}"),
            Self::Broken(breakage) => write!(f, "the device is broken: {breakage}; reset it"),
            Self::NoDevice => f.write_str("no device that is up serves this: add or recover one"),
            Self::ShutDown => {
                f.write_str("the driver was shut down or the device reset: open a new session")
            }
            Self::NoSuchVector { entry, used } => {
                write!(
                    f,
                    "MSI-X entry {} is not used, only the first {used}",
                    entry.0
                )
            }
            Self::Resetting => f.write_str("another caller is changing the device: try again"),
            Self::GaveUp => f.write_str("the caller stopped waiting"),
        }
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

impl From<KeyFault> for Error {
    fn from(fault: KeyFault) -> Self {
        Self::InvalidKey(fault)
    }
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
            Self::Scalar => "its scalar is 0 or has not the curve's length",
            Self::Point => "it is not an uncompressed point of the curve's length",
        })
    }
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

impl fmt::Display for Breakage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone => f.write_str("its registers read all ones, as if it had been removed"),
            Self::NeedsReset => f.write_str("it set DEVICE_NEEDS_RESET"),
            Self::StatusLost => f.write_str("it left DRIVER_OK"),
            Self::UsedIndexJump { advance, in_flight } => {
                write!(
                    f,
                    "its used index went {advance} forward with {in_flight} in flight"
                )
            }
            Self::BadUsedId { id } => write!(f, "it used id {id}, which is not in flight"),
        }
    }
}

impl core::error::Error for Error {}

/// A failed request, with what the caller had put into it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Failed<T> {
    /// What went wrong.
    pub error: Error,
    /// What the caller gave. `None` when the device may still touch it: then it stays with the
    /// driver until the device has been reset.
    pub given: Option<T>,
}

impl<T> Failed<T> {
    /// Puts the outcome of a request and what came back of its buffers together.
    pub(crate) fn judge(outcome: Result<(), Error>, given: Option<T>) -> Result<T, Self> {
        match (outcome, given) {
            (Ok(()), Some(given)) => Ok(given),
            (Ok(()), None) => Err(Self {
                error: Error::ShutDown,
                given: None,
            }),
            (Err(error), given) => Err(Self { error, given }),
        }
    }
}

impl<T> fmt::Display for Failed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<T: fmt::Debug> core::error::Error for Failed<T> {}

impl<T> From<Failed<T>> for Error {
    fn from(failed: Failed<T>) -> Self {
        failed.error
    }
}
