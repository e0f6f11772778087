//! What can be seen before a request is sent: reset, features, status, vectors.

use alloc::{format, string::String};

use virtio_crypto::transport::{MsixEntry, QueueIndex};
use virtio_drivers::transport::DeviceStatus;

use crate::{
    report::found::{Found, Verdict},
    requests::{
        config::Config,
        features::{self, ACCESS_PLATFORM, EVENT_IDX, INDIRECT_DESC, STATELESS, VERSION_1},
    },
    rules::{
        row::{NO_LIFE, Row},
        subject::Subject,
    },
};

pub const ROWS: &[Row] = &[
    Row {
        id: "reset-reads-0",
        section: "2.4.1",
        statement: "After a reset the status reads 0.",
        features: NO_LIFE,
        trial: |subject| Ok(Found::new(subject.raw.reset(), "")),
    },
    Row {
        id: "offers-version-1",
        section: "6.2",
        statement: "VERSION_1 is offered.",
        features: NO_LIFE,
        trial: |subject| {
            let offered = subject.offered;
            let seen = format!("{offered:#x} {}", features::names(offered));
            Ok(Found::new(offered & VERSION_1 != 0, seen))
        },
    },
    Row {
        id: "undefined-features-clear",
        section: "2.2.2",
        statement: "No feature bit without a meaning is offered.",
        features: NO_LIFE,
        trial: |subject| {
            let undefined = subject.offered & features::UNDEFINED;
            Ok(Found::new(undefined == 0, features::names(undefined)))
        },
    },
    Row {
        id: "features-stable",
        section: "2.2.2",
        statement: "The features that are offered do not change from one read to the next.",
        features: NO_LIFE,
        trial: |subject| {
            let mut reads = (0..10).map(|_| subject.raw.transport.read_device_features());
            let other = reads.find(|read| *read != subject.offered);
            let seen = other.map_or(String::new(), |other| {
                features::names(other ^ subject.offered)
            });
            Ok(Found::new(other.is_none(), seen))
        },
    },
    Row {
        id: "offers-what-features-need",
        section: "2.2.2, 5.9.3.1",
        statement: "A stateless mode is offered only together with REVISION_1.",
        features: NO_LIFE,
        trial: |subject| {
            let stateless = subject.offered & STATELESS;
            let needs = features::needs(stateless);
            let seen = match stateless {
                0 => String::from("no stateless mode"),
                stateless => features::names(stateless),
            };
            Ok(Found::new(needs & !subject.offered == 0, seen))
        },
    },
    Row {
        id: "accepts-a-subset",
        section: "2.2.2",
        statement: "Each feature can be accepted alone, with what it needs.",
        features: NO_LIFE,
        trial: accepts_a_subset,
    },
    Row {
        id: "negotiates-again",
        section: "2.2.2",
        statement: "Features that were accepted once are accepted again after a reset.",
        features: NO_LIFE,
        trial: |subject| {
            for count in 1..=4 {
                if !subject.raw.negotiate(subject.offered)? {
                    return Ok(Found::new(false, format!("not the time number {count}")));
                }
            }
            Ok(Found::new(true, "4 times"))
        },
    },
    Row {
        id: "features-ok-refuses-unoffered",
        section: "2.2.1, 2.2.2",
        statement: "FEATURES_OK is refused where the driver accepts what was not offered.",
        features: NO_LIFE,
        trial: |subject| {
            let mut others = (0..6).chain([28, 29, 35, 36, 38, 39]).map(|bit| 1 << bit);
            let other = others.rfind(|bit| subject.offered & bit == 0);
            let Some(other) = other else {
                return Err(Found::not_tried("every feature is offered"));
            };
            let with = features::names(other);
            let wanted = subject.raw.wanted_features() | other | features::needs(other);
            let accepted = subject.raw.negotiate(wanted)?;
            let seen = if accepted { "accepted" } else { "refused" };
            Ok(Found::new(!accepted, format!("{with}: {seen}")))
        },
    },
    Row {
        id: "features-ok-refuses-dependents",
        section: "2.2.1, 5.9.3.1",
        statement: "FEATURES_OK is refused where a stateless mode is accepted without REVISION_1.",
        features: NO_LIFE,
        trial: |subject| {
            let stateless = subject.offered & STATELESS;
            if stateless == 0 {
                return Err(Found::not_offered("no stateless mode"));
            }
            let wanted = subject.raw.wanted_features() | stateless;
            let accepted = subject.raw.negotiate(wanted)?;
            Ok(Found::new(
                !accepted,
                if accepted { "accepted" } else { "refused" },
            ))
        },
    },
    Row {
        id: "config-before-features-ok",
        section: "2.5.2",
        statement: "The configuration can be read before FEATURES_OK.",
        features: 0,
        trial: |subject| {
            let live = Config::read(&subject.raw)?;
            subject.raw.reset();
            let early = Config::read(&subject.raw)?;
            // What differs may be hardware that needs a driver to be ready.
            let same = early.u64(4) == live.u64(4) && early.u64(48) == live.u64(48);
            Ok(Found::new(same, if same { "" } else { "reads otherwise" }))
        },
    },
    Row {
        id: "config-stable",
        section: "2.5",
        statement: "The configuration does not change while its generation does not.",
        features: 0,
        trial: |subject| {
            let generation = || subject.raw.transport.read_config_generation();
            let (before, config) = (generation(), Config::read(&subject.raw)?);
            for _ in 0..100 {
                let changed = Config::read(&subject.raw)? != config;
                if changed && generation() == before {
                    return Ok(Found::new(false, "it changes, and the generation stays"));
                }
            }
            Ok(Found::new(true, "100 reads"))
        },
    },
    Row {
        id: "live-after-driver-ok",
        section: "2.1.2",
        statement: "After DRIVER_OK the device does not ask for a reset.",
        features: 0,
        trial: |subject| {
            let status = subject.raw.transport.read_status();
            let ill = DeviceStatus::DEVICE_NEEDS_RESET | DeviceStatus::FAILED;
            Ok(Found::new(!status.intersects(ill), format!("{status:?}")))
        },
    },
    Row {
        id: "vectors-read-back",
        section: "4.1.5.1.2.1",
        statement: "A vector that is set reads back.",
        features: 0,
        trial: |subject| {
            let entries = entries(subject)?;
            let transport = &subject.raw.transport;
            let entry = Some(MsixEntry(entries - 1));
            let kept = transport.set_config_vector(entry) == entry
                && transport.set_queue_vector(QueueIndex(0), entry) == entry;
            Ok(Found::new(kept, format!("{entries} entries")))
        },
    },
    Row {
        id: "no-vector-reads-back",
        section: "4.1.5.1.2.1",
        statement: "A vector that is taken away reads back as none.",
        features: 0,
        trial: |subject| {
            entries(subject)?;
            let transport = &subject.raw.transport;
            transport.set_queue_vector(QueueIndex(0), Some(MsixEntry(0)));
            let cleared = transport.set_config_vector(None).is_none()
                && transport.set_queue_vector(QueueIndex(0), None).is_none();
            Ok(Found::new(cleared, ""))
        },
    },
    Row {
        id: "vector-beyond-table-refused",
        section: "4.1.5.1.2.1",
        statement: "A vector beyond the table reads back as none.",
        features: 0,
        trial: |subject| {
            let beyond = Some(MsixEntry(entries(subject)?));
            let transport = &subject.raw.transport;
            let queue = transport.set_queue_vector(QueueIndex(0), beyond);
            let config = transport.set_config_vector(beyond);
            transport.set_queue_vector(QueueIndex(0), None);
            transport.set_config_vector(None);
            let seen = format!("queue {queue:?} configuration {config:?}");
            Ok(Found::new(queue.is_none() && config.is_none(), seen))
        },
    },
];

/// Returns how many MSI-X entries there are.
fn entries(subject: &Subject) -> Result<u16, Found> {
    match subject.raw.transport.msix_entries() {
        0 => Err(Found::not_offered("no MSI-X")),
        entries => Ok(entries),
    }
}

fn accepts_a_subset(subject: &mut Subject) -> Verdict {
    let base = subject.offered & (VERSION_1 | ACCESS_PLATFORM);
    let ours = 0x3f | INDIRECT_DESC | EVENT_IDX | features::RING_PACKED | features::IN_ORDER;
    let mut count = 0;
    for bit in (0..64).map(|bit| 1 << bit) {
        if subject.offered & ours & bit == 0 {
            continue;
        }
        let set = base | bit | features::needs(bit);
        if !subject.raw.negotiate(set)? {
            return Ok(Found::new(false, features::names(set)));
        }
        count += 1;
    }
    let alone = subject.raw.negotiate(base)?;
    let seen = format!("{count} features, and without any");
    Ok(Found::new(alone, seen))
}
