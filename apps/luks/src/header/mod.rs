//! Headers of either version: which it is, and what it says.

mod found;
mod luks1;
mod luks2;
mod model;

use self::model::{FIRST_LEN, MAGIC};
use crate::{
    error::{Error, Found, Refusal},
    fields::u16_at,
    kdf::Limits,
    machine::{Machine, SECTOR_LEN},
};

pub use self::{
    found::found_in,
    model::{Header, HeaderCopy, KeySlot, Segment, Version, VolumeDigest},
};

/// Reads the header of a disk and checks it.
///
/// # Errors
///
/// [`Error::Machine`] and [`Error::Header`].
pub async fn read<M: Machine>(machine: &M, limits: &Limits) -> Result<Header, Error<M::Error>> {
    let disk_len_bytes = machine.len_bytes();
    let mut first = [0; FIRST_LEN];
    let first_len = disk_len_bytes.min(FIRST_LEN as u64) as usize / SECTOR_LEN * SECTOR_LEN;
    let first = &mut first[..first_len];
    if first_len < 2 * SECTOR_LEN {
        Err(Refusal::TooShort {
            what: "a LUKS header",
            needs_bytes: 2 * SECTOR_LEN as u64,
            has_bytes: disk_len_bytes,
        })?;
    }
    machine.read(0, first).await.map_err(Error::Machine)?;
    let refusal = if !first.starts_with(MAGIC) {
        let found = found_in(first);
        // Somebody may have made something else of the disk, and have left the second copy.
        if let Found::Format(_) = found {
            Err(Refusal::NotLuks { found })?;
        }
        Refusal::NotLuks { found }
    } else {
        match u16_at(first, 6)? {
            1 => return Ok(luks1::parse(first, disk_len_bytes, limits)?),
            2 => return luks2::read(machine, limits).await,
            version => Refusal::UnknownVersion { version },
        }
    };
    luks2::read_secondary(machine, limits, refusal).await
}
