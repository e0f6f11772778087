//! A disk whose sectors are encrypted with AES-XTS by the device: each sector is a data unit with
//! its number as the tweak, each a request of its own, all of a transfer published with one kick.
//!
//! A write of part of a sector reads, decrypts, changes, encrypts and writes the whole of it.

extern crate alloc;

use alloc::{vec, vec::Vec};

use virtio_crypto::{Cipher, CipherAlgorithm, Device, Direction, Error, Platform};
use zeroize::Zeroizing;

/// Bytes of a sector.
pub const SECTOR_LEN: usize = 512;

/// What there is of a disk: sectors by number.
pub trait Disk {
    /// Reads whole sectors from `first` on.
    fn read(&self, first: u64, sectors: &mut [u8]);
    /// Writes whole sectors from `first` on.
    fn write(&mut self, first: u64, sectors: &[u8]);
}

/// An encrypted disk. The device holds the key.
#[derive(Debug)]
pub struct EncryptedDisk<P: Platform, D> {
    disk: D,
    encrypt: Cipher<P>,
    decrypt: Cipher<P>,
}

impl<P: Platform, D: Disk> EncryptedDisk<P, D> {
    /// Opens a session for each direction, with a key of 32 or 64 bytes (two keys of AES).
    pub async fn new(device: &Device<P>, disk: D, key: &[u8]) -> Result<Self, Error> {
        let open = |direction| Cipher::open(device, CipherAlgorithm::AesXts, direction, key);
        Ok(Self {
            disk,
            encrypt: open(Direction::Encrypt).await?,
            decrypt: open(Direction::Decrypt).await?,
        })
    }

    /// Reads bytes from anywhere.
    pub async fn read(&self, offset: u64, bytes: &mut [u8]) -> Result<(), Error> {
        let (_, at, sectors) = self.load(offset, bytes.len()).await?;
        bytes.copy_from_slice(&sectors[at..at + bytes.len()]);
        Ok(())
    }

    /// Writes bytes to anywhere. The disk is written only once every sector is encrypted.
    pub async fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        let (first, at, mut sectors) = self.load(offset, bytes.len()).await?;
        sectors[at..at + bytes.len()].copy_from_slice(bytes);
        self.encrypt
            .process_units_slice(first, SECTOR_LEN, &mut sectors)
            .await?;
        self.disk.write(first, &sectors);
        Ok(())
    }

    /// Decrypts the sectors that hold these bytes: the first's number, where in them the bytes
    /// begin, and the sectors.
    async fn load(
        &self,
        offset: u64,
        len_bytes: usize,
    ) -> Result<(u64, usize, Zeroizing<Vec<u8>>), Error> {
        let (first, at) = (
            offset / SECTOR_LEN as u64,
            (offset % SECTOR_LEN as u64) as usize,
        );
        let count = (at + len_bytes).div_ceil(SECTOR_LEN).max(1);
        let mut sectors = Zeroizing::new(vec![0; count * SECTOR_LEN]);
        self.disk.read(first, &mut sectors);
        self.decrypt
            .process_units_slice(first, SECTOR_LEN, &mut sectors)
            .await?;
        Ok((first, at, sectors))
    }

    /// Ends both sessions, and gives the disk back.
    pub async fn close(self) -> Result<D, Error> {
        self.encrypt.close().await?;
        self.decrypt.close().await?;
        Ok(self.disk)
    }
}

#[cfg(not(target_os = "none"))]
fn main() {
    std::println!(
        "A host has no virtio-crypto device of its own: a kernel with a `Platform` runs this \
         (`EncryptedDisk::new`, then `read` and `write`), as the driver's tests do on a fake \
         device and the kernel's in QEMU: ./run.sh test disk_sectors"
    );
}
