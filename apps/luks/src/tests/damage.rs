//! Every field of a header flipped, cut off or replaced: a typed error, or the right key.

use serde_json::{Value, json};

use super::{
    KEY, MemoryDisk, PASSPHRASE, maker,
    maker::{AREA, COPY_LEN},
    try_open,
};
use crate::{
    error::{Error, Refusal},
    hash::Hash,
};

/// Opens what may be damaged; panics if another key comes of it. Tells whether it opened.
fn opens_rightly_if_at_all(image: Vec<u8>, what: &dyn Fn() -> String) -> bool {
    let disk = MemoryDisk::new(image);
    match try_open(&disk, PASSPHRASE) {
        Ok((header, opened)) => {
            assert_eq!(opened.key[..], KEY[..opened.key.len()], "{}", what());
            let segment = header.segment;
            let end = segment.start_bytes + segment.len_bytes;
            assert!(end <= disk.bytes.len() as u64, "{}", what());
            assert!(segment.sectors() > 0, "{}", what());
            true
        }
        Err(Error::Machine(_) | Error::Header(Refusal::OutOfMemory { .. })) => {
            panic!("{}: neither the disk nor memory has failed", what())
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            false
        }
    }
}

#[test]
fn every_flipped_bit_of_luks1() {
    let image = maker::luks1(Hash::Sha256, 64);
    let mut opened = 0;
    for bit in 0..8 * 592 {
        let mut image = image.clone();
        image[bit / 8] ^= 1 << (bit % 8);
        let what = || format!("bit {bit}");
        opened += usize::from(opens_rightly_if_at_all(image, &what));
    }
    // What nothing depends on: the UUID, slots that are not in use, and where the volume is.
    assert!((2000..4000).contains(&opened), "{opened}");
}

#[test]
fn every_byte_of_luks1_replaced() {
    let image = maker::luks1(Hash::Sha1, 32);
    for at in 0..592 {
        for byte in [0, 0x7f, 0xff] {
            let mut image = image.clone();
            image[at] = byte;
            opens_rightly_if_at_all(image, &|| format!("byte {at} is {byte}"));
        }
        let mut image = image.clone();
        image[at..592].fill(0xff);
        opens_rightly_if_at_all(image, &|| format!("all from {at}"));
    }
}

#[test]
fn every_flipped_bit_of_a_luks2_copy_leaves_the_other() {
    let image = maker::luks2(&maker::metadata(maker::pbkdf2(), 512));
    let text_len = 4096 + 900;
    for at in (0..512).chain(4096..text_len) {
        for start in [0, COPY_LEN] {
            let mut image = image.clone();
            image[start + at] ^= 1 << (at % 8);
            let what = || format!("byte {at} of the copy at {start}");
            assert!(opens_rightly_if_at_all(image, &what), "{}", what());
        }
    }
}

#[test]
fn every_flipped_bit_of_luks2_with_the_right_checksum() {
    let image = maker::luks2(&maker::metadata(maker::pbkdf2(), 512));
    let end = image[4096..COPY_LEN].iter().position(|byte| *byte == 0);
    let end = 4096 + end.expect("the text's end");
    let mut opened = 0;
    for at in (0..448).chain(512..520).chain(4096..end) {
        for bit in 0..8 {
            let mut image = image.clone();
            image[at] ^= 1 << bit;
            maker::sign(&mut image[..COPY_LEN]);
            // Alone, so that it is this copy or none.
            image[COPY_LEN..AREA].fill(0);
            let what = || format!("bit {bit} of byte {at}");
            opened += usize::from(opens_rightly_if_at_all(image, &what));
        }
    }
    assert!((1000..4000).contains(&opened), "{opened}");
}

#[test]
fn every_length_of_a_disk() {
    let text = maker::metadata(maker::pbkdf2(), 512);
    for image in [maker::luks1(Hash::Sha256, 64), maker::luks2(&text)] {
        let whole = image.len();
        let mut shortest = usize::MAX;
        for len in (0..600).chain((0..=whole).step_by(256)) {
            let mut image = image.clone();
            image.truncate(len);
            if opens_rightly_if_at_all(image, &|| format!("{len} bytes")) {
                shortest = shortest.min(len);
            }
        }
        assert_eq!(shortest, whole - maker::VOLUME_LEN + 512);
    }
}

/// Every place of a text's tree.
fn pointers(value: &Value, path: &str, all: &mut Vec<String>) {
    all.push(path.to_owned());
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                pointers(value, &format!("{path}/{key}"), all);
            }
        }
        Value::Array(array) => {
            for (index, value) in array.iter().enumerate() {
                pointers(value, &format!("{path}/{index}"), all);
            }
        }
        _ => {}
    }
}

#[test]
fn every_value_of_luks2_replaced() {
    let argon2 = json!({ "type": "argon2id", "time": 2, "memory": 64, "cpus": 1 });
    let replacements = [
        json!(null),
        json!(true),
        json!(""),
        json!("a"),
        json!("-1"),
        json!("18446744073709551615"),
        json!("18446744073709551616"),
        json!("4096"),
        json!("16773120"),
        json!(0),
        json!(1),
        json!(-1),
        json!(3),
        json!(1.5),
        json!(1e300),
        json!(u32::MAX),
        json!(u64::MAX),
        json!([]),
        json!(["0"]),
        json!([[[[]]]]),
        json!({}),
        json!({ "type": "luks2" }),
    ];
    for kdf in [maker::pbkdf2(), argon2] {
        let text = maker::metadata(kdf.clone(), 512);
        let kdf = &text["keyslots"]["5"]["kdf"];
        let mut all = Vec::new();
        pointers(&text, "", &mut all);
        assert!(all.len() > 40);
        for path in &all {
            for replacement in &replacements {
                let mut text = text.clone();
                *text.pointer_mut(path).unwrap() = replacement.clone();
                let image = maker::luks2_of_text(text.to_string().as_bytes(), kdf);
                opens_rightly_if_at_all(image, &|| format!("{path} = {replacement}"));
            }
            // And left out.
            let Some((parent, key)) = path.rsplit_once('/') else {
                continue;
            };
            let mut text = text.clone();
            if let Some(Value::Object(object)) = text.pointer_mut(parent) {
                object.remove(key);
                let image = maker::luks2_of_text(text.to_string().as_bytes(), kdf);
                opens_rightly_if_at_all(image, &|| format!("without {path}"));
            }
        }
    }
}

#[test]
fn texts_that_are_no_json() {
    let kdf = maker::metadata(maker::pbkdf2(), 512)["keyslots"]["5"]["kdf"].clone();
    let deep = "[".repeat(12_000);
    let texts: [&[u8]; 6] = [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe",
        b"{\"config\":",
        deep.as_bytes(),
    ];
    for text in texts {
        let image = maker::luks2_of_text(text, &kdf);
        assert!(!opens_rightly_if_at_all(image, &|| format!("{text:?}")));
    }
}
