//! Opens a LUKS container on the first disk, and says what it is.
//!
//! The host gives the passphrase by fw_cfg, never by the command line, which everybody sees. Words:
//!
//! | word | |
//! |---|---|
//! | `hash` | prints the SHA-256 of the whole volume |
//! | `write=AT:LEN,..` | writes these bytes ([`proof::byte_at`]) and reads them again |
//! | `recover=N` | resets the crypto device N times while the volume is read and written |
//! | `idle=poll` | halt polling instead of interrupts of the crypto device |
//! | `bench` | measures by `sizes=`, `depths=`, `ms=` instead; overwrites the volume |
//!
//! Without `write=` and `bench` nothing is ever written.

mod bench;
mod content;
mod ending;
mod passphrase;
mod proof;
mod recovering;
mod software;

use alloc::sync::Arc;

use common::disk::Disk;
use kernel::{
    bench::measure,
    command_line,
    crypto::{self, CryptoDevice, Reach, Wiring},
    exit::{self, ExitCode},
    println,
    task::executor,
    time,
};
use luks::{
    header::Header,
    volume::{Access, SECTORS_AT_ONCE, Volume},
};
use virtio_crypto::Options;

use self::ending::expect;

const WORDS: &[&str] = &[
    "bench", "depths=", "hash", "idle=", "ms=", "recover=", "sizes=", "write=",
];

/// Runs it.
pub fn main() -> ! {
    command_line::expect(WORDS);
    let mut options = Options::default();
    options.data_slots = SECTORS_AT_ONCE as u16;
    let device = crypto::open_crypto(0, Reach::Pci, Wiring::Best, options);
    let device = measure::expect_device(device);
    measure::idle_by_word(&device);
    if has_word("bench") {
        executor::block_on(bench::run(&device));
        println!("bench: pass");
    } else {
        executor::block_on(run(&device));
        println!("luks: pass");
    }
    exit::exit(ExitCode::Success)
}

fn has_word(wanted: &str) -> bool {
    command_line::words().any(|word| word == wanted)
}

async fn run(device: &Arc<CryptoDevice>) {
    let disk = expect(Disk::open(0));
    let ranges = expect(proof::ranges());
    let access = match ranges.is_empty() {
        true => Access::Read,
        false => Access::Write,
    };
    // Before the derivation, which may take minutes.
    let recoveries = recovering::asked();
    let volume = open(device, disk, access).await;
    let recovering = recovering::begin(device, recoveries);
    if has_word("hash") {
        expect(content::hash(&volume).await);
    } else {
        expect(content::describe(&volume).await);
    }
    if !ranges.is_empty() {
        expect(proof::write(&volume, &ranges).await);
    }
    recovering.end().await;
}

async fn open(device: &Arc<CryptoDevice>, disk: Disk, access: Access) -> Volume {
    let passphrase = passphrase::given();
    let begun_ns = time::now_ns();
    let volume = expect(Volume::open(device.clone(), disk, &passphrase, access).await);
    let opened_ms = (time::now_ns() - begun_ns) / 1_000_000;
    report(volume.header());
    let slot = volume.slot();
    let found = volume
        .header()
        .slots
        .iter()
        .find(|(number, _)| *number == slot);
    if let Some((_, Ok(found))) = found {
        println!("luks: slot={slot} kdf={} opened_ms={opened_ms}", found.kdf);
    }
    let access = match volume.access() {
        Access::Read => "read",
        Access::Write => "write",
    };
    println!(
        "luks: sectors={} sector_bytes={} access={access}",
        volume.sectors(),
        volume.sector_len()
    );
    volume
}

fn report(header: &Header) {
    let Header {
        version,
        uuid,
        label,
        copy,
        ..
    } = header;
    println!("luks: version={version} uuid={uuid} label=\"{label}\" header={copy}");
    if let Some((copy, why)) = &header.damaged {
        println!("luks: the {copy} header is damaged: {why}");
    }
    for (number, slot) in &header.slots {
        if let Err(why) = slot {
            println!("luks: key slot {number} cannot be used: {why}");
        }
    }
}
