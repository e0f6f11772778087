//! A volume that is open: sectors that are enciphered on a disk, and ciphered by a crypto device.
//!
//! It is here, and not among what applications share, because that knows nothing of LUKS. It is
//! there for the kernel's target alone, because everything else in this library needs no kernel.
//!
//! ```text
//! read    disk -> memory -> crypto device, in place -> the caller's bytes
//! write   the caller's bytes -> memory -> crypto device, in place -> disk
//! ```
//!
//! A call is cut into pieces, of which several are on their way at once. Each sector of a piece is
//! a request of its own to the crypto device, and those of a piece share a kick.
//!
//! *Whole or not at all*, the one rule: a piece goes to the disk when every sector of it has been
//! enciphered, and to the caller when every sector of it has been deciphered. What it is made of is
//! still there until then, so a crypto device that is recovered meanwhile costs time and nothing
//! else.

mod error;
mod sessions;
mod source;

use alloc::{boxed::Box, sync::Arc};
use core::{fmt, num::NonZeroU32};

use common::disk::{Buffer, Disk};
use kernel::crypto::CryptoDevice;
use virtio_crypto::Direction;

use self::{
    sessions::{Cryption, Origin, Sessions},
    source::Source,
};
use crate::{
    error::Error,
    header::{self, Header},
    kdf::Limits,
    machine::SECTOR_LEN,
    opening,
    pieces::{Work, in_turn},
};

pub use self::{
    error::{Access, VolumeError},
    sessions::SECTORS_AT_ONCE,
};

/// Bytes of a piece: sectors enough for one kick, and few enough that the next one is read
/// meanwhile. At most half of [`SECTORS_AT_ONCE`].
const PIECE_LEN: usize = 64 << 10;
/// Pieces of a call on their way at once.
const AT_ONCE: usize = 4;

/// A container that is open.
pub struct Volume {
    disk: Disk,
    sessions: Sessions,
    header: Header,
    slot: usize,
    access: Access,
}

impl Volume {
    /// Opens a container: reads its header, finds the key that `passphrase` opens, and gives it to
    /// the crypto device.
    ///
    /// The key stays in the guest's memory, too, until the volume is dropped, which wipes it: a
    /// device that is recovered has to have it again, and finding it takes seconds.
    ///
    /// # Errors
    ///
    /// Any [`Error`].
    pub async fn open(
        device: Arc<CryptoDevice>,
        disk: Disk,
        passphrase: &[u8],
        access: Access,
    ) -> Result<Self, Error<VolumeError>> {
        let source = Source::new(&device, disk);
        let header = header::read(&source, &Limits::default()).await?;
        let opened = opening::unlock(&source, &header, passphrase).await?;
        let slot = opened.slot;
        let sessions = Sessions::open(device, opened.key).await;
        let sessions = sessions.map_err(|error| Error::Machine(VolumeError::Crypto(error)))?;
        let access = match disk.is_read_only() {
            true => Access::Read,
            false => access,
        };
        Ok(Self {
            disk,
            sessions,
            header,
            slot,
            access,
        })
    }

    /// Returns what the container says of itself.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Returns the number of the key slot that was opened.
    pub fn slot(&self) -> usize {
        self.slot
    }

    /// Returns what may be done with it.
    pub fn access(&self) -> Access {
        self.access
    }

    /// Returns bytes of a sector.
    pub fn sector_len(&self) -> usize {
        self.header.segment.sector_len_bytes
    }

    /// Returns how many sectors there are.
    pub fn sectors(&self) -> u64 {
        self.header.segment.sectors()
    }

    /// Fills `bytes` with the sectors from `first_sector` on.
    ///
    /// # Errors
    ///
    /// Any [`VolumeError`] but [`VolumeError::ReadOnly`]; `bytes` are part old, part new then.
    ///
    /// # Cancellation
    ///
    /// If the future is dropped, `bytes` are part old, part new.
    pub async fn read(&self, first_sector: u64, bytes: &mut [u8]) -> Result<(), VolumeError> {
        let len = bytes.len();
        self.check(first_sector, len)?;
        let mut starts = (0..len).step_by(PIECE_LEN);
        let next = || -> Option<Work<'_, Buffer, VolumeError>> {
            let at = starts.next()?;
            let sector = first_sector + (at / self.sector_len()) as u64;
            Some(Box::pin(self.read_piece(sector, PIECE_LEN.min(len - at))))
        };
        let mut places = bytes.chunks_mut(PIECE_LEN);
        in_turn(AT_ONCE, next, |piece| {
            if let Some(place) = places.next() {
                place.copy_from_slice(&piece);
            }
        })
        .await
    }

    /// Writes `bytes` to the sectors from `first_sector` on.
    ///
    /// # Errors
    ///
    /// Any [`VolumeError`]; but for the last two kinds, some of the sectors may have been written.
    /// Each of them is old or new, as far as the disk's sectors are.
    ///
    /// # Cancellation
    ///
    /// If the future is dropped, some of the sectors may have been written, or may be yet.
    pub async fn write(&self, first_sector: u64, bytes: &[u8]) -> Result<(), VolumeError> {
        if self.access == Access::Read {
            return Err(VolumeError::ReadOnly);
        }
        self.check(first_sector, bytes.len())?;
        let mut pieces = (0..).zip(bytes.chunks(PIECE_LEN));
        let next = || -> Option<Work<'_, (), VolumeError>> {
            let (number, piece): (u64, _) = pieces.next()?;
            let sector = first_sector + number * (PIECE_LEN / self.sector_len()) as u64;
            Some(Box::pin(self.write_piece(sector, piece)))
        };
        in_turn(AT_ONCE, next, |()| ()).await
    }

    /// Has the disk keep what was written before.
    ///
    /// # Errors
    ///
    /// [`VolumeError::Disk`].
    pub async fn flush(&self) -> Result<(), VolumeError> {
        self.disk.flush().await.map_err(VolumeError::Disk)
    }

    /// Checks that these are whole sectors of the volume, as every call does by itself.
    ///
    /// # Errors
    ///
    /// [`VolumeError::Range`].
    pub fn check(&self, first_sector: u64, len_bytes: usize) -> Result<(), VolumeError> {
        let sector_len = self.sector_len();
        let is_whole = len_bytes > 0 && len_bytes.is_multiple_of(sector_len);
        let end = first_sector.checked_add((len_bytes / sector_len) as u64);
        match is_whole && end.is_some_and(|end| end <= self.sectors()) {
            true => Ok(()),
            false => Err(VolumeError::Range {
                first_sector,
                len_bytes,
            }),
        }
    }

    /// Returns where a sector of the volume is on the disk, and its cryption.
    fn place(&self, sector: u64, direction: Direction) -> (u64, Cryption) {
        let segment = &self.header.segment;
        let step = (self.sector_len() / SECTOR_LEN) as u32;
        let sectors_before = sector * u64::from(step);
        let cryption = Cryption {
            direction,
            // It has been checked that no tweak of the volume is too large.
            first_tweak: segment.first_tweak + sectors_before,
            step: NonZeroU32::new(step).unwrap_or(NonZeroU32::MIN),
            sector_len: self.sector_len(),
        };
        let start = segment.start_bytes / SECTOR_LEN as u64;
        (start + sectors_before, cryption)
    }

    async fn read_piece(&self, sector: u64, len: usize) -> Result<Buffer, VolumeError> {
        let (disk_sector, cryption) = self.place(sector, Direction::Decrypt);
        let from = Origin::Disk {
            disk: self.disk,
            sector: disk_sector,
            len,
        };
        self.sessions.process(&cryption, from).await
    }

    async fn write_piece(&self, sector: u64, bytes: &[u8]) -> Result<(), VolumeError> {
        let (disk_sector, cryption) = self.place(sector, Direction::Encrypt);
        let from = Origin::Caller(bytes);
        let buffer = self.sessions.process(&cryption, from).await?;
        match self.disk.write(disk_sector, buffer).await {
            Ok(_) => Ok(()),
            Err(failed) => Err(VolumeError::Disk(failed.error)),
        }
    }
}

impl fmt::Debug for Volume {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Volume")
            .field("header", &self.header)
            .field("slot", &self.slot)
            .field("access", &self.access)
            .finish_non_exhaustive()
    }
}
