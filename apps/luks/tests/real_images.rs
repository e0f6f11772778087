//! Containers that `qemu-img` and `cryptsetup` make, opened and read with software in place of the
//! device. Both programs are needed: Debian's `qemu-utils` and `cryptsetup-bin`.
#![cfg(not(target_os = "none"))]

use std::{fs, path::PathBuf, process::Command};

use aes::{Aes128, Aes256, cipher::KeyInit};
use luks::{
    error::Error,
    header::{Header, HeaderCopy, Version},
    kdf::Limits,
    machine::{self, SECTOR_LEN},
    opening::{Opened, open},
};
use xts_mode::{Xts128, get_tweak_default};

#[path = "../src/tests/memory.rs"]
mod memory;

use memory::{MemoryDisk, now};

const PASSPHRASE: &[u8] = b"correct horse";
const PLAIN_LEN: usize = 1 << 20;

/// What `qemu-img` says where the host counts a CPU's time so coarsely that a first trial of the
/// key derivation took none; the next may take some.
const UNMEASURED: &str = "Unable to get accurate CPU usage";
/// How often a program is tried then.
const TRIES: u32 = 20;

/// A folder that is gone at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let name = format!("luks-{}-{name}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir_all(&folder).expect("a folder");
        let folder = Self(folder);
        folder.write("passphrase", PASSPHRASE);
        folder
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.0.join(name), bytes).expect("a file");
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.0.join(name)).expect("a file")
    }

    /// Runs a program in the folder.
    fn run(&self, line: &str) {
        let mut words = line.split_whitespace();
        let mut command = Command::new(words.next().expect("a program"));
        command.args(words).current_dir(&self.0);
        for tries_left in (0..TRIES).rev() {
            let output = command.output().unwrap_or_else(|error| {
                panic!("{line}: {error}; apt-get install qemu-utils cryptsetup-bin")
            });
            let errors = String::from_utf8_lossy(&output.stderr);
            if output.status.success() {
                return;
            }
            assert!(
                tries_left > 0 && errors.contains(UNMEASURED),
                "{line}: {errors}"
            );
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Content that is nowhere the same.
fn plain() -> Vec<u8> {
    let word = |at: u64| at.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes();
    (0..PLAIN_LEN as u64 / 8).flat_map(word).collect()
}

fn try_open(image: Vec<u8>) -> Result<(Header, Opened, MemoryDisk), String> {
    let disk = MemoryDisk::new(image);
    match now(open(&disk, PASSPHRASE, &Limits::default())) {
        Ok((header, opened)) => Ok((header, opened, disk)),
        Err(error) => Err(error.to_string()),
    }
}

/// Deciphers a volume.
fn content(header: &Header, key: &[u8], image: &[u8]) -> Vec<u8> {
    let segment = header.segment;
    let start = segment.start_bytes as usize;
    let mut bytes = image[start..start + segment.len_bytes as usize].to_vec();
    let step = segment.sector_len_bytes / SECTOR_LEN;
    for (number, sector) in bytes.chunks_mut(segment.sector_len_bytes).enumerate() {
        let tweak = get_tweak_default(segment.first_tweak as u128 + (number * step) as u128);
        match key.len() {
            32 => {
                let half = |range| Aes128::new_from_slice(&key[range]).expect("half a key");
                Xts128::new(half(0..16), half(16..32)).decrypt_sector(sector, tweak);
            }
            _ => {
                let half = |range| Aes256::new_from_slice(&key[range]).expect("half a key");
                Xts128::new(half(0..32), half(32..64)).decrypt_sector(sector, tweak);
            }
        }
    }
    bytes
}

#[test]
fn luks1_of_qemu_img_is_read() {
    let folder = Folder::new("qemu-img");
    folder.write("plain", &plain());
    for (cipher, hash) in [
        ("aes-128", "sha1"),
        ("aes-256", "sha256"),
        ("aes-256", "sha512"),
    ] {
        let secret = "--object secret,id=s,file=passphrase";
        folder.run(&format!(
            "qemu-img convert {secret} -O luks -o \
             key-secret=s,iter-time=10,cipher-alg={cipher},hash-alg={hash} plain image"
        ));
        let (header, opened, disk) = try_open(folder.read("image")).expect("it opens");
        assert_eq!(header.version, Version::Luks1);
        assert!(
            content(&header, &opened.key, &disk.bytes) == plain(),
            "{cipher} {hash}"
        );
    }
    // Another kind of image.
    folder.run("qemu-img convert -O qcow2 plain image");
    let told = try_open(folder.read("image")).map(|_| ()).unwrap_err();
    assert!(
        told.starts_with("no LUKS header: found a qcow2 image"),
        "{told}"
    );
}

#[test]
fn luks1_of_cryptsetup_is_read() {
    let folder = Folder::new("cryptsetup-1");
    for (hash, bits) in [("sha1", 256), ("sha256", 512), ("sha512", 512)] {
        let options = format!(
            "--batch-mode --type luks1 --hash {hash} --key-size {bits} \
             --pbkdf-force-iterations 1000 --key-file passphrase"
        );
        expect_key(&folder, &options, Version::Luks1, bits / 8);
    }
}

#[test]
fn luks2_of_cryptsetup_is_opened() {
    let folder = Folder::new("cryptsetup-2");
    let kdfs = [
        "pbkdf2 --pbkdf-force-iterations 1000 --hash sha512",
        "argon2i --pbkdf-force-iterations 4 --pbkdf-memory 1024 --pbkdf-parallel 1",
        "argon2id --pbkdf-force-iterations 5 --pbkdf-memory 2048 --pbkdf-parallel 2 --hash sha1",
    ];
    for (kdf, bits) in kdfs.into_iter().zip([512, 256, 512]) {
        let options = format!(
            "--batch-mode --type luks2 --pbkdf {kdf} --key-size {bits} --label disk \
             --luks2-metadata-size 32k --luks2-keyslots-size 768k --key-file passphrase"
        );
        expect_key(&folder, &options, Version::Luks2, bits / 8);
    }
    // The first copy of the last one's header is gone: the second opens it.
    let mut image = folder.read("image");
    image[..512].fill(0);
    let (header, opened, _) = try_open(image.clone()).expect("it opens");
    assert_eq!(header.copy, HeaderCopy::Secondary);
    assert_eq!(opened.key[..], folder.read("key")[..]);
    // And both.
    image[0x8000..0x8200].fill(0);
    let told = try_open(image).map(|_| ()).unwrap_err();
    assert!(told.starts_with("no LUKS header"), "{told}");
}

/// Makes a container and compares its key with what `cryptsetup` says.
fn expect_key(folder: &Folder, options: &str, version: Version, key_len: usize) {
    folder.write("image", &vec![0; 4 << 20]);
    let _ = fs::remove_file(folder.0.join("key"));
    folder.run(&format!("cryptsetup luksFormat {options} image"));
    folder.run(
        "cryptsetup luksDump --batch-mode --dump-volume-key --volume-key-file key \
         --key-file passphrase image",
    );
    let (header, opened, disk) = try_open(folder.read("image")).expect("it opens");
    assert_eq!((header.version, opened.key.len()), (version, key_len));
    assert_eq!(opened.key[..], folder.read("key")[..], "{options}");
    let wrong = now(open(&disk, b"wrong", &Limits::default())).unwrap_err();
    assert!(
        matches!(wrong, Error::WrongPassphrase { tried: 1, .. }),
        "{wrong}"
    );
}

#[test]
fn luks2_that_cryptsetup_enciphers_is_read() {
    let folder = Folder::new("reencrypt");
    for sector_len in [512, 4096] {
        let mut image = plain();
        image.resize(PLAIN_LEN + (2 << 20), 0);
        folder.write("image", &image);
        folder.run(&format!(
            "cryptsetup reencrypt --encrypt --batch-mode --type luks2 --reduce-device-size 2M \
             --luks2-metadata-size 16k --luks2-keyslots-size 768k --force-offline-reencrypt \
             --pbkdf argon2id --pbkdf-memory 1024 --pbkdf-force-iterations 4 \
             --sector-size {sector_len} --key-file passphrase image"
        ));
        let (header, opened, disk) = try_open(folder.read("image")).expect("it opens");
        assert_eq!(header.segment.sector_len_bytes, sector_len);
        // Behind it is what was cut off to make room for the header.
        let content = content(&header, &opened.key, &disk.bytes);
        assert!(content[..PLAIN_LEN] == plain(), "{sector_len}");
    }
}
