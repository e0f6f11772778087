//! What a header says, once it has been checked, and the checks that both versions share.
//!
//! The one rule: a number that is in here has been checked against its bounds and the disk.

use alloc::{format, string::String, vec::Vec};
use core::fmt;

use crate::{error::Refusal, hash::Hash, kdf::Kdf, machine::SECTOR_LEN};

/// What a header of either version, or the first copy of one, begins with.
pub const MAGIC: &[u8; 6] = b"LUKS\xba\xbe";
/// Stripes of key material; nobody makes more.
pub const MOST_STRIPES: u64 = 4000;
/// What is read first: the binary header of LUKS2, or more than all of LUKS1's.
pub const FIRST_LEN: usize = 4096;

/// Which of the two formats it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// LUKS1.
    Luks1,
    /// LUKS2.
    Luks2,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = match self {
            Self::Luks1 => 1,
            Self::Luks2 => 2,
        };
        number.fmt(f)
    }
}

/// Which copy of the header it is: LUKS2 keeps two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderCopy {
    /// The one at the start of the disk.
    Primary,
    /// The one behind it.
    Secondary,
}

impl fmt::Display for HeaderCopy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Primary => "primary",
            Self::Secondary => "secondary",
        };
        name.fmt(f)
    }
}

/// Where the enciphered sectors lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Segment {
    /// The first byte on the disk.
    pub start_bytes: u64,
    /// How many bytes there are.
    pub len_bytes: u64,
    /// Bytes of a sector, each of which is enciphered by itself.
    pub sector_len_bytes: usize,
    /// The tweak of the first sector. Tweaks count in units of [`SECTOR_LEN`], whatever the
    /// sectors' length is.
    pub first_tweak: u64,
}

impl Segment {
    /// Checks where it lies; without a length, it is the rest of the disk.
    pub(super) fn new(
        start_bytes: u64,
        len_bytes: Option<u64>,
        sector_len_bytes: u64,
        first_tweak: u64,
        disk_len_bytes: u64,
    ) -> Result<Self, Refusal> {
        let least_bytes = len_bytes.unwrap_or(sector_len_bytes);
        let end_bytes = start_bytes.checked_add(least_bytes);
        let too_short = |needs_bytes| Refusal::TooShort {
            what: "the volume",
            needs_bytes,
            has_bytes: disk_len_bytes,
        };
        let is_there = |end: &u64| *end <= disk_len_bytes;
        end_bytes
            .filter(is_there)
            .ok_or(too_short(end_bytes.unwrap_or(u64::MAX)))?;
        let rest_bytes = disk_len_bytes - start_bytes;
        let len_bytes = len_bytes.unwrap_or(rest_bytes - rest_bytes % sector_len_bytes);
        if len_bytes == 0 {
            return Err(Refusal::Damaged {
                what: "a volume without sectors",
            });
        }
        if first_tweak
            .checked_add(len_bytes / SECTOR_LEN as u64)
            .is_none()
        {
            return Err(Refusal::Damaged {
                what: "more sectors than tweaks",
            });
        }
        Ok(Self {
            start_bytes,
            len_bytes,
            sector_len_bytes: sector_len_bytes as usize,
            first_tweak,
        })
    }

    /// Returns how many sectors there are.
    pub fn sectors(&self) -> u64 {
        self.len_bytes / self.sector_len_bytes as u64
    }
}

/// A copy of the volume's key, enciphered with what becomes of a passphrase.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeySlot {
    /// What becomes of the passphrase.
    pub kdf: Kdf,
    /// Bytes of the volume's key.
    pub key_len_bytes: usize,
    /// Bytes of the key that the key material is enciphered with.
    pub area_key_len_bytes: usize,
    /// The first sector of the key material, on the disk.
    pub first_sector: u64,
    /// Into how many stripes the key is split.
    pub stripes: usize,
    /// By what it is split.
    pub hash: Hash,
}

impl KeySlot {
    /// Returns how many sectors the key material takes.
    pub fn sectors(&self) -> usize {
        (self.key_len_bytes * self.stripes).div_ceil(SECTOR_LEN)
    }

    /// Returns the byte behind the key material.
    fn end_bytes(&self) -> u64 {
        let len = (self.sectors() * SECTOR_LEN) as u64;
        self.first_sector
            .saturating_mul(SECTOR_LEN as u64)
            .saturating_add(len)
    }

    /// Checks that the key material is on the disk.
    pub(super) fn check_disk(self, disk_len_bytes: u64) -> Result<Self, Refusal> {
        let needs_bytes = self.end_bytes();
        match needs_bytes <= disk_len_bytes {
            true => Ok(self),
            false => Err(Refusal::TooShort {
                what: "a key slot",
                needs_bytes,
                has_bytes: disk_len_bytes,
            }),
        }
    }
}

/// What tells that a key is the volume's.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct VolumeDigest {
    /// What becomes of the key.
    pub kdf: Kdf,
    /// What has to become of it.
    pub expected: Vec<u8>,
}

/// A header that has been checked.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Header {
    /// Which format it has.
    pub version: Version,
    /// The container's name that no other has.
    pub uuid: String,
    /// The name that its owner gave it; empty without one.
    pub label: String,
    /// Which copy was read.
    pub copy: HeaderCopy,
    /// Which copy could not be, and why.
    pub damaged: Option<(HeaderCopy, Refusal)>,
    /// Where the enciphered sectors are.
    pub segment: Segment,
    /// What tells that a key is right.
    pub digest: VolumeDigest,
    /// Key slots in use by their numbers, in the order in which they are tried; or why one cannot
    /// be.
    pub slots: Vec<(usize, Result<KeySlot, Refusal>)>,
}

/// Returns the length of a key in bytes: those of AES-XTS.
pub fn key_len(value: u64) -> Result<usize, Refusal> {
    match value {
        32 => Ok(32),
        64 => Ok(64),
        _ => Err(Refusal::Unsupported {
            what: "key length",
            name: format!("{value} bytes"),
        }),
    }
}

/// Checks the name of a cipher.
pub fn check_cipher(name: &str) -> Result<(), Refusal> {
    match name {
        "aes-xts-plain64" => Ok(()),
        _ => Err(Refusal::Unsupported {
            what: "cipher",
            name: name.into(),
        }),
    }
}
