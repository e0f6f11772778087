//! The probe: what a device does, beside what it says and what the specification obliges it to.
//!
//! First by hand (`requests`), because much of it the driver cannot express; then through the
//! driver. Lines as they come, then all of it in a table. `./run.sh probe` starts it.
#![no_std]
#![no_main]

extern crate alloc;

mod answers;
mod facts;
mod report;
mod requests;
mod rules;

use alloc::{format, string::String, vec::Vec};

use kernel::{
    bus, command_line,
    crypto::{self, CryptoDevice, Reach, Wiring},
    exit::{self, ExitCode, exit},
    platform::KernelPlatform,
    println,
};
use virtio_crypto::{
    Algorithm, Features, Framing, Options, Services, transport::pci::PciTransport,
};

use crate::{
    facts::{ciphers, quirks, services},
    report::Report,
    requests::{config::Config, raw::Raw, trouble::Trouble},
    rules::{dangerous, framing, subject::Subject, wanted::Wanted},
};

kernel::entry!(main);

const WORDS: &[&str] = &["dangerous=", "only="];
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
    let wanted = Wanted(command_line::value("only"));
    rules::announce(wanted);
    if let Some(reason) = by_hand(raw, wanted, &mut report) {
        exit::fail(format_args!("{reason}; what comes after was not tried"));
    }
    report.close();
    exit(ExitCode::Success);
}

/// Returns why it came to a stop, if it did.
fn by_hand(mut raw: Raw, wanted: Wanted, report: &mut Report) -> Option<String> {
    raw.step = "set-up".into();
    if let Err(error) = raw.bring_up() {
        println!("probe: no_set_up={error}");
    }
    if !raw.has_room() {
        return Some(String::from("no request fits into its rings"));
    }
    let config = match Config::read(&raw) {
        Ok(config) => config,
        Err(error) => exit::fail(format_args!("{error}")),
    };
    let mut subject = Subject::new(raw, config, wanted);
    if let Some(names) = command_line::value("dangerous") {
        dare(&mut subject.raw, names, report);
    }
    rules::try_set_up(&mut subject, report);
    begin_anew(&mut subject.raw);
    quirks::of_configuration(&subject.raw, subject.config.u64(48), report);
    framing::find(&mut subject, report);
    if wanted.is_all() {
        // Before a rule's trial leaves sessions behind.
        quirks::find(&mut subject.raw, report);
    }
    rules::try_requests(&mut subject, report);
    begin_anew(&mut subject.raw);
    if wanted.is_all() {
        services::try_all(&mut subject.raw, &subject.config, report);
    }
    rules::look_back(&mut subject, report);
    quirks::of_silence(&subject.raw, report);
    subject.raw.destroy_all();
    if !wanted.is_all() {
        let stopped = subject.raw.stopped;
        return stopped
            .map(|(trouble, step)| format!("the device is left alone: {trouble} at {step}"));
    }
    let Subject {
        mut raw,
        config,
        wants_fields,
        ..
    } = subject;
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
    let framing = if wants_fields {
        Framing::OnePerField
    } else {
        Framing::Compact
    };
    through_the_driver(framing, report)
}

/// Takes the device to where requests can be sent without any feature, or leaves it alone.
fn begin_anew(raw: &mut Raw) {
    if raw.stopped.is_some() {
        return;
    }
    raw.step = "set-up".into();
    if let Err(error) = raw.bring_up_with(0) {
        println!("probe: no_recovery={error}");
        return raw.stop(Trouble::StatusLost);
    }
    if let Err(trouble) = raw.check_live() {
        raw.stop(trouble);
    }
}

/// Sends requests by their names alone, after which the device is no subject for a table.
fn dare(raw: &mut Raw, names: &str, report: &Report) -> ! {
    for name in names.split(',') {
        if !dangerous::run(raw, name) {
            let known = dangerous::names();
            exit::fail(format_args!("dangerous={name}: known are {known}"));
        }
    }
    report.close();
    exit(ExitCode::Success);
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
