//! The configuration space (Virtio 1.3, 5.9.5), and the queues that it tells of.

use alloc::{format, string::String};

use virtio_crypto::{Services, transport::QueueIndex};

use crate::{
    report::found::{Found, Verdict},
    requests::config::{self, Config},
    rules::{
        row::{NO_LIFE, Row},
        subject::Subject,
    },
};

const HW_READY: u32 = 1;
const SECTION: &str = "5.9.5.1";

pub const ROWS: &[Row] = &[
    Row {
        id: "hw-ready",
        section: SECTION,
        statement: "HW_READY is set, and the device serves requests from then on.",
        features: NO_LIFE,
        trial: |subject| {
            let status = subject.config.u32(0);
            Ok(Found::new(
                status & HW_READY != 0,
                format!("status {status:#x}"),
            ))
        },
    },
    Row {
        id: "status-bits-defined",
        section: SECTION,
        statement: "No undefined bit of the configuration's status is set.",
        features: NO_LIFE,
        trial: |subject| {
            let status = subject.config.u32(0);
            Ok(Found::new(status & !HW_READY == 0, format!("{status:#x}")))
        },
    },
    Row {
        id: "max-dataqueues-in-range",
        section: SECTION,
        statement: "max_dataqueues is between 1 and 65535.",
        features: NO_LIFE,
        trial: |subject| {
            let count = subject.config.u32(4);
            Ok(Found::new((1..=65535).contains(&count), format!("{count}")))
        },
    },
    Row {
        id: "control-queue-follows",
        section: "5.9.2",
        statement: "Queues 0 to max_dataqueues - 1 and the control queue behind them exist.",
        features: NO_LIFE,
        trial: queues_exist,
    },
    Row {
        id: "queue-sizes-powers-of-2",
        section: "2.7",
        statement: "Sizes of split queues are powers of 2, and 32768 at most.",
        features: NO_LIFE,
        trial: queue_sizes,
    },
    Row {
        id: "services-defined",
        section: SECTION,
        statement: "crypto_services tells of defined services alone.",
        features: NO_LIFE,
        trial: |subject| {
            let services = subject.config.u32(8);
            let undefined = services & !config::SERVICES;
            let seen = format!("{services:#x} {}", services_names(services));
            Ok(Found::new(undefined == 0, seen))
        },
    },
    Row {
        id: "algorithms-defined",
        section: SECTION,
        statement: "The masks tell of defined algorithms alone.",
        features: NO_LIFE,
        trial: |subject| {
            let (mut seen, mut defined) = (String::new(), true);
            for (name, service) in Services::all().iter_names() {
                let (bits, known) = subject.config.algorithms(service);
                seen += &format!("{name}={bits:#x} ");
                defined &= bits & !known == 0;
            }
            Ok(Found::new(defined, seen.trim_end()))
        },
    },
    Row {
        id: "services-have-algorithms",
        section: SECTION,
        statement: "Each advertised service has an algorithm in its mask.",
        features: NO_LIFE,
        trial: |subject| {
            let mut without = String::new();
            let services = Services::from_bits_truncate(subject.config.u32(8));
            for (name, service) in services.iter_names() {
                let (bits, known) = subject.config.algorithms(service);
                if bits & known == 0 {
                    without += &format!("{name} has none ");
                }
            }
            Ok(Found::new(without.is_empty(), without.trim_end()))
        },
    },
    Row {
        id: "max-size-set",
        section: SECTION,
        statement: "max_size says how long the variable-length part of a request may be.",
        features: NO_LIFE,
        trial: |subject| {
            let size = subject.config.u64(48);
            Ok(Found::new(size > 0, format!("{size}")))
        },
    },
    Row {
        id: "cipher-key-length-set",
        section: SECTION,
        statement: "max_cipher_key_len is set where there is CIPHER.",
        features: NO_LIFE,
        trial: |subject| key_length(&subject.config, Services::CIPHER, config::MAX_CIPHER_KEY),
    },
    Row {
        id: "auth-key-length-set",
        section: SECTION,
        statement: "max_auth_key_len is set where there is MAC.",
        features: NO_LIFE,
        trial: |subject| key_length(&subject.config, Services::MAC, config::MAX_AUTH_KEY),
    },
];

fn services_names(services: u32) -> String {
    let services = Services::from_bits_truncate(services);
    let mut names = String::new();
    for (name, _) in services.iter_names() {
        names += name;
        names += " ";
    }
    names.truncate(names.trim_end().len());
    names
}

fn key_length(config: &Config, service: Services, at: usize) -> Verdict {
    if !Services::from_bits_retain(config.u32(8)).contains(service) {
        return Err(Found::not_offered("no such service"));
    }
    let len = config.u32(at);
    Ok(Found::new(len > 0, format!("{len}")))
}

/// Reads the size of each queue, as long as none is set up: then the register holds what was
/// chosen.
fn sizes(subject: &mut Subject) -> Result<(alloc::vec::Vec<u16>, u16), Found> {
    let Ok(control) = u16::try_from(subject.config.u32(4)) else {
        return Err(Found::new(false, "max_dataqueues"));
    };
    subject.raw.reset();
    let size = |queue| subject.raw.transport.read_max_queue_size(QueueIndex(queue));
    Ok(((0..control).map(size).collect(), size(control)))
}

fn queues_exist(subject: &mut Subject) -> Verdict {
    let (data, control) = sizes(subject)?;
    let missing = data.iter().position(|size| *size == 0);
    let seen = match missing {
        Some(queue) => format!("no queue {queue}"),
        None if control == 0 => format!("no queue {}, the control queue", data.len()),
        None => format!("{} data queues, control queue {0}", data.len()),
    };
    Ok(Found::new(missing.is_none() && control > 0, seen))
}

fn queue_sizes(subject: &mut Subject) -> Verdict {
    let (mut sizes, control) = sizes(subject)?;
    sizes.dedup();
    let all = || sizes.iter().copied().chain([control]);
    let held = all().all(|size| size.is_power_of_two() && size <= 32768);
    Ok(Found::new(
        held,
        format!("data {sizes:?} control {control}"),
    ))
}
