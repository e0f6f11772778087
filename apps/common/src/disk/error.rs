//! What requests carry, and why they fail.

use core::fmt;

use kernel::platform::KernelPlatform;
use virtio_crypto::DmaBuffer;

/// Bytes of a sector.
pub const SECTOR_LEN: usize = 512;
/// Most bytes of a request.
pub const MOST_LEN: usize = 1 << 20;
/// How long a request may take; a disk that takes longer is as good as gone.
pub const LIMIT_NS: u64 = 30_000_000_000;

/// Memory that disks and crypto devices reach.
pub type Buffer = DmaBuffer<KernelPlatform>;

/// Why a request failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DiskError {
    /// Nothing, or no whole number of sectors, or more than [`MOST_LEN`]; nothing was sent.
    Length {
        /// The buffer's length.
        len_bytes: usize,
    },
    /// There are no such sectors; nothing was sent.
    BeyondEnd {
        /// The first sector that was asked for.
        first_sector: u64,
        /// Sectors of the disk.
        sectors: u64,
    },
    /// The disk cannot be written; nothing was sent.
    ReadOnly,
    /// The disk says that it has failed.
    Io,
    /// The disk says that it knows no such request.
    Unsupported,
    /// The disk did not answer in time: this request, or those before it that held all slots.
    TimedOut,
    /// The device broke the rules or asks for a reset: it is used no more.
    Broken,
}

/// A request that failed, with its buffer unless the device may still have it.
#[derive(Debug)]
pub struct Failed {
    /// Why.
    pub error: DiskError,
    /// The buffer.
    pub buffer: Option<Buffer>,
}

impl fmt::Display for DiskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length { len_bytes } => write!(
                f,
                "{len_bytes} bytes for a disk: whole sectors, up to {MOST_LEN} bytes"
            ),
            Self::BeyondEnd {
                first_sector,
                sectors,
            } => write!(
                f,
                "the disk has {sectors} sectors, and was asked for some from {first_sector} on"
            ),
            Self::ReadOnly => f.write_str("the disk cannot be written"),
            Self::Io => f.write_str("the disk has failed: I/O error"),
            Self::Unsupported => f.write_str("the disk knows no such request"),
            Self::TimedOut => write!(f, "no answer of the disk in {} s", LIMIT_NS / 1_000_000_000),
            Self::Broken => f.write_str("the disk broke the rules of its queue"),
        }
    }
}

impl core::error::Error for DiskError {}
