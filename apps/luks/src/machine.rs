//! What this library needs of a machine: a disk, and somebody who deciphers.

use core::future::Future;

/// Bytes of a sector as disks count them, and as tweaks do.
pub const SECTOR_LEN: usize = 512;

/// A disk, and somebody who deciphers.
pub trait Machine: Sync {
    /// What goes wrong with either.
    type Error;

    /// Returns the disk's length.
    fn len_bytes(&self) -> u64;

    /// Fills `sectors`, which is a whole number of sectors of [`SECTOR_LEN`] bytes, with what the
    /// disk has from `first_sector` on. It is never asked for what is behind the disk's end.
    fn read(
        &self,
        first_sector: u64,
        sectors: &mut [u8],
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Deciphers sectors of [`SECTOR_LEN`] bytes in place by AES-XTS, with `key`, and with the
    /// sectors' numbers as tweaks: the first has 0.
    fn decipher(
        &self,
        key: &[u8],
        sectors: &mut [u8],
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;
}
