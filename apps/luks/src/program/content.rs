//! What a volume has in it.

use alloc::vec;

use kernel::{println, time};
use luks::{
    error::Found,
    header::found_in,
    volume::{Volume, VolumeError},
};
use sha2::{Digest, Sha256};

/// Bytes that are read by a call.
const AT_ONCE: usize = 1 << 20;

/// Prints what the first sectors look like.
pub async fn describe(volume: &Volume) -> Result<(), VolumeError> {
    let sector_len = volume.sector_len();
    let len = volume.sectors().min((4096 / sector_len) as u64) as usize * sector_len;
    let mut first = vec![0; len];
    volume.read(0, &mut first).await?;
    match found_in(&first) {
        Found::Unknown => println!("luks: content=unknown"),
        found => println!("luks: content={found}"),
    }
    Ok(())
}

/// Prints the SHA-256 of the whole volume.
pub async fn hash(volume: &Volume) -> Result<(), VolumeError> {
    let sector_len = volume.sector_len();
    let at_once = (AT_ONCE / sector_len) as u64;
    let mut bytes = vec![0; AT_ONCE];
    let (mut hash, mut read_ns) = (Sha256::new(), 0);
    let mut first = 0;
    while first < volume.sectors() {
        let sectors = at_once.min(volume.sectors() - first);
        let bytes = &mut bytes[..sectors as usize * sector_len];
        let begun_ns = time::now_ns();
        volume.read(first, bytes).await?;
        read_ns += time::now_ns() - begun_ns;
        hash.update(bytes);
        first += sectors;
    }
    let len_bytes = volume.sectors() * sector_len as u64;
    // Bytes in a microsecond.
    let mb_s = len_bytes * 1000 / read_ns.max(1);
    let hash = hash.finalize();
    let half = |at: usize| {
        hash[at..]
            .iter()
            .take(16)
            .fold(0, |sum, b| sum << 8 | u128::from(*b))
    };
    let (high, low) = (half(0), half(16));
    println!("luks: bytes={len_bytes} sha256={high:032x}{low:032x} read_mb_s={mb_s}");
    Ok(())
}
