//! What may be wrong with a container, a passphrase, or the machine that reads it.

use alloc::string::String;
use core::fmt;

/// Why a header, or a key slot of it, is not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// The disk ends before something that it should hold.
    TooShort {
        /// What that is.
        what: &'static str,
        /// Where that ends, in bytes.
        needs_bytes: u64,
        /// Where the disk ends, in bytes.
        has_bytes: u64,
    },
    /// There is no LUKS header.
    NotLuks {
        /// What there is instead.
        found: Found,
    },
    /// A version of LUKS that nobody knows yet.
    UnknownVersion {
        /// The version that the header gives.
        version: u16,
    },
    /// Something that LUKS has, but this library does not.
    Unsupported {
        /// What kind of thing.
        what: &'static str,
        /// Its name in the header.
        name: String,
    },
    /// A number that makes no sense, or is more than is dared.
    OutOfRange {
        /// The number's name.
        field: &'static str,
        /// What it is.
        value: u64,
        /// What it may be at least.
        least: u64,
        /// What it may be at most.
        most: u64,
    },
    /// A field that cannot be read as what it should be, or does not fit the others.
    Damaged {
        /// What is wrong.
        what: &'static str,
    },
    /// No key slot is in use: nothing can open the container any more.
    NoKeySlot,
    /// There is no memory for it.
    OutOfMemory {
        /// What asks for memory.
        what: &'static str,
        /// How much it asks for.
        needed_kib: u64,
    },
}

/// What is at the start of a disk that has no LUKS header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Found {
    /// Nothing but zeros.
    Zeros,
    /// An image of this format, by its first bytes; or a file system.
    Format(&'static str),
    /// Something else.
    Unknown,
}

/// Why a container was not opened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error<E> {
    /// The disk or the cipher has failed.
    Machine(E),
    /// The header is not accepted.
    Header(Refusal),
    /// The passphrase opens none of the key slots that could be tried.
    WrongPassphrase {
        /// How many were tried.
        tried: usize,
        /// One that could not, by its number, and why.
        not_tried: Option<(usize, Refusal)>,
    },
}

impl<E> From<Refusal> for Error<E> {
    fn from(refusal: Refusal) -> Self {
        Self::Header(refusal)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooShort {
                what,
                needs_bytes,
                has_bytes,
            } => write!(
                f,
                "the disk ends at byte {has_bytes}, {what} at byte {needs_bytes}"
            ),
            Self::NotLuks { found } => write!(f, "no LUKS header: found {found}"),
            Self::UnknownVersion { version } => {
                write!(f, "LUKS version {version}: versions 1 and 2 are known")
            }
            Self::Unsupported { what, name } => write!(f, "{what} `{name}` is not supported"),
            Self::OutOfRange {
                field,
                value,
                least,
                most,
            } => write!(f, "{field} is {value}: {least} to {most} are accepted"),
            Self::Damaged { what } => write!(f, "damaged header: {what}"),
            Self::NoKeySlot => write!(f, "no key slot is in use"),
            Self::OutOfMemory { what, needed_kib } => {
                write!(f, "no memory for the {needed_kib} KiB that {what} asks for")
            }
        }
    }
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Zeros => write!(f, "zeros"),
            Self::Format(name) => write!(f, "{name}"),
            Self::Unknown => write!(f, "something else"),
        }
    }
}

impl<E: fmt::Display> fmt::Display for Error<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Machine(error) => error.fmt(f),
            Self::Header(refusal) => refusal.fmt(f),
            Self::WrongPassphrase { tried, not_tried } => {
                write!(f, "wrong passphrase: it opens none of {tried} key slots")?;
                match not_tried {
                    Some((slot, refusal)) => write!(f, "; slot {slot} was not tried: {refusal}"),
                    None => Ok(()),
                }
            }
        }
    }
}

impl core::error::Error for Refusal {}
impl<E: fmt::Debug + fmt::Display> core::error::Error for Error<E> {}
