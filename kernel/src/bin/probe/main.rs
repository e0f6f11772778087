//! The probe: what a device does, beside what it says and what the specification obliges it to.
//!
//! First by hand (`requests`), because much of it the driver cannot express; then through the
//! driver. Lines as they come, then all of it in a table. `./run.sh probe` starts it.
#![no_std]
#![no_main]

extern crate alloc;

mod answers;
mod report;
mod requests;
mod rules;

use alloc::{format, string::String, vec::Vec};

use kernel::{
    bus, command_line,
    crypto::{self, CryptoDevice, Reach, Wiring},
    exit::{self, ExitCode, exit},
    platform::KernelPlatform,
};
use virtio_crypto::{
    Algorithm, Features, Framing, Options, Services, transport::pci::PciTransport,
};

use crate::{
    report::Report,
    requests::raw::Raw,
    rules::{ciphers, dangerous, framing, quirks, services, sessions, set_up},
};

kernel::entry!(main);

const WORDS: &[&str] = &["dangerous="];
const SHUTDOWN_LIMIT_NS: u64 = 1_000_000_000;

fn main() -> ! {
    command_line::expect(WORDS);
    let Some(&function) = crypto::find_crypto().first() else {
        exit::fail(format_args!("no virtio-crypto device"));
    };
    let mut report = Report::default();
    let access = bus::pci_access();
    // SAFETY: the bus's own configuration space; nobody else drives a device in this program.
    let transport = unsafe { PciTransport::<KernelPlatform, _>::new(access, function) };
    let raw = match transport {
        Ok(transport) => Raw::new(transport),
        Err(error) => exit::fail(format_args!("{error}")),
    };
    let stopped = by_hand(raw, &mut report);
    report.summary();
    if let Some(reason) = stopped {
        exit::fail(format_args!("{reason}; what comes after was not tried"));
    }
    report.close();
    exit(ExitCode::Success);
}

/// Returns why it came to a stop, if it did.
fn by_hand(mut raw: Raw, report: &mut Report) -> Option<String> {
    let config = match set_up::check(&mut raw, report) {
        Ok(config) => config,
        Err(error) => exit::fail(format_args!("the device cannot be set up: {error}")),
    };
    raw.step = "set-up".into();
    if let Err(trouble) = raw.check_live() {
        raw.stop(trouble);
    }
    if let Some(names) = command_line::value("dangerous") {
        for name in names.split(',') {
            if !dangerous::run(&mut raw, name) {
                let known = dangerous::names();
                exit::fail(format_args!("dangerous={name}: known are {known}"));
            }
        }
        // What is left of the device is no subject for a table.
        report.close();
        exit(ExitCode::Success);
    }
    quirks::of_configuration(&raw, config.u64(48), report);
    let framing = framing::find(&mut raw, report);
    sessions::check(&mut raw, report);
    quirks::find(&mut raw, report);
    services::try_all(&mut raw, &config, report);
    sessions::check_wrong_ids(&mut raw, report);
    sessions::check_answers(&raw, report);
    quirks::of_silence(&raw, report);
    raw.destroy_all();
    if let Some((trouble, step)) = raw.stopped {
        ciphers::try_all(
            None,
            |algorithm| config.advertises(Services::CIPHER, algorithm as u32),
            report,
        );
        report.quirk("driver", "not-tried".into());
        return Some(format!("the device is left alone: {trouble} at {step}"));
    }
    raw.reset();
    drop(raw);
    through_the_driver(framing, report)
}

fn through_the_driver(framing: Framing, report: &mut Report) -> Option<String> {
    let mut options = Options::default();
    options.framing = framing;
    if framing == Framing::OnePerField {
        // A device that is particular about the one was seen to be so about the other.
        options.refuse = Features::INDIRECT_DESC;
    }
    let device = match crypto::open_crypto(0, Reach::Pci, Wiring::Best, options) {
        Ok(Some(device)) => device,
        Ok(None) => exit::fail(format_args!("the device is gone")),
        Err(error) => {
            report.quirk("driver", format!("{error}"));
            return Some(format!("the driver cannot set it up: {error}"));
        }
    };
    report.quirk("interrupts", format!("{:?}", device.interrupt_mode()));
    let (used, left_out) = (device.data_queues(), device.data_queues_left_out());
    let value = format!("{used} in use, {left_out} left out");
    report.quirk("data_queues_of_the_driver", value);
    let capabilities = device.capabilities();
    let advertised = |algorithm| capabilities.advertises(algorithm);
    if !ciphers::try_all(Some(&device), advertised, report) {
        report.quirk("advertised_is_not_proved", "not-tried".into());
        return Some("the device did not come back".into());
    }
    let proved = ciphers::block_on(device.prove(), 3 * ciphers::ANSWER_LIMIT_NS);
    let value = match proved {
        Ok(_) => format!("{:?}", not_as_advertised(&device)),
        Err(failure) => format!("{failure}"),
    };
    report.quirk("advertised_is_not_proved", value);
    let stats = device.interrupt_stats();
    report.measured("interrupts", format!("{}", stats.total()));
    report.quirk("interrupts_unasked", format!("{}", stats.unhandled));
    match device.shutdown(SHUTDOWN_LIMIT_NS) {
        Ok(drained) => report.quirk("in_flight_at_shutdown", format!("{}", drained.in_flight)),
        Err(error) => report.quirk("shutdown", format!("{error}")),
    }
    None
}

/// Lists what the device does and does not say, or says and does not do.
fn not_as_advertised(device: &CryptoDevice) -> Vec<Algorithm> {
    let capabilities = device.capabilities();
    let (proved, advertised) = (capabilities.proved.algorithms, capabilities.advertised());
    let differ = proved
        .union(advertised)
        .difference(proved.intersection(advertised));
    differ.iter().collect()
}
