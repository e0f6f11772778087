//! The header of LUKS1: 592 bytes with eight key slots.

use alloc::{format, string::String, vec::Vec};

use super::model::{
    Header, HeaderCopy, KeySlot, MOST_STRIPES, Segment, Version, VolumeDigest, check_cipher,
    key_len,
};
use crate::{
    error::Refusal,
    fields::{bytes, in_range, text, u32_at},
    hash::Hash,
    kdf::{Kdf, Limits},
    machine::SECTOR_LEN,
};

/// Sectors that the header takes.
const HEADER_SECTORS: u64 = 2;
const SLOTS: usize = 8;
const SLOT_LEN: usize = 48;
const ACTIVE: u32 = 0x00ac_71f3;
const INACTIVE: u32 = 0x0000_dead;

/// Where fields are; those of a slot, from its start.
mod at {
    pub const CIPHER: usize = 8;
    pub const MODE: usize = 40;
    pub const HASH: usize = 72;
    pub const PAYLOAD: usize = 104;
    pub const KEY_LEN: usize = 108;
    pub const DIGEST: usize = 112;
    pub const DIGEST_SALT: usize = 132;
    pub const DIGEST_ITERATIONS: usize = 164;
    pub const UUID: usize = 168;
    pub const SLOTS: usize = 208;

    pub const STATE: usize = 0;
    pub const ITERATIONS: usize = 4;
    pub const SALT: usize = 8;
    pub const MATERIAL: usize = 40;
    pub const STRIPES: usize = 44;
}

/// What slots have in common.
struct Common<'l> {
    hash: Hash,
    key_len_bytes: usize,
    payload_sector: u64,
    disk_len_bytes: u64,
    limits: &'l Limits,
}

/// Reads and checks it.
pub fn parse(header: &[u8], disk_len_bytes: u64, limits: &Limits) -> Result<Header, Refusal> {
    let cipher = text::<32>(header, at::CIPHER, "the cipher's name")?;
    let mode = text::<32>(header, at::MODE, "the mode's name")?;
    check_cipher(&format!("{cipher}-{mode}"))?;
    let hash = Hash::by_name(&text::<32>(header, at::HASH, "the hash's name")?)?;
    let key_len_bytes = key_len(u32_at(header, at::KEY_LEN)?.into())?;
    let payload_sector = u64::from(u32_at(header, at::PAYLOAD)?);
    if payload_sector == 0 {
        return Err(Refusal::Unsupported {
            what: "header",
            name: "detached".into(),
        });
    }
    let most = u32::MAX.into();
    in_range(
        "the payload's sector",
        payload_sector,
        HEADER_SECTORS..=most,
    )?;
    let sector_len = SECTOR_LEN as u64;
    let start_bytes = payload_sector * sector_len;
    let segment = Segment::new(start_bytes, None, sector_len, 0, disk_len_bytes)?;
    let salt = bytes::<32>(header, at::DIGEST_SALT)?.to_vec();
    let iterations = u32_at(header, at::DIGEST_ITERATIONS)?;
    let digest = VolumeDigest {
        kdf: Kdf::pbkdf2(hash, iterations, salt, limits)?,
        expected: bytes::<20>(header, at::DIGEST)?.to_vec(),
    };
    let common = Common {
        hash,
        key_len_bytes,
        payload_sector,
        disk_len_bytes,
        limits,
    };
    let mut slots = Vec::new();
    for number in 0..SLOTS {
        let fields = bytes::<SLOT_LEN>(header, at::SLOTS + number * SLOT_LEN)?;
        match u32_at(fields, at::STATE)? {
            INACTIVE => {}
            ACTIVE => slots.push((number, slot(fields, &common))),
            _ => slots.push((
                number,
                Err(Refusal::Damaged {
                    what: "a slot neither in use nor free",
                }),
            )),
        }
    }
    Ok(Header {
        version: Version::Luks1,
        uuid: text::<40>(header, at::UUID, "the UUID")?,
        label: String::new(),
        copy: HeaderCopy::Primary,
        damaged: None,
        segment,
        digest,
        slots,
    })
}

fn slot(fields: &[u8], common: &Common) -> Result<KeySlot, Refusal> {
    let stripes = u64::from(u32_at(fields, at::STRIPES)?);
    let salt = bytes::<32>(fields, at::SALT)?.to_vec();
    let iterations = u32_at(fields, at::ITERATIONS)?;
    let slot = KeySlot {
        kdf: Kdf::pbkdf2(common.hash, iterations, salt, common.limits)?,
        key_len_bytes: common.key_len_bytes,
        area_key_len_bytes: common.key_len_bytes,
        first_sector: u32_at(fields, at::MATERIAL)?.into(),
        stripes: in_range("a slot's stripes", stripes, 1..=MOST_STRIPES)? as usize,
        hash: common.hash,
    };
    let Some(most) = common.payload_sector.checked_sub(slot.sectors() as u64) else {
        return Err(Refusal::Damaged {
            what: "no room for a slot's key material",
        });
    };
    // Neither in the header nor in the volume.
    in_range("a slot's sector", slot.first_sector, HEADER_SECTORS..=most)?;
    slot.check_disk(common.disk_len_bytes)
}
