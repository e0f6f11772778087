//! What the specification obliges a device to, as far as a driver can see it.

use alloc::{format, string::String};

use kernel::println;
use virtio_crypto::{
    Features, Services,
    transport::{MsixEntry, QueueIndex},
};
use virtio_drivers::transport::DeviceStatus;

use crate::{
    quirks::encrypt,
    raw::Raw,
    report::{Held, Report},
    ring::UNWRITTEN,
    session::{CREATE, Session},
    trouble::{Trouble, status_name},
};

/// Bytes of the configuration space.
const CONFIG_LEN: usize = 56;
const HW_READY: u32 = 1;
/// Device-type feature bits without a meaning (Virtio 1.3, 2.2 and 5.9.3): 6 to 23 and from 50 on.
const UNDEFINED_FEATURES: u64 = 0xff_ffc0 | !((1 << 50) - 1);

/// The configuration space, by the offsets of its fields (Virtio 1.3, 5.9.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config([u8; CONFIG_LEN]);

impl Config {
    pub fn read(raw: &Raw) -> Result<Self, String> {
        let mut bytes = [0; CONFIG_LEN];
        let read = raw.transport.read_config(0, &mut bytes);
        read.map_err(|error| format!("{error}"))?;
        Ok(Self(bytes))
    }

    pub fn u32(&self, at: usize) -> u32 {
        let bytes = self.0.iter().skip(at).take(4);
        bytes
            .rev()
            .fold(0, |word, byte| word << 8 | u32::from(*byte))
    }

    pub fn u64(&self, at: usize) -> u64 {
        u64::from(self.u32(at)) | u64::from(self.u32(at + 4)) << 32
    }

    /// The advertised algorithms of a service, and the mask of those that the specification
    /// numbers.
    pub fn algorithms(&self, service: Services) -> (u64, u64) {
        let mac = 0x7e | 0x1e00_0000 | 0x600_0000_0000 | 0x66_0000_0000_0000;
        match service {
            Services::CIPHER => (self.u64(12), 0x7ffe),
            Services::HASH => (self.u32(20).into(), 0x1ffe),
            Services::MAC => (self.u64(24), mac),
            Services::AEAD => (self.u32(32).into(), 0xe),
            // ECDSA has two numbers.
            _ => (self.u32(44).into(), 0xe),
        }
    }

    pub fn advertises(&self, service: Services, number: u32) -> bool {
        Services::from_bits_retain(self.u32(8)).contains(service)
            && self.algorithms(service).0 & (1 << number) != 0
    }
}

/// What can be seen before a request is sent; leaves the device live.
pub fn check_set_up(raw: &mut Raw, report: &mut Report) -> Result<Config, String> {
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

/// Names what a device answered.
pub fn outcome(answer: Result<(), Trouble>) -> String {
    match answer {
        Ok(()) => String::from("OK"),
        Err(trouble) => format!("{trouble}"),
    }
}

/// What sessions and their ids are obliged to; needs a device that serves AES-128-CBC.
pub fn check_sessions(raw: &mut Raw, report: &mut Report) {
    raw.step = "sessions".into();
    let (first, second) = (raw.create(CREATE, &[7; 16]), raw.create(CREATE, &[7; 16]));
    let (Ok(first), Ok(second)) = (first, second) else {
        println!("probe: skipped=sessions reason=no_session_for_AES-128-CBC");
        return;
    };
    let note = format!("{} {}", first.id, second.id);
    report.requirement(
        "session-ids-differ",
        "5.9.7.2.1",
        first.id != second.id,
        note,
    );
    let live = encrypt(raw, first);
    let held = Held::of(&live, live.is_ok());
    report.requirement("session-serves", "5.9.7.1", held, outcome(live.map(drop)));
    let ended = raw.destroy(second).map(drop);
    let held = Held::of(&ended, ended.is_ok());
    report.requirement("destroy-answers-ok", "5.9.7.2.1", held, outcome(ended));
    raw.step = "request-of-an-ended-session".into();
    let late = encrypt(raw, second).map(drop);
    let held = Held::of(&late, late == Err(Trouble::Status(4)));
    report.requirement(
        "ended-session-answers-invsess",
        "5.9.7.1",
        held,
        outcome(late),
    );
    raw.step = "unknown-algorithm".into();
    let words = [(0, 0x002), (4, 63), (16, 63), (20, 16), (24, 1), (64, 1)];
    let answer = raw.create_answer(&words, &[7; 16]);
    let status = answer.as_ref().map(|answer| u32::from(answer.written[8]));
    let note = status.map_or_else(
        |trouble| format!("{trouble}"),
        |status| status_name(status).into(),
    );
    let held = Held::of(&status.map_err(|trouble| *trouble), status == Ok(3));
    report.requirement("unknown-algorithm-answers-notsupp", "5.9.7.2.1", held, note);
    let id = answer.map(|answer| answer.written[..8].to_vec());
    let untouched = matches!(&id, Ok(id) if *id == [UNWRITTEN; 8]);
    let held = Held::of(&id, untouched);
    let note = id.map_or_else(|trouble| format!("{trouble}"), |id| format!("{id:x?}"));
    report.requirement("session-id-only-when-ok", "5.9.7.2.1", held, note);
    raw.destroy_all();
}

/// Ids that the device has not given out, or no more: last of all, because there are devices that
/// do not survive it.
pub fn check_wrong_ids(raw: &mut Raw, report: &mut Report) {
    raw.step = "request-of-no-session".into();
    let unknown = encrypt(raw, Session::UNKNOWN).map(drop);
    let held = Held::of(&unknown, unknown == Err(Trouble::Status(4)));
    report.requirement(
        "unknown-session-answers-invsess",
        "5.9.7.1",
        held,
        outcome(unknown),
    );
    raw.step = "destroy-twice".into();
    let session = raw.create(CREATE, &[7; 16]);
    let ended = session.and_then(|session| raw.destroy(session).map(|_| session));
    let twice = ended.and_then(|session| raw.destroy(session).map(drop));
    let held = Held::of(
        &twice,
        ended.is_ok() && matches!(twice, Err(Trouble::Status(1..=6))),
    );
    report.requirement(
        "second-destroy-is-refused",
        "5.9.7.2.1",
        held,
        outcome(twice),
    );
}

/// What is known once every request has been sent.
pub fn check_answers(raw: &Raw, report: &mut Report) {
    let note = raw
        .overlong
        .map_or(String::new(), |bytes| format!("{bytes}"));
    report.requirement(
        "used-length-within-writable",
        "2.7.8",
        raw.overlong.is_none(),
        note,
    );
    let asked = raw.resets_asked;
    report.requirement(
        "no-reset-asked-for",
        "2.1.2",
        asked == 0,
        format!("{asked}"),
    );
}
