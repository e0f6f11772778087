//! Files of an encrypted disk: a tar archive in a LUKS container.

use alloc::{format, string::String, sync::Arc, vec};

use common::{disk::Disk, fw_cfg};
use https::files::{BLOCK_LEN, File, Index};
use kernel::crypto::CryptoDevice;
use luks::volume::{Access, Volume, VolumeError};

/// The file that has the container's passphrase. Without it there are no files.
const PASSPHRASE: &str = "opt/https/passphrase";

/// The files of a disk.
pub struct Files {
    volume: Volume,
    index: Index,
    /// All paths, a line each.
    list: String,
}

impl Files {
    /// Opens the first disk if the host gives a passphrase, and reads what files there are.
    ///
    /// # Errors
    ///
    /// What is wrong, in words.
    pub async fn open(device: Option<&Arc<CryptoDevice>>) -> Result<Option<Self>, String> {
        let Some(passphrase) = fw_cfg::file(PASSPHRASE) else {
            return Ok(None);
        };
        let device = device.ok_or("no virtio-crypto device to decipher the disk")?;
        let disk = Disk::open(0).map_err(|error| format!("{error}"))?;
        let opened = Volume::open(device.clone(), disk, &passphrase, Access::Read).await;
        let mut files = Self {
            volume: opened.map_err(|error| format!("{error}"))?,
            index: Index::default(),
            list: String::new(),
        };
        let volume_bytes = files.volume.sectors() * files.volume.sector_len() as u64;
        let mut header = [0; BLOCK_LEN];
        loop {
            let read = files.read(files.index.next_header(), &mut header).await;
            read.map_err(|error| format!("{error}"))?;
            let taken = files.index.take(&header, volume_bytes);
            if !taken.map_err(|fault| format!("{fault}"))? {
                let all = files.index.files().iter();
                files.list = all.map(|file| format!("{}\n", file.path)).collect();
                return Ok(Some(files));
            }
        }
    }

    /// The file of this path.
    pub fn find(&self, path: &str) -> Option<&File> {
        self.index.find(path)
    }

    /// How many files there are.
    pub fn count(&self) -> usize {
        self.index.files().len()
    }

    /// All paths, a line each; the same text for every client.
    pub fn list(&self) -> &str {
        &self.list
    }

    /// Fills `bytes` with what is in the volume from a byte on.
    ///
    /// # Errors
    ///
    /// Those of the volume.
    ///
    /// # Cancellation
    ///
    /// If the future is dropped, `bytes` are as before.
    pub async fn read(&self, offset: u64, bytes: &mut [u8]) -> Result<(), VolumeError> {
        let sector_len = self.volume.sector_len();
        let first_sector = offset / sector_len as u64;
        let skipped = (offset % sector_len as u64) as usize;
        let whole = (skipped + bytes.len()).next_multiple_of(sector_len);
        let mut sectors = vec![0; whole];
        self.volume.read(first_sector, &mut sectors).await?;
        bytes.copy_from_slice(&sectors[skipped..skipped + bytes.len()]);
        Ok(())
    }
}
