//! What the specification obliges a device to before a request is sent.

use alloc::{format, string::String};

use virtio_crypto::{
    Features, Services,
    transport::{MsixEntry, QueueIndex},
};
use virtio_drivers::transport::DeviceStatus;

use crate::{report::Report, requests::raw::Raw, rules::config::Config};

const HW_READY: u32 = 1;
/// Device-type feature bits without a meaning (Virtio 1.3, 2.2 and 5.9.3): 6 to 23 and from 50 on.
const UNDEFINED_FEATURES: u64 = 0xff_ffc0 | !((1 << 50) - 1);

/// What can be seen before a request is sent; leaves the device live.
pub fn check(raw: &mut Raw, report: &mut Report) -> Result<Config, String> {
    let reset = raw.reset();
    report.requirement("reset-reads-0", "2.4.2", reset, String::new());
    let offered = raw.transport.read_device_features();
    let note = format!("{offered:#x} {:?}", Features::from_bits_truncate(offered));
    let has = Features::from_bits_retain(offered).contains(Features::VERSION_1);
    report.requirement("offers-version-1", "6.2", has, note);
    let undefined = offered & UNDEFINED_FEATURES;
    let note = format!("{undefined:#x}");
    report.requirement("undefined-features-clear", "2.2", undefined == 0, note);
    let again = raw.transport.read_device_features() == offered;
    report.requirement("features-stable", "2.2.2", again, String::new());

    // Set up, a queue's register holds the size that was chosen.
    check_queues(raw, Config::read(raw)?.u32(4), report);

    let live = raw.bring_up();
    report.requirement(
        "accepts-a-subset",
        "2.2.2",
        live.is_ok(),
        live.clone().err().unwrap_or_default(),
    );
    live?;
    let status = raw.transport.read_status();
    let healthy = !status.intersects(DeviceStatus::DEVICE_NEEDS_RESET | DeviceStatus::FAILED);
    report.requirement(
        "live-after-driver-ok",
        "3.1.1",
        healthy,
        format!("{status:?}"),
    );

    let generation = raw.transport.read_config_generation();
    let config = Config::read(raw)?;
    let mut stable = true;
    for _ in 0..100 {
        stable &= Config::read(raw)? == config;
    }
    stable &= raw.transport.read_config_generation() == generation;
    report.requirement(
        "config-stable",
        "2.5.1",
        stable,
        format!("generation {generation}"),
    );
    check_config(&config, report);
    check_vectors(raw, report);
    Ok(config)
}

fn check_config(config: &Config, report: &mut Report) {
    let status = config.u32(0);
    let ready = status & HW_READY != 0;
    report.requirement("hw-ready", "5.9.5.1", ready, format!("status {status:#x}"));
    let defined = status & !HW_READY == 0;
    report.requirement(
        "status-bits-defined",
        "5.9.5.1",
        defined,
        format!("{status:#x}"),
    );
    let count = config.u32(4);
    let within = (1..=65535).contains(&count);
    report.requirement(
        "max-dataqueues-in-range",
        "5.9.5.1",
        within,
        format!("{count}"),
    );
    let services = Services::from_bits_retain(config.u32(8));
    let defined = Services::all().contains(services);
    report.requirement(
        "services-defined",
        "5.9.5.1",
        defined,
        format!("{services:?}"),
    );
    let mut note = String::new();
    let (mut defined, mut filled) = (true, true);
    for (name, service) in Services::all().iter_names() {
        let (bits, known) = config.algorithms(service);
        note += &format!("{name}={bits:#x} ");
        defined &= bits & !known == 0;
        filled &= !services.contains(service) || bits & known != 0;
    }
    report.requirement("algorithms-defined", "5.9.5.1", defined, note.clone());
    report.requirement("services-have-algorithms", "5.9.5.1", filled, note);
    let lens = [config.u32(36), config.u32(40)];
    let needed = [Services::CIPHER, Services::MAC];
    let held = needed
        .iter()
        .zip(lens)
        .all(|(service, len)| !services.contains(*service) || len > 0);
    let note = format!("cipher {} auth {}", lens[0], lens[1]);
    report.requirement("key-lengths-not-0", "5.9.5.1", held, note);
    let size = config.u64(48);
    report.requirement("max-size-not-0", "5.9.5.1", size > 0, format!("{size}"));
}

fn check_queues(raw: &Raw, max_dataqueues: u32, report: &mut Report) {
    let control = QueueIndex(max_dataqueues as u16);
    let sizes = [QueueIndex(0), control].map(|queue| raw.transport.read_max_queue_size(queue));
    let held = sizes
        .iter()
        .all(|size| size.is_power_of_two() && *size <= 32768);
    let note = format!("data {} control {}", sizes[0], sizes[1]);
    report.requirement("queue-sizes-powers-of-2", "2.7", held, note);
}

fn check_vectors(raw: &Raw, report: &mut Report) {
    let entries = raw.transport.msix_entries();
    if entries > 0 {
        let kept = raw.transport.set_config_vector(Some(MsixEntry(0))) == Some(MsixEntry(0));
        let kept = kept
            && raw
                .transport
                .set_queue_vector(QueueIndex(0), Some(MsixEntry(0)))
                .is_some();
        let note = format!("{entries} entries");
        report.requirement("vectors-read-back", "4.1.5.1.2", kept, note);
        let cleared = raw.transport.set_config_vector(None).is_none();
        report.requirement("no-vector-reads-back", "4.1.5.1.2", cleared, String::new());
    }
}
