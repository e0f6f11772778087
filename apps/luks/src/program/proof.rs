//! Writes what the host knows how to check.

use alloc::{vec, vec::Vec};

use kernel::{command_line, println};
use luks::volume::{Volume, VolumeError};

use super::ending::fail;

/// Bytes of a volume: where they begin, and how many there are.
#[derive(Clone, Copy, Debug)]
pub struct Bytes {
    at: u64,
    len: usize,
}

/// Returns what is written at an offset of the volume: different in each sector, and in each byte
/// of it.
pub fn byte_at(offset: u64) -> u8 {
    (offset / 512 * 31 + offset) as u8
}

/// Returns what the word `write=` asks for.
pub fn ranges() -> Result<Vec<Bytes>, &'static str> {
    let Some(text) = command_line::value("write") else {
        return Ok(Vec::new());
    };
    let range = |text: &str| {
        let (at, len) = text.split_once(':')?;
        let (at, len): (u64, usize) = (at.parse().ok()?, len.parse().ok()?);
        at.checked_add(len as u64)?;
        // How long the volume's sectors are its header says; 512 bytes is the least.
        let is_whole = at.is_multiple_of(512) && len.is_multiple_of(512);
        (is_whole && len <= 8 << 20).then_some(Bytes { at, len })
    };
    let ranges = text.split(',').map(range).collect::<Option<_>>();
    ranges.ok_or("write= takes AT:LEN,.. in bytes, whole sectors, each LEN up to 8 MiB")
}

/// Writes them, has the disk keep them, and reads them again.
pub async fn write(volume: &Volume, ranges: &[Bytes]) -> Result<(), VolumeError> {
    let sector_len = volume.sector_len() as u64;
    // All of them before the first is written.
    for Bytes { at, len } in ranges {
        let first_sector = at / sector_len;
        // What begins within a sector is no whole one.
        let len_bytes = match at.is_multiple_of(sector_len) {
            true => *len,
            false => 0,
        };
        volume.check(first_sector, len_bytes)?;
    }
    for Bytes { at, len } in ranges {
        let bytes: Vec<u8> = (*at..at + *len as u64).map(byte_at).collect();
        volume.write(at / sector_len, &bytes).await?;
    }
    volume.flush().await?;
    for Bytes { at, len } in ranges {
        let mut bytes = vec![0; *len];
        volume.read(at / sector_len, &mut bytes).await?;
        let wrong = (*at..)
            .zip(&bytes)
            .find(|(at, byte)| byte_at(*at) != **byte);
        if let Some((at, _)) = wrong {
            fail(format_args!("byte {at} is not what was written"));
        }
        println!("luks: wrote at={at} bytes={len}");
    }
    Ok(())
}
