//! The header of LUKS2: two copies, each a binary header and a text of JSON with a checksum.
//!
//! The one rule: nothing is read of a text whose checksum is wrong.

mod metadata;

use alloc::{string::String, vec::Vec};

use super::model::{FIRST_LEN, Header, HeaderCopy, MAGIC, Version};
use crate::{
    error::{Error, Refusal},
    fields::{bytes, text, u16_at, u64_at},
    hash::{Hash, MAX_LEN},
    kdf::Limits,
    machine::{Machine, SECTOR_LEN},
};

/// What the second copy begins with.
const SECONDARY_MAGIC: &[u8; 6] = b"SKUL\xba\xbe";
/// How long a copy may be, and so where the second may begin (LUKS2, 2.2).
const LENS: [u64; 9] = [
    0x4000, 0x8000, 0x1_0000, 0x2_0000, 0x4_0000, 0x8_0000, 0x10_0000, 0x20_0000, 0x40_0000,
];

/// Where fields are.
mod at {
    pub const VERSION: usize = 6;
    pub const LEN: usize = 8;
    pub const SEQUENCE: usize = 16;
    pub const LABEL: usize = 24;
    pub const CHECKSUM_HASH: usize = 72;
    pub const UUID: usize = 168;
    pub const OFFSET: usize = 256;
    pub const CHECKSUM: usize = 448;
}

/// A copy whose checksum is right.
struct Sound {
    copy: HeaderCopy,
    len_bytes: u64,
    /// Which of two copies is the newer.
    sequence: u64,
    label: String,
    uuid: String,
    /// The binary header, and the text.
    bytes: Vec<u8>,
}

/// Reads the newer of the two copies that are sound.
pub async fn read<M: Machine>(machine: &M, limits: &Limits) -> Result<Header, Error<M::Error>> {
    let primary = match read_copy(machine, HeaderCopy::Primary, 0).await {
        Ok(primary) => primary,
        Err(Error::Header(refusal)) => return read_secondary(machine, limits, refusal).await,
        Err(error) => return Err(error),
    };
    match read_copy(machine, HeaderCopy::Secondary, primary.len_bytes).await {
        Ok(secondary) if secondary.sequence > primary.sequence => {
            finish(machine, limits, secondary, None)
        }
        Ok(_) => finish(machine, limits, primary, None),
        Err(Error::Header(refusal)) => {
            let damaged = Some((HeaderCopy::Secondary, refusal));
            finish(machine, limits, primary, damaged)
        }
        Err(error) => Err(error),
    }
}

/// Looks for the second copy where the first is not sound, and `primary` is why.
pub async fn read_secondary<M: Machine>(
    machine: &M,
    limits: &Limits,
    primary: Refusal,
) -> Result<Header, Error<M::Error>> {
    for offset in LENS {
        match read_copy(machine, HeaderCopy::Secondary, offset).await {
            Ok(secondary) => {
                let damaged = Some((HeaderCopy::Primary, primary));
                return finish(machine, limits, secondary, damaged);
            }
            Err(Error::Header(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Err(primary.into())
}

/// Reads a copy and checks its checksum.
async fn read_copy<M: Machine>(
    machine: &M,
    copy: HeaderCopy,
    offset: u64,
) -> Result<Sound, Error<M::Error>> {
    let mut first = [0; FIRST_LEN];
    read_at(machine, offset, &mut first).await?;
    let magic = match copy {
        HeaderCopy::Primary => MAGIC,
        HeaderCopy::Secondary => SECONDARY_MAGIC,
    };
    let damaged = |what| Refusal::Damaged { what };
    if !first.starts_with(magic) {
        Err(damaged("no copy where one should be"))?;
    }
    let version = u16_at(&first, at::VERSION)?;
    if version != 2 {
        Err(Refusal::UnknownVersion { version })?;
    }
    let len_bytes = u64_at(&first, at::LEN)?;
    if !LENS.contains(&len_bytes) {
        Err(damaged("the header's length"))?;
    }
    if u64_at(&first, at::OFFSET)? != offset
        || (copy == HeaderCopy::Secondary && len_bytes != offset)
    {
        Err(damaged("a copy of another place"))?;
    }
    let hash = Hash::by_name(&text::<32>(
        &first,
        at::CHECKSUM_HASH,
        "the checksum's name",
    )?)?;
    let mut bytes = Vec::new();
    if bytes.try_reserve_exact(len_bytes as usize).is_err() {
        Err(Refusal::OutOfMemory {
            what: "a header",
            needed_kib: len_bytes / 1024,
        })?;
    }
    bytes.resize(len_bytes as usize, 0);
    read_at(machine, offset, &mut bytes).await?;
    check(&mut bytes, hash)?;
    Ok(Sound {
        copy,
        len_bytes,
        sequence: u64_at(&bytes, at::SEQUENCE)?,
        label: text::<48>(&bytes, at::LABEL, "the label")?,
        uuid: text::<40>(&bytes, at::UUID, "the UUID")?,
        bytes,
    })
}

/// Checks the checksum of a whole copy, which is over zeros in its own place.
fn check(copy: &mut [u8], hash: Hash) -> Result<(), Refusal> {
    let expected = *bytes::<MAX_LEN>(copy, at::CHECKSUM)?;
    copy[at::CHECKSUM..at::CHECKSUM + MAX_LEN].fill(0);
    let mut digest = [0; MAX_LEN];
    hash.digest(&[copy], &mut digest);
    match digest[..hash.len_bytes()] == expected[..hash.len_bytes()] {
        true => Ok(()),
        false => Err(Refusal::Damaged {
            what: "the checksum is wrong",
        }),
    }
}

async fn read_at<M: Machine>(
    machine: &M,
    offset: u64,
    bytes: &mut [u8],
) -> Result<(), Error<M::Error>> {
    let needs_bytes = offset + bytes.len() as u64;
    let has_bytes = machine.len_bytes();
    if needs_bytes > has_bytes {
        Err(Refusal::TooShort {
            what: "a LUKS2 header",
            needs_bytes,
            has_bytes,
        })?;
    }
    let sector = offset / SECTOR_LEN as u64;
    machine.read(sector, bytes).await.map_err(Error::Machine)
}

/// Reads the text of a sound copy.
fn finish<M: Machine>(
    machine: &M,
    limits: &Limits,
    sound: Sound,
    damaged: Option<(HeaderCopy, Refusal)>,
) -> Result<Header, Error<M::Error>> {
    let text = sound.bytes.get(FIRST_LEN..).unwrap_or(&[]);
    let place = metadata::Place {
        header_len_bytes: sound.len_bytes,
        disk_len_bytes: machine.len_bytes(),
    };
    let metadata = metadata::parse(text, &place, limits)?;
    Ok(Header {
        version: Version::Luks2,
        uuid: sound.uuid,
        label: sound.label,
        copy: sound.copy,
        damaged,
        segment: metadata.segment,
        digest: metadata.digest,
        slots: metadata.slots,
    })
}
