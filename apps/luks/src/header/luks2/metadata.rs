//! The text of a LUKS2 header: key slots, digests and segments, as JSON (LUKS2, 3).
//!
//! The one rule: what is not known is refused by its name; nothing is guessed.

use alloc::{format, string::String, vec::Vec};
use core::str::FromStr;

use base64ct::{Base64, Encoding};
use serde_json::{Map, Value};

use super::super::model::{
    FIRST_LEN, KeySlot, MOST_STRIPES, Segment, VolumeDigest, check_cipher, key_len,
};
use crate::{
    error::Refusal,
    fields::in_range,
    hash::Hash,
    kdf::{Kdf, Limits},
    machine::SECTOR_LEN,
};

/// Bytes of the area that key slots share, at most (LUKS2, 2.3).
const MOST_AREA_LEN: u64 = 128 << 20;
/// Bytes of the text, at most: read, it takes a multiple of that. `cryptsetup` makes room for
/// 12 KiB by itself, and the format allows for 4 MiB, which the machine may not have.
const MOST_TEXT_LEN: usize = 128 << 10;
/// What areas are aligned to.
const AREA_ALIGN: u64 = 4096;

type Object = Map<String, Value>;
type Slots = Vec<(usize, Result<KeySlot, Refusal>)>;

/// Where the text was found.
pub struct Place {
    /// How long a copy of the header is.
    pub header_len_bytes: u64,
    /// How long the disk is.
    pub disk_len_bytes: u64,
}

/// What the text says.
pub struct Metadata {
    pub segment: Segment,
    pub digest: VolumeDigest,
    pub slots: Slots,
}

/// Where the key slots' areas may be.
struct Areas {
    start_bytes: u64,
    end_bytes: u64,
}

/// Reads and checks it.
pub fn parse(text: &[u8], place: &Place, limits: &Limits) -> Result<Metadata, Refusal> {
    let end = text.iter().position(|byte| *byte == 0);
    let text = &text[..end.unwrap_or(text.len())];
    if text.len() > MOST_TEXT_LEN {
        return Err(Refusal::Unsupported {
            what: "length of the header's text",
            name: format!("{} bytes", text.len()),
        });
    }
    let text: Value = serde_json::from_slice(text).map_err(|_| damaged("no JSON"))?;
    let text = text.as_object().ok_or(damaged("no object of JSON"))?;
    let areas = areas(object(text, "config")?, place)?;
    let (segment_name, segment) = segment(object(text, "segments")?, &areas, place)?;
    let (digest, its_slots) = digest(object(text, "digests")?, segment_name, limits)?;
    let mut slots = Vec::new();
    for (name, slot) in object(text, "keyslots")? {
        if !its_slots.iter().any(|its| its.as_str() == Some(name)) {
            continue;
        }
        let number = number(name).ok_or(damaged("a slot's number"))?;
        let slot = slot.as_object().ok_or(damaged("a key slot"))?;
        let priority = match slot.get("priority") {
            None => 1,
            Some(priority) => priority.as_u64().ok_or(damaged("a slot's priority"))?,
        };
        // Whoever set it to 0 wants it named to be tried.
        if priority > 0 {
            slots.push((priority, number, key_slot(slot, &areas, place, limits)));
        }
    }
    slots.sort_by_key(|(priority, number, _)| (core::cmp::Reverse(*priority), *number));
    let slots = slots.into_iter().map(|(_, number, slot)| (number, slot));
    Ok(Metadata {
        segment,
        digest,
        slots: slots.collect(),
    })
}

/// Checks what is needed of a reader, and returns where the key slots' areas may be.
fn areas(config: &Object, place: &Place) -> Result<Areas, Refusal> {
    let json_len_bytes = decimal(config, "json_size")?;
    if place.header_len_bytes.checked_sub(FIRST_LEN as u64) != Some(json_len_bytes) {
        return Err(damaged("json_size"));
    }
    if let Some(requirements) = config.get("requirements") {
        let mandatory = requirements.get("mandatory").and_then(Value::as_array);
        let first = mandatory.ok_or(damaged("requirements"))?.first();
        if let Some(requirement) = first {
            let name = requirement.as_str().unwrap_or("?");
            return Err(unsupported("requirement", name));
        }
    }
    let start_bytes = 2 * place.header_len_bytes;
    let len_bytes = decimal(config, "keyslots_size")?;
    let len_bytes = in_range("keyslots_size", len_bytes, 0..=MOST_AREA_LEN)?;
    Ok(Areas {
        start_bytes,
        end_bytes: start_bytes + len_bytes,
    })
}

/// Returns the one segment, and its name.
fn segment<'t>(
    segments: &'t Object,
    areas: &Areas,
    place: &Place,
) -> Result<(&'t str, Segment), Refusal> {
    let mut all = segments.iter();
    let (Some((name, segment)), None) = (all.next(), all.next()) else {
        let count = format!("{}", segments.len());
        return Err(unsupported("number of segments", &count));
    };
    let segment = segment.as_object().ok_or(damaged("a segment"))?;
    check_type("segment", segment, &["crypt"])?;
    if segment.contains_key("integrity") {
        return Err(unsupported("segment", "integrity"));
    }
    check_cipher(string(segment, "encryption")?)?;
    let sector_len_bytes = integer(segment, "sector_size")?;
    let is_sector_len = sector_len_bytes.is_power_of_two();
    in_range("sector_size", sector_len_bytes, SECTOR_LEN as u64..=4096)?;
    let start_bytes = decimal(segment, "offset")?;
    let len_bytes = match string(segment, "size")? {
        "dynamic" => None,
        _ => Some(decimal(segment, "size")?),
    };
    let is_aligned = |bytes: u64| bytes.is_multiple_of(sector_len_bytes);
    if !is_sector_len || !is_aligned(start_bytes) || !is_aligned(len_bytes.unwrap_or(0)) {
        return Err(damaged("a segment that is no whole number of sectors"));
    }
    if start_bytes == 0 {
        return Err(unsupported("header", "detached"));
    }
    let end = u64::MAX;
    in_range("the segment's offset", start_bytes, areas.end_bytes..=end)?;
    let segment = Segment::new(
        start_bytes,
        len_bytes,
        sector_len_bytes,
        decimal(segment, "iv_tweak")?,
        place.disk_len_bytes,
    )?;
    Ok((name, segment))
}

/// Returns the digest of a segment's key, and the names of the key slots that hold this key.
fn digest<'t>(
    digests: &'t Object,
    segment: &str,
    limits: &Limits,
) -> Result<(VolumeDigest, &'t [Value]), Refusal> {
    let names = |digest: &'t Value, key| digest.get(key).and_then(Value::as_array);
    let is_its = |digest: &&'t Value| {
        let mut segments = names(digest, "segments").into_iter().flatten();
        segments.any(|name| name.as_str() == Some(segment))
    };
    let digest = digests.values().find(is_its);
    let digest = digest.ok_or(damaged("a segment without a digest"))?;
    let slots = names(digest, "keyslots").ok_or(damaged("a digest's key slots"))?;
    let digest = digest.as_object().ok_or(damaged("a digest"))?;
    check_type("digest", digest, &["pbkdf2"])?;
    let hash = Hash::by_name(string(digest, "hash")?)?;
    let expected = base64(digest, "digest")?;
    if expected.len() != hash.len_bytes() {
        return Err(damaged("a digest's length"));
    }
    let kdf = pbkdf2(digest, limits)?;
    Ok((VolumeDigest { kdf, expected }, slots))
}

fn key_slot(
    slot: &Object,
    areas: &Areas,
    place: &Place,
    limits: &Limits,
) -> Result<KeySlot, Refusal> {
    check_type("key slot", slot, &["luks2"])?;
    let split = object(slot, "af")?;
    check_type("splitter", split, &["luks1"])?;
    let area = object(slot, "area")?;
    check_type("area", area, &["raw"])?;
    check_cipher(string(area, "encryption")?)?;
    let offset_bytes = decimal(area, "offset")?;
    let len_bytes = decimal(area, "size")?;
    let stripes = in_range(
        "a slot's stripes",
        integer(split, "stripes")?,
        1..=MOST_STRIPES,
    )?;
    let found = KeySlot {
        kdf: kdf(object(slot, "kdf")?, limits)?,
        key_len_bytes: key_len(integer(slot, "key_size")?)?,
        area_key_len_bytes: key_len(integer(area, "key_size")?)?,
        first_sector: offset_bytes / SECTOR_LEN as u64,
        stripes: stripes as usize,
        hash: Hash::by_name(string(split, "hash")?)?,
    };
    if !offset_bytes.is_multiple_of(AREA_ALIGN) {
        return Err(damaged("an area that is not aligned"));
    }
    in_range(
        "an area's offset",
        offset_bytes,
        areas.start_bytes..=areas.end_bytes,
    )?;
    let most_bytes = areas.end_bytes - offset_bytes;
    let material_bytes = (found.sectors() * SECTOR_LEN) as u64;
    in_range("an area's size", len_bytes, material_bytes..=most_bytes)?;
    found.check_disk(place.disk_len_bytes)
}

fn kdf(kdf: &Object, limits: &Limits) -> Result<Kdf, Refusal> {
    let name = check_type("key derivation", kdf, &["pbkdf2", "argon2i", "argon2id"])?;
    if name == "pbkdf2" {
        return pbkdf2(kdf, limits);
    }
    let numbers = [
        u32_of(kdf, "time")?,
        u32_of(kdf, "memory")?,
        u32_of(kdf, "cpus")?,
    ];
    Kdf::argon2(name == "argon2id", numbers, base64(kdf, "salt")?, limits)
}

fn pbkdf2(object: &Object, limits: &Limits) -> Result<Kdf, Refusal> {
    let hash = Hash::by_name(string(object, "hash")?)?;
    let iterations = u32_of(object, "iterations")?;
    Kdf::pbkdf2(hash, iterations, base64(object, "salt")?, limits)
}

fn damaged(what: &'static str) -> Refusal {
    Refusal::Damaged { what }
}

fn unsupported(what: &'static str, name: &str) -> Refusal {
    Refusal::Unsupported {
        what,
        name: name.into(),
    }
}

/// Returns an object's type, which has to be one that is known.
fn check_type<'t>(
    what: &'static str,
    object: &'t Object,
    known: &[&str],
) -> Result<&'t str, Refusal> {
    let name = string(object, "type")?;
    match known.contains(&name) {
        true => Ok(name),
        false => Err(unsupported(what, name)),
    }
}

fn object<'t>(object: &'t Object, key: &'static str) -> Result<&'t Object, Refusal> {
    let value = object.get(key).and_then(Value::as_object);
    value.ok_or(damaged(key))
}

fn string<'t>(object: &'t Object, key: &'static str) -> Result<&'t str, Refusal> {
    object.get(key).and_then(Value::as_str).ok_or(damaged(key))
}

/// Returns a small number, which JSON keeps as one.
fn integer(object: &Object, key: &'static str) -> Result<u64, Refusal> {
    object.get(key).and_then(Value::as_u64).ok_or(damaged(key))
}

fn u32_of(object: &Object, key: &'static str) -> Result<u32, Refusal> {
    let value = in_range(key, integer(object, key)?, 0..=u32::MAX.into())?;
    Ok(value as u32)
}

/// Returns a number of digits alone, without a sign.
fn number<N: FromStr>(text: &str) -> Option<N> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok())?
}

/// Returns a number of 64 bits, which JSON keeps as a text.
fn decimal(object: &Object, key: &'static str) -> Result<u64, Refusal> {
    number(string(object, key)?).ok_or(damaged(key))
}

fn base64(object: &Object, key: &'static str) -> Result<Vec<u8>, Refusal> {
    Base64::decode_vec(string(object, key)?).map_err(|_| damaged(key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_beyond_its_length_is_not_read() {
        let place = Place {
            header_len_bytes: 4 << 20,
            disk_len_bytes: 64 << 20,
        };
        let told = |len| match parse(&vec![b'['; len], &place, &Limits::default()) {
            Err(refusal) => refusal.to_string(),
            Ok(_) => panic!("{len} brackets are read"),
        };
        assert!(told(MOST_TEXT_LEN).contains("no JSON"));
        let too_long = told(MOST_TEXT_LEN + 1);
        assert_eq!(
            too_long,
            "length of the header's text `131073 bytes` is not supported"
        );
    }
}
