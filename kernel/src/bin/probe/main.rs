//! The probe: what a device does, beside what it says and what the specification obliges it to.
//!
//! First by hand (`raw`), because much of it the driver cannot express; then through the driver. Lines
//! as they come, then all of it in a table. `./run.sh probe` starts it.
#![no_std]
#![no_main]

extern crate alloc;

mod answers;
mod ciphers;
mod dangerous;
mod keys;
mod quirks;
mod raw;
mod report;
mod requirements;
mod services;

use alloc::format;

use kernel::{
    command_line, executor,
    exit::{ExitCode, exit},
    machine::{self, Reach, Wiring},
    println, testing,
};
use raw::Raw;
use report::Report;
use virtio_crypto::{
    AeadAlgorithm, AkcipherAlgorithm, Algorithm, CipherAlgorithm, HashAlgorithm, MacAlgorithm,
    Options,
};

kernel::entry!(main);

const WORDS: &[&str] = &["dangerous="];
const SHUTDOWN_LIMIT_NS: u64 = 1_000_000_000;

fn main() -> ! {
    command_line::expect(WORDS);
    let Some(&function) = machine::find_crypto().first() else {
        testing::give_up(format_args!("no virtio-crypto device"));
    };
    let mut report = Report::default();
    match Raw::new(function) {
        Ok(raw) => by_hand(raw, &mut report),
        Err(error) => testing::give_up(format_args!("{error}")),
    }
    through_the_driver(&mut report);
    report.summary();
    println!("probe: pass");
    exit(ExitCode::Success);
}

fn by_hand(mut raw: Raw, report: &mut Report) {
    let config = match requirements::check_set_up(&mut raw, report) {
        Ok(config) => config,
        Err(error) => testing::give_up(format_args!("the device cannot be set up: {error}")),
    };
    if let Some(names) = command_line::value("dangerous") {
        for name in names.split(',') {
            if !dangerous::run(&mut raw, name) {
                let known = dangerous::names();
                testing::give_up(format_args!("dangerous={name}: known are {known}"));
            }
        }
        // What is left of the device is no subject for a table.
        println!("probe: pass");
        exit(ExitCode::Success);
    }
    quirks::of_configuration(&raw, config.u64(48), report);
    requirements::check_sessions(&mut raw, report);
    quirks::find(&mut raw, report);
    services::try_all(&mut raw, &config, report);
    requirements::check_answers(&raw, report);
    raw.destroy_all();
    raw.reset();
}

fn through_the_driver(report: &mut Report) {
    let device = match machine::open_crypto(0, Reach::Pci, Wiring::Best, Options::default()) {
        Ok(Some(device)) => device,
        Ok(None) => testing::give_up(format_args!("the device is gone")),
        Err(error) => return report.quirk("driver", format!("{error}")),
    };
    report.quirk("interrupts", format!("{:?}", device.interrupt_mode()));
    ciphers::try_all(&device, report);
    match executor::block_on(device.prove()) {
        Ok(_) => {
            let capabilities = device.capabilities();
            let ciphers = CipherAlgorithm::ALL.into_iter().map(Algorithm::from);
            let hashes = HashAlgorithm::ALL.into_iter().map(Algorithm::from);
            let macs = MacAlgorithm::ALL.into_iter().map(Algorithm::from);
            let aeads = AeadAlgorithm::ALL.into_iter().map(Algorithm::from);
            let keys = AkcipherAlgorithm::ALL.into_iter().map(Algorithm::from);
            let all = ciphers.chain(hashes).chain(macs).chain(aeads).chain(keys);
            let differ = all.filter(|algorithm| {
                capabilities.proves(*algorithm) != capabilities.advertises(*algorithm)
            });
            report.quirk(
                "advertised_is_not_proved",
                format!("{:?}", differ.collect::<alloc::vec::Vec<_>>()),
            );
        }
        Err(error) => report.quirk("advertised_is_not_proved", format!("{error}")),
    }
    let stats = device.interrupt_stats();
    let value = format!("{} of {}", stats.unhandled, stats.total());
    report.quirk("interrupts_unasked", value);
    match device.shutdown(SHUTDOWN_LIMIT_NS) {
        Ok(drained) => report.quirk("in_flight_at_shutdown", format!("{}", drained.in_flight)),
        Err(error) => report.quirk("shutdown", format!("{error}")),
    }
}
