//! A container without the crypto device: AES in software, by `xts-mode`. What the device is
//! measured against, and what its answers are compared with.
//!
//! The kernel saves no vector registers, so this is AES without the CPU's own instructions for it.

use aes::{Aes128, Aes256, cipher::KeyInit};
use common::disk::{Buffer, Disk, MOST_LEN};
use luks::{
    header::Segment,
    machine::{Machine, SECTOR_LEN},
    volume::VolumeError,
};
use virtio_crypto::Direction;
use xts_mode::{Xts128, get_tweak_default};

use super::ending::expect;

/// AES-XTS with a key of one of its two lengths.
enum Xts {
    Aes128(Xts128<Aes128>),
    Aes256(Xts128<Aes256>),
}

impl Xts {
    fn new(key: &[u8]) -> Self {
        let (first, second) = key.split_at(key.len() / 2);
        // A header's keys have one of these lengths.
        match (
            Aes128::new_from_slice(first),
            Aes128::new_from_slice(second),
        ) {
            (Ok(first), Ok(second)) => Self::Aes128(Xts128::new(first, second)),
            _ => {
                let half = |half| expect(Aes256::new_from_slice(half));
                Self::Aes256(Xts128::new(half(first), half(second)))
            }
        }
    }

    fn process(&self, direction: Direction, tweak: u128, sector: &mut [u8]) {
        let tweak = get_tweak_default(tweak);
        match (self, direction) {
            (Self::Aes128(xts), Direction::Encrypt) => xts.encrypt_sector(sector, tweak),
            (Self::Aes128(xts), Direction::Decrypt) => xts.decrypt_sector(sector, tweak),
            (Self::Aes256(xts), Direction::Encrypt) => xts.encrypt_sector(sector, tweak),
            (Self::Aes256(xts), Direction::Decrypt) => xts.decrypt_sector(sector, tweak),
        }
    }
}

/// A disk whose key material software deciphers.
pub struct SoftwareSource(pub Disk);

impl Machine for SoftwareSource {
    type Error = VolumeError;

    fn len_bytes(&self) -> u64 {
        self.0.sectors() * SECTOR_LEN as u64
    }

    async fn read(&self, first_sector: u64, sectors: &mut [u8]) -> Result<(), VolumeError> {
        read_disk(self.0, first_sector, sectors).await
    }

    async fn decipher(&self, key: &[u8], sectors: &mut [u8]) -> Result<(), VolumeError> {
        let xts = Xts::new(key);
        for (number, sector) in (0..).zip(sectors.chunks_mut(SECTOR_LEN)) {
            xts.process(Direction::Decrypt, number, sector);
        }
        Ok(())
    }
}

/// A volume whose sectors software ciphers.
pub struct SoftwareVolume {
    disk: Disk,
    segment: Segment,
    xts: Xts,
}

impl SoftwareVolume {
    /// Makes it of what a header says and a key.
    pub fn new(disk: Disk, segment: Segment, key: &[u8]) -> Self {
        let xts = Xts::new(key);
        Self { disk, segment, xts }
    }

    /// Fills `bytes` with the sectors from `first_sector` on.
    pub async fn read(&self, first_sector: u64, bytes: &mut [u8]) -> Result<(), VolumeError> {
        read_disk(self.disk, self.disk_sector(first_sector), bytes).await?;
        self.process(Direction::Decrypt, first_sector, bytes);
        Ok(())
    }

    /// Writes `bytes`, which are enciphered in place, to the sectors from `first_sector` on.
    pub async fn write(&self, first_sector: u64, bytes: &mut [u8]) -> Result<(), VolumeError> {
        self.process(Direction::Encrypt, first_sector, bytes);
        let mut sector = self.disk_sector(first_sector);
        for piece in bytes.chunks(MOST_LEN) {
            let buffer = Buffer::from_slice(piece).map_err(VolumeError::Crypto)?;
            let written = self.disk.write(sector, buffer).await;
            written.map_err(|failed| VolumeError::Disk(failed.error))?;
            sector += (piece.len() / SECTOR_LEN) as u64;
        }
        Ok(())
    }

    fn step(&self) -> u64 {
        (self.segment.sector_len_bytes / SECTOR_LEN) as u64
    }

    fn disk_sector(&self, sector: u64) -> u64 {
        self.segment.start_bytes / SECTOR_LEN as u64 + sector * self.step()
    }

    fn process(&self, direction: Direction, first_sector: u64, bytes: &mut [u8]) {
        let first_tweak = self.segment.first_tweak + first_sector * self.step();
        let tweaks = (u128::from(first_tweak)..).step_by(self.step() as usize);
        let sectors = bytes.chunks_mut(self.segment.sector_len_bytes);
        for (tweak, sector) in tweaks.zip(sectors) {
            self.xts.process(direction, tweak, sector);
        }
    }
}

async fn read_disk(disk: Disk, first_sector: u64, bytes: &mut [u8]) -> Result<(), VolumeError> {
    let mut sector = first_sector;
    for piece in bytes.chunks_mut(MOST_LEN) {
        let buffer = Buffer::new(piece.len()).map_err(VolumeError::Crypto)?;
        let read = disk.read(sector, buffer).await;
        let buffer = read.map_err(|failed| VolumeError::Disk(failed.error))?;
        piece.copy_from_slice(&buffer);
        sector += (piece.len() / SECTOR_LEN) as u64;
    }
    Ok(())
}
