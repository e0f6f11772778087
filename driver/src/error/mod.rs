//! What can go wrong, and what to do about it.
//!
//! For callers, who get an [`Error`] from everything, and for every room of the driver. The one
//! rule: an error says what the caller can do next, and brings back the buffers that the device
//! does not have ([`Failed`]).

mod check;
mod reason;
mod transport;

use core::fmt;

pub(crate) use self::check::{
    check_at_least, check_at_most, check_countable, check_exact_len, check_one_of_lens, invalid_len,
};
pub use self::{
    reason::{DeviceFault, KeyFault, Requirement},
    transport::TransportError,
};
use crate::{
    index::{MsixEntry, QueueIndex},
    wire::{CipherAlgorithm, Refusal},
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
    /// The device says that its crypto hardware is not ready (`VIRTIO_CRYPTO_S_HW_READY` is 0): at
    /// set-up, or for now ([`Options::when_not_ready`](crate::Options::when_not_ready)).
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
    /// The heap has no room; nothing was sent.
    OutOfMemory {
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
    /// Sessions are open, being opened or still closing, where none may be.
    SessionsOpen {
        /// How many.
        open: usize,
    },
    /// The device refused the request.
    Refused(Refusal),
    /// A tag does not belong to data and key. The driver has compared them (MAC) or the device
    /// (AEAD). For a signature with a public key the error is
    /// [`InvalidSignature`](Self::InvalidSignature); [`Refused`](Self::Refused) never says that
    /// something is not authentic.
    TagMismatch,
    /// The device answered with fewer bytes than the request calls for.
    ShortAnswer {
        /// Bytes that it says it wrote.
        written_bytes: u32,
        /// Bytes that it had to write.
        expected_bytes: u32,
    },
    /// The device's answer cannot be one to the request, whatever its status says; nothing of it
    /// was used.
    InvalidAnswer,
    /// A signature does not belong to the digest and the key.
    InvalidSignature,
    /// The device made a signature that does not belong to the digest and the key. It has been
    /// wiped, and is for nobody to see: one such is enough to find an RSA key. Sign elsewhere, and
    /// take the key away from the device.
    FaultySignature,
    /// A number is 0, or not smaller than the key's modulus; nothing was sent.
    NotBelowModulus {
        /// Which number.
        field: &'static str,
    },
    /// A key cannot be used; nothing was sent.
    InvalidKey(KeyFault),
    /// The device broke the rules or asks for a reset; every request in flight has ended.
    Broken(DeviceFault),
    /// The pool has no device that serves this, or none that is up.
    NoDevice,
    /// The driver has been shut down, or the device reset, since this was made.
    ShutDown,
    /// The queue of the request was reset with the request in flight, or a moment before it was
    /// sent: send it again. Of the end of a session: the device may still have a request of it, so
    /// it stays until [`recover`](crate::Device::recover).
    QueueReset,
    /// The queue has been reset by itself as often as it can be until the device is recovered.
    TooManyQueueResets {
        /// How often that is.
        max: usize,
    },
    /// The driver does not use that entry of the MSI-X table.
    NoSuchVector {
        /// The entry.
        entry: MsixEntry,
        /// How many entries it uses, from 0 on.
        used: usize,
    },
    /// Another caller is shutting the device down, setting it up anew, moving a vector or ending
    /// sessions of an owner before.
    Resetting,
    /// The device, or a queue of it, was reset so often with requests in flight that too much
    /// memory is given up for good. After [`recover`](crate::Device::recover) the device stays shut
    /// down; after [`reset_queue`](crate::Device::reset_queue) nothing has changed.
    TooMuchGivenUp {
        /// How much that is.
        given_up_bytes: u64,
        /// How much it may be
        /// ([`Options::given_up_limit_bytes`](crate::Options::given_up_limit_bytes)).
        limit_bytes: u64,
    },
    /// The caller stopped waiting; or, of a device,
    /// [`end_sessions_before`](crate::Device::end_sessions_before) was dropped before its end.
    GaveUp,
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
            Self::OutOfMemory { len_bytes } => {
                write!(f, "no heap memory for {len_bytes} bytes: send less at once")
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
            Self::SessionsOpen { open } => {
                write!(
                    f,
                    "{open} sessions are open: do this before any is, or close them"
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
            Self::FaultySignature => f.write_str(
                "the device made a signature that does not verify: use the key elsewhere, not \
                 there",
            ),
            Self::NotBelowModulus { field } => {
                write!(f, "{field} is 0, or not smaller than the key's modulus")
            }
            Self::InvalidKey(fault) => write!(f, "the key cannot be used: {fault}"),
            Self::Broken(breakage) => write!(f, "the device is broken: {breakage}; reset it"),
            Self::NoDevice => f.write_str("no device that is up serves this: add or recover one"),
            Self::ShutDown => {
                f.write_str("the driver was shut down or the device reset: open a new session")
            }
            Self::QueueReset => f.write_str("the queue was reset meanwhile: send it again"),
            Self::TooManyQueueResets { max } => {
                write!(f, "the queue was reset {max} times: recover the device")
            }
            Self::NoSuchVector { entry, used } => {
                write!(
                    f,
                    "MSI-X entry {} is not used, only the first {used}",
                    entry.0
                )
            }
            Self::Resetting => f.write_str("another caller is changing the device: try again"),
            Self::TooMuchGivenUp {
                given_up_bytes,
                limit_bytes,
            } => write!(
                f,
                "{given_up_bytes} bytes are given up to a device that keeps breaking, \
                 {limit_bytes} may be: replace it, or set it up anew with a higher limit"
            ),
            Self::GaveUp => f.write_str("the caller stopped waiting"),
        }
    }
}

impl From<KeyFault> for Error {
    fn from(fault: KeyFault) -> Self {
        Self::InvalidKey(fault)
    }
}

impl core::error::Error for Error {}

/// A failed request, with what the caller had put into it.
#[non_exhaustive]
pub struct Failed<T> {
    /// What went wrong.
    pub error: Error,
    /// What the caller gave. `None` when the device may still touch it: then it stays with the
    /// driver until the device has been reset.
    pub returned: Option<T>,
}

impl<T> Failed<T> {
    /// Returns what came back of a request's buffers, or its error with them.
    pub(crate) fn give_back(outcome: Result<(), Error>, returned: Option<T>) -> Result<T, Self> {
        match (outcome, returned) {
            (Ok(()), Some(returned)) => Ok(returned),
            (Ok(()), None) => Err(Self {
                error: Error::ShutDown,
                returned: None,
            }),
            (Err(error), returned) => Err(Self { error, returned }),
        }
    }
}

/// Tells whether there is something in it, not what.
impl<T> fmt::Debug for Failed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Failed")
            .field("error", &self.error)
            .field("has_returned", &self.returned.is_some())
            .finish()
    }
}

impl<T> fmt::Display for Failed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<T> core::error::Error for Failed<T> {}

impl<T> From<Failed<T>> for Error {
    fn from(failed: Failed<T>) -> Self {
        failed.error
    }
}
