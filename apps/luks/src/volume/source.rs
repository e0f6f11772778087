//! A disk and a crypto device, as the library opens containers on.

use alloc::sync::Arc;

use common::disk::{Buffer, Disk};
use kernel::crypto::CryptoDevice;
use virtio_crypto::{Cipher, CipherAlgorithm, Direction, Error};

use super::{error::VolumeError, sessions::Patience};
use crate::machine::{Machine, SECTOR_LEN};

/// Bytes that are read at once.
const READ_LEN: usize = 256 << 10;

/// A disk and a crypto device.
pub struct Source<'d> {
    device: &'d Arc<CryptoDevice>,
    disk: Disk,
}

impl<'d> Source<'d> {
    /// Puts the two together.
    pub fn new(device: &'d Arc<CryptoDevice>, disk: Disk) -> Self {
        Self { device, disk }
    }

    async fn try_decipher(&self, key: &[u8], sectors: &mut [u8]) -> Result<(), Error> {
        let algorithm = CipherAlgorithm::AesXts;
        let cipher = Cipher::open(self.device, algorithm, Direction::Decrypt, key).await?;
        cipher.process_units_slice(0, SECTOR_LEN, sectors).await?;
        // However it ends: what is deciphered once must not be twice.
        let _ = cipher.close().await;
        Ok(())
    }
}

impl Machine for Source<'_> {
    type Error = VolumeError;

    fn len_bytes(&self) -> u64 {
        self.disk.sectors().saturating_mul(SECTOR_LEN as u64)
    }

    async fn read(&self, first_sector: u64, sectors: &mut [u8]) -> Result<(), VolumeError> {
        let mut sector = first_sector;
        for piece in sectors.chunks_mut(READ_LEN) {
            let buffer = Buffer::new(piece.len()).map_err(VolumeError::Crypto)?;
            let read = self.disk.read(sector, buffer).await;
            let buffer = read.map_err(|failed| VolumeError::Disk(failed.error))?;
            piece.copy_from_slice(&buffer);
            sector += (piece.len() / SECTOR_LEN) as u64;
        }
        Ok(())
    }

    async fn decipher(&self, key: &[u8], sectors: &mut [u8]) -> Result<(), VolumeError> {
        let mut patience = Patience::default();
        loop {
            // All of them are deciphered, or none is.
            match self.try_decipher(key, sectors).await {
                Ok(()) => return Ok(()),
                Err(error) => patience.wait(error).await.map_err(VolumeError::Crypto)?,
            }
        }
    }
}
