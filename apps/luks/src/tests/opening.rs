//! Containers that open, and those that do not.

use std::sync::atomic::AtomicUsize;

use serde_json::json;

use super::{
    KEY, MemoryDisk, PASSPHRASE, Trouble, maker,
    maker::{AREA, COPY_LEN, LUKS1_VOLUME, LUKS2_VOLUME, VOLUME_LEN},
    memory::now,
    try_open,
};
use crate::{
    error::{Error, Found, Refusal},
    hash::Hash,
    header::{HeaderCopy, Version},
    kdf::Limits,
    opening::open,
};

fn luks2() -> Vec<u8> {
    maker::luks2(&maker::metadata(maker::pbkdf2(), 512))
}

fn refusal(image: Vec<u8>) -> Refusal {
    match try_open(&MemoryDisk::new(image), PASSPHRASE) {
        Err(Error::Header(refusal)) => refusal,
        other => panic!("{other:?}"),
    }
}

#[test]
fn luks1_opens_with_every_hash_and_key_length() {
    for hash in [Hash::Sha1, Hash::Sha256, Hash::Sha512] {
        for key_len in [32, 64] {
            let disk = MemoryDisk::new(maker::luks1(hash, key_len));
            let (header, opened) = try_open(&disk, PASSPHRASE).unwrap();
            assert_eq!(opened.key[..], KEY[..key_len], "{hash:?} {key_len}");
            assert_eq!((header.version, opened.slot), (Version::Luks1, 2));
            assert_eq!(header.uuid, "01234567-89ab-cdef-0123-456789abcdef");
            let segment = header.segment;
            let place = (segment.start_bytes, segment.len_bytes);
            assert_eq!(place, (LUKS1_VOLUME as u64, VOLUME_LEN as u64));
            assert_eq!((segment.sector_len_bytes, segment.first_tweak), (512, 0));
        }
    }
}

#[test]
fn luks2_opens_with_every_key_derivation_and_sector_length() {
    let argon2 = |kind| json!({ "type": kind, "time": 2, "memory": 64, "cpus": 2 });
    for kdf in [maker::pbkdf2(), argon2("argon2i"), argon2("argon2id")] {
        for sector_len in [512, 1024, 2048, 4096] {
            let disk = MemoryDisk::new(maker::luks2(&maker::metadata(kdf.clone(), sector_len)));
            let (header, opened) = try_open(&disk, PASSPHRASE).unwrap();
            assert_eq!(opened.key[..], KEY, "{kdf}");
            assert_eq!((header.version, opened.slot), (Version::Luks2, 5));
            assert_eq!(header.label, "the label");
            assert_eq!((header.copy, header.damaged), (HeaderCopy::Primary, None));
            let segment = header.segment;
            let place = (segment.start_bytes, segment.sectors() as usize);
            assert_eq!(place, (LUKS2_VOLUME as u64, VOLUME_LEN / sector_len));
        }
    }
}

#[test]
fn volume_ends_with_its_last_whole_sector() {
    let mut image = maker::luks2(&maker::metadata(maker::pbkdf2(), 4096));
    image.truncate(image.len() - 512);
    let (header, _) = try_open(&MemoryDisk::new(image), PASSPHRASE).unwrap();
    assert_eq!(header.segment.len_bytes, VOLUME_LEN as u64 - 4096);
}

#[test]
fn volume_of_a_given_length_has_it() {
    let mut text = maker::metadata(maker::pbkdf2(), 512);
    text["segments"]["0"]["size"] = "1024".into();
    text["segments"]["0"]["iv_tweak"] = "77".into();
    let (header, _) = try_open(&MemoryDisk::new(maker::luks2(&text)), PASSPHRASE).unwrap();
    let segment = header.segment;
    assert_eq!((segment.len_bytes, segment.first_tweak), (1024, 77));
    // Tweaks that end before the volume does.
    text["segments"]["0"]["iv_tweak"] = (u64::MAX - 1).to_string().into();
    let what = "more sectors than tweaks";
    assert_eq!(refusal(maker::luks2(&text)), Refusal::Damaged { what });
    text["segments"]["0"]["iv_tweak"] = "0".into();
    // One that the disk does not have.
    text["segments"]["0"]["size"] = (VOLUME_LEN + 512).to_string().into();
    let expected = Refusal::TooShort {
        what: "the volume",
        needs_bytes: (LUKS2_VOLUME + VOLUME_LEN + 512) as u64,
        has_bytes: (LUKS2_VOLUME + VOLUME_LEN) as u64,
    };
    assert_eq!(refusal(maker::luks2(&text)), expected);
}

#[test]
fn wrong_passphrase_is_told_from_damage() {
    for image in [maker::luks1(Hash::Sha256, 64), luks2()] {
        let disk = MemoryDisk::new(image);
        for wrong in [&b"correct hors"[..], b"correct horse\n", b""] {
            let expected = Error::WrongPassphrase {
                tried: 1,
                not_tried: None,
            };
            assert_eq!(try_open(&disk, wrong).unwrap_err(), expected);
        }
    }
}

#[test]
fn slot_without_memory_hides_no_other() {
    const NEEDED_KIB: u32 = u32::MAX;
    let has_it = Vec::<[u8; 1024]>::new().try_reserve_exact(NEEDED_KIB as usize);
    assert!(has_it.is_err(), "this host promises memory that it has not");
    let mut text = maker::metadata(maker::pbkdf2(), 512);
    let mut slot = text["keyslots"]["5"].clone();
    slot["kdf"] = json!({ "type": "argon2id", "time": 1, "memory": NEEDED_KIB, "cpus": 1 });
    slot["kdf"]["salt"] = text["keyslots"]["5"]["kdf"]["salt"].clone();
    text["keyslots"]["1"] = slot;
    text["digests"]["0"]["keyslots"] = json!(["1", "5"]);
    let limits = Limits {
        memory_kib: NEEDED_KIB,
        work_kib: NEEDED_KIB.into(),
        ..Limits::default()
    };
    let disk = MemoryDisk::new(maker::luks2(&text));
    assert_eq!(now(open(&disk, PASSPHRASE, &limits)).unwrap().1.slot, 5);
    let wrong = now(open(&disk, b"wrong", &limits)).unwrap_err().to_string();
    let told = "none of 1 key slots; slot 1 was not tried: no memory for the 4294967295 KiB";
    assert!(wrong.contains(told), "{wrong}");
    // Where it is the only one, that is the reason.
    text["digests"]["0"]["keyslots"] = json!(["1"]);
    let disk = MemoryDisk::new(maker::luks2(&text));
    let only = now(open(&disk, PASSPHRASE, &limits)).unwrap_err();
    let refused = matches!(only, Error::Header(Refusal::OutOfMemory { .. }));
    assert!(refused, "{only}");
}

#[test]
fn damaged_slot_hides_no_other() {
    let mut image = maker::luks1(Hash::Sha256, 64);
    // Slot 0 asks for more iterations than are dared.
    image[208..212].copy_from_slice(&0x00ac_71f3_u32.to_be_bytes());
    image[212..216].copy_from_slice(&u32::MAX.to_be_bytes());
    let disk = MemoryDisk::new(image);
    assert_eq!(try_open(&disk, PASSPHRASE).unwrap().1.slot, 2);
    let wrong = try_open(&disk, b"wrong").unwrap_err().to_string();
    assert!(
        wrong.contains("none of 1 key slots; slot 0 was not tried: PBKDF2's"),
        "{wrong}"
    );
}

#[test]
fn container_without_key_slots_is_told() {
    let mut image = maker::luks1(Hash::Sha256, 64);
    image[304..308].copy_from_slice(&0xdead_u32.to_be_bytes());
    assert_eq!(refusal(image), Refusal::NoKeySlot);
    let mut text = maker::metadata(maker::pbkdf2(), 512);
    text["keyslots"]["5"]["priority"] = 0.into();
    assert_eq!(refusal(maker::luks2(&text)), Refusal::NoKeySlot);
    // One that holds another key is none of the volume's.
    text["keyslots"]["5"]["priority"] = 1.into();
    text["digests"]["0"]["keyslots"] = json!([]);
    assert_eq!(refusal(maker::luks2(&text)), Refusal::NoKeySlot);
}

#[test]
fn slots_are_tried_by_priority() {
    let mut text = maker::metadata(maker::pbkdf2(), 512);
    for (name, priority) in [("1", 1), ("12", 2), ("2", 2), ("7", 0)] {
        text["keyslots"][name] = text["keyslots"]["5"].clone();
        text["keyslots"][name]["priority"] = priority.into();
    }
    text["digests"]["0"]["keyslots"] = json!(["1", "2", "5", "7", "12"]);
    let (header, opened) = try_open(&MemoryDisk::new(maker::luks2(&text)), PASSPHRASE).unwrap();
    let numbers: Vec<_> = header.slots.iter().map(|(number, _)| *number).collect();
    assert_eq!((numbers, opened.slot), (vec![2, 12, 1, 5], 2));
}

#[test]
fn second_copy_stands_in_for_the_first() {
    for range in [0..6, 6..8, 8..16, 448..449, 4100..4101, 0..AREA / 2] {
        let mut image = luks2();
        image[range.clone()]
            .iter_mut()
            .for_each(|byte| *byte ^= 0x40);
        let (header, opened) = try_open(&MemoryDisk::new(image), PASSPHRASE).unwrap();
        assert_eq!(opened.key[..], KEY, "{range:?}");
        assert_eq!(header.copy, HeaderCopy::Secondary, "{range:?}");
        assert!(matches!(header.damaged, Some((HeaderCopy::Primary, _))));
    }
}

#[test]
fn damage_to_the_second_copy_is_told() {
    let mut image = luks2();
    image[COPY_LEN + 5000] ^= 1;
    let (header, _) = try_open(&MemoryDisk::new(image), PASSPHRASE).unwrap();
    let what = "the checksum is wrong";
    let expected = Some((HeaderCopy::Secondary, Refusal::Damaged { what }));
    assert_eq!(
        (header.copy, header.damaged),
        (HeaderCopy::Primary, expected)
    );
}

#[test]
fn newer_copy_wins() {
    let mut image = luks2();
    let mut text = maker::metadata(maker::pbkdf2(), 512);
    text["segments"]["0"]["size"] = "512".into();
    let newer = maker::copy(b"SKUL\xba\xbe", COPY_LEN, 4, text.to_string().as_bytes());
    image[COPY_LEN..AREA].copy_from_slice(&newer);
    let (header, _) = try_open(&MemoryDisk::new(image), PASSPHRASE).unwrap();
    assert_eq!(
        (header.copy, header.segment.len_bytes),
        (HeaderCopy::Secondary, 512)
    );
}

#[test]
fn two_damaged_copies_are_refused() {
    let mut image = luks2();
    image[5000] ^= 1;
    image[COPY_LEN + 5000] ^= 1;
    let what = "the checksum is wrong";
    assert_eq!(refusal(image), Refusal::Damaged { what });
}

#[test]
fn what_is_no_container_is_named() {
    let not_luks = |image| match refusal(image) {
        Refusal::NotLuks { found } => found,
        other => panic!("{other:?}"),
    };
    assert_eq!(not_luks(vec![0; 8192]), Found::Zeros);
    assert_eq!(not_luks(vec![3; 1 << 20]), Found::Unknown);
    let mut image = luks2();
    image[..4].copy_from_slice(b"QFI\xfb");
    let name = not_luks(image).to_string();
    assert!(name.starts_with("a qcow2 image"), "{name}");
    // A file system over what was a container: its second copy opens nothing any more.
    let mut image = luks2();
    image[..4096].fill(0);
    image[0x438..0x43a].copy_from_slice(b"\x53\xef");
    let name = not_luks(image).to_string();
    assert!(name.contains("ext4"), "{name}");
}

#[test]
fn number_with_a_sign_is_damage() {
    let mut text = maker::metadata(maker::pbkdf2(), 512);
    text["segments"]["0"]["offset"] = format!("+{LUKS2_VOLUME}").into();
    let damaged = Refusal::Damaged { what: "offset" };
    assert_eq!(refusal(maker::luks2(&text)), damaged);
    let mut text = maker::metadata(maker::pbkdf2(), 512);
    text["keyslots"]["+6"] = text["keyslots"]["5"].clone();
    text["digests"]["0"]["keyslots"] = json!(["5", "+6"]);
    let what = "a slot's number";
    assert_eq!(refusal(maker::luks2(&text)), Refusal::Damaged { what });
}

#[test]
fn what_luks_has_and_we_do_not_is_named() {
    let mut image = maker::luks1(Hash::Sha256, 64);
    image[40..59].copy_from_slice(b"cbc-essiv:sha256\0\0\0");
    let told = refusal(image).to_string();
    assert_eq!(told, "cipher `aes-cbc-essiv:sha256` is not supported");
    let mut image = maker::luks1(Hash::Sha256, 64);
    image[6..8].copy_from_slice(&[0, 3]);
    assert_eq!(refusal(image), Refusal::UnknownVersion { version: 3 });
    let with = |path: &str, value: serde_json::Value| {
        let mut text = maker::metadata(maker::pbkdf2(), 512);
        let (parent, key) = path.rsplit_once('/').unwrap();
        text.pointer_mut(parent).unwrap()[key] = value;
        refusal(maker::luks2(&text)).to_string()
    };
    for (path, value, told) in [
        ("/segments/0/integrity", json!({}), "segment `integrity`"),
        ("/segments/0/type", "linear".into(), "segment `linear`"),
        ("/segments/0/offset", "0".into(), "header `detached`"),
        ("/segments/1", json!({}), "number of segments `2`"),
        (
            "/segments/0/encryption",
            "serpent-xts-plain64".into(),
            "cipher `serpent-",
        ),
        ("/digests/0/type", "argon2id".into(), "digest `argon2id`"),
        (
            "/keyslots/5/type",
            "reencrypt".into(),
            "key slot `reencrypt`",
        ),
        (
            "/keyslots/5/kdf/hash",
            "whirlpool".into(),
            "hash `whirlpool`",
        ),
        ("/keyslots/5/key_size", 48.into(), "key length `48 bytes`"),
        (
            "/config/requirements",
            json!({ "mandatory": ["online-reencrypt-v2"] }),
            "requirement `online-reencrypt-v2`",
        ),
    ] {
        let found = with(path, value);
        assert!(
            found.starts_with(told) && found.ends_with("is not supported"),
            "{found}"
        );
    }
}

#[test]
fn disk_that_fails_while_it_is_read_is_told() {
    for image in [maker::luks1(Hash::Sha256, 64), luks2()] {
        let mut failed = 0;
        for reads in 0.. {
            let disk = MemoryDisk {
                reads_left: AtomicUsize::new(reads),
                ..MemoryDisk::new(image.clone())
            };
            match try_open(&disk, PASSPHRASE) {
                Ok(_) => break,
                Err(error) => assert_eq!(error, Error::Machine(Trouble)),
            }
            failed += 1;
        }
        assert!(failed >= 2, "the header and the key material");
    }
}
