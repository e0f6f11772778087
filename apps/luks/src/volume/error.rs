//! What may be done with a volume, and why it fails.

use core::fmt;

use common::disk::DiskError;

/// What may be done with a volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Nothing is ever written.
    Read,
    /// It may be written, too.
    Write,
}

/// Why a volume was not read or written, or a container not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum VolumeError {
    /// The disk has failed.
    Disk(DiskError),
    /// The crypto device has failed, and was not recovered in time.
    Crypto(virtio_crypto::Error),
    /// Nothing, no whole number of sectors, or not in the volume; nothing was read or written.
    Range {
        /// The first sector.
        first_sector: u64,
        /// Bytes from there on.
        len_bytes: usize,
    },
    /// The volume was opened for reading; nothing was written.
    ReadOnly,
}

impl fmt::Display for VolumeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disk(error) => error.fmt(f),
            Self::Crypto(error) => write!(f, "virtio-crypto: {error}"),
            Self::Range {
                first_sector,
                len_bytes,
            } => write!(
                f,
                "{len_bytes} bytes from sector {first_sector} on are no sectors of the volume"
            ),
            Self::ReadOnly => f.write_str("the volume is open for reading alone"),
        }
    }
}

impl core::error::Error for VolumeError {}
