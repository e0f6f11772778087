//! Makes small containers, by the texts of the two formats.

use base64ct::{Base64, Encoding};
use serde_json::{Value, json};

use super::memory::xts;
use crate::{
    hash::{Hash, MAX_LEN},
    kdf::{Kdf, Limits},
    machine::SECTOR_LEN,
};

pub const PASSPHRASE: &[u8] = b"correct horse";
pub const STRIPES: usize = 3;
pub const SALT: [u8; 32] = [7; 32];
/// Bytes of each copy of a LUKS2 header.
pub const COPY_LEN: usize = 0x4000;
/// Where the key slots' areas of LUKS2 are.
pub const AREA: usize = 2 * COPY_LEN;
/// Where the volume is.
pub const LUKS1_VOLUME: usize = 16 * SECTOR_LEN;
pub const LUKS2_VOLUME: usize = AREA + 4096;
/// How long it is.
pub const VOLUME_LEN: usize = 2 * 4096;

/// The volume's key; AES-128 takes the first half.
pub const KEY: [u8; 64] = {
    let mut key = [0; 64];
    let mut at = 0;
    while at < 64 {
        key[at] = (at * 37 + 11) as u8;
        at += 1;
    }
    key
};

/// Splits a key into stripes: [`crate::antiforensic`] backwards.
fn split(hash: Hash, key: &[u8]) -> Vec<u8> {
    let mut material = Vec::new();
    let mut sum = vec![0; key.len()];
    for stripe in 0..STRIPES - 1 {
        let bytes: Vec<u8> = (0..key.len()).map(|at| (at * 5 + stripe) as u8).collect();
        sum.iter_mut().zip(&bytes).for_each(|(a, b)| *a ^= b);
        for (number, block) in (0u32..).zip(sum.chunks_mut(hash.len_bytes())) {
            let mut digest = [0; MAX_LEN];
            hash.digest(&[&number.to_be_bytes(), block], &mut digest);
            block.copy_from_slice(&digest[..block.len()]);
        }
        material.extend(bytes);
    }
    material.extend(sum.iter().zip(key).map(|(a, b)| a ^ b));
    material.resize(material.len().next_multiple_of(SECTOR_LEN), 0);
    material
}

/// Makes a container of LUKS1 with one slot in use.
pub fn luks1(hash: Hash, key_len: usize) -> Vec<u8> {
    let mut image = vec![0; LUKS1_VOLUME + VOLUME_LEN];
    let key = &KEY[..key_len];
    let mut put = |at: usize, bytes: &[u8]| image[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"LUKS\xba\xbe\0\x01");
    put(8, b"aes");
    put(40, b"xts-plain64");
    put(72, hash.name().as_bytes());
    put(104, &(LUKS1_VOLUME as u32 / 512).to_be_bytes());
    put(108, &(key_len as u32).to_be_bytes());
    let mut digest = [0; 20];
    hash.pbkdf2(key, &SALT, 9, &mut digest);
    put(112, &digest);
    put(132, &SALT);
    put(164, &9u32.to_be_bytes());
    put(168, b"01234567-89ab-cdef-0123-456789abcdef");
    for slot in 0..8 {
        put(208 + slot * 48, &0xdead_u32.to_be_bytes());
    }
    let slot = 208 + 2 * 48;
    put(slot, &0x00ac_71f3_u32.to_be_bytes());
    put(slot + 4, &5u32.to_be_bytes());
    put(slot + 8, &SALT);
    put(slot + 40, &4u32.to_be_bytes());
    put(slot + 44, &(STRIPES as u32).to_be_bytes());
    let mut area_key = vec![0; key_len];
    hash.pbkdf2(PASSPHRASE, &SALT, 5, &mut area_key);
    let mut material = split(hash, key);
    xts(&area_key, &mut material, true);
    put(4 * SECTOR_LEN, &material);
    image
}

/// Returns the text of a LUKS2 header with one key slot, which is `kdf`'s, and has a salt.
pub fn metadata(kdf: Value, sector_len: usize) -> Value {
    let mut digest = [0; 32];
    Hash::Sha256.pbkdf2(&KEY, &SALT, 9, &mut digest);
    let mut kdf = kdf;
    kdf["salt"] = Base64::encode_string(&SALT).into();
    json!({
        "keyslots": { "5": {
            "type": "luks2", "key_size": 64,
            "af": { "type": "luks1", "stripes": STRIPES, "hash": "sha256" },
            "area": { "type": "raw", "offset": AREA.to_string(), "size": "4096",
                      "encryption": "aes-xts-plain64", "key_size": 64 },
            "kdf": kdf,
        } },
        "tokens": {},
        "segments": { "0": {
            "type": "crypt", "offset": LUKS2_VOLUME.to_string(), "size": "dynamic",
            "iv_tweak": "0", "encryption": "aes-xts-plain64", "sector_size": sector_len,
        } },
        "digests": { "0": {
            "type": "pbkdf2", "keyslots": ["5"], "segments": ["0"], "hash": "sha256",
            "iterations": 9, "salt": Base64::encode_string(&SALT),
            "digest": Base64::encode_string(&digest),
        } },
        "config": { "json_size": (COPY_LEN - 4096).to_string(), "keyslots_size": "4096" },
    })
}

pub fn pbkdf2() -> Value {
    json!({ "type": "pbkdf2", "hash": "sha256", "iterations": 5 })
}

/// Makes a copy of a LUKS2 header.
pub fn copy(magic: &[u8], offset: usize, sequence: u64, text: &[u8]) -> Vec<u8> {
    let mut copy = vec![0; COPY_LEN];
    let mut put = |at: usize, bytes: &[u8]| copy[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, magic);
    put(6, &[0, 2]);
    put(8, &(COPY_LEN as u64).to_be_bytes());
    put(16, &sequence.to_be_bytes());
    put(24, b"the label");
    put(72, b"sha256");
    put(104, &SALT);
    put(168, b"01234567-89ab-cdef-0123-456789abcdef");
    put(256, &(offset as u64).to_be_bytes());
    put(4096, text);
    sign(&mut copy);
    copy
}

/// Gives a copy the checksum that it should have.
pub fn sign(copy: &mut [u8]) {
    copy[448..512].fill(0);
    let mut digest = [0; MAX_LEN];
    Hash::Sha256.digest(&[copy], &mut digest);
    copy[448..480].copy_from_slice(&digest[..32]);
}

/// Makes a container of LUKS2 with this text in both copies.
pub fn luks2(text: &Value) -> Vec<u8> {
    luks2_of_text(text.to_string().as_bytes(), &text["keyslots"]["5"]["kdf"])
}

pub fn luks2_of_text(text: &[u8], kdf: &Value) -> Vec<u8> {
    let mut image = vec![0; LUKS2_VOLUME + VOLUME_LEN];
    image[..COPY_LEN].copy_from_slice(&copy(b"LUKS\xba\xbe", 0, 3, text));
    image[COPY_LEN..AREA].copy_from_slice(&copy(b"SKUL\xba\xbe", COPY_LEN, 3, text));
    let mut area_key = [0; 64];
    let number = |key: &str| kdf[key].as_u64().unwrap_or(0) as u32;
    let (salt, limits) = (SALT.to_vec(), Limits::default());
    let derivation = match kdf["type"].as_str() {
        Some("pbkdf2") => Kdf::pbkdf2(Hash::Sha256, number("iterations"), salt, &limits),
        kind => {
            let numbers = [number("time"), number("memory"), number("cpus")];
            Kdf::argon2(kind == Some("argon2id"), numbers, salt, &limits)
        }
    };
    let derivation = derivation.expect("a key derivation");
    derivation.derive(PASSPHRASE, &mut area_key).expect("a key");
    let mut material = split(Hash::Sha256, &KEY);
    xts(&area_key, &mut material, true);
    image[AREA..AREA + material.len()].copy_from_slice(&material);
    image
}
