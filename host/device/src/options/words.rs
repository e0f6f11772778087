//! The words of a command line that change what a device is.
//!
//! For whoever reads or lists them. The one rule: what a word takes and what it does stand side by
//! side.

use std::{fmt::Write, ops::RangeInclusive};

use super::{Completion, Framing, MOST_BATCH, MOST_DATA_QUEUES, MOST_VECTORS, Options};
use crate::{
    feature,
    results::Results,
    wire::{algorithm::Service, reader::Unused},
};

/// A word: its name, what it takes, and a line about it.
pub struct Word {
    pub name: &'static str,
    pub kind: Kind,
    says: &'static str,
}

/// What a value does, by its name.
pub type Choice = (&'static str, fn(&mut Options));

pub enum Kind {
    /// `on` or `off`: these bits are offered.
    Features(u64),
    /// `on` or `off`.
    Switch(fn(&mut Options, bool)),
    /// A number in a range.
    Number(RangeInclusive<u64>, fn(&mut Options, u64)),
    /// Names of services, with `+` between them, or `all`.
    Services,
    /// Algorithms as `service:number`, with `+` between them.
    Algorithms(fn(&mut Options, Service, u32)),
    /// One of these.
    Choice(&'static [Choice]),
    /// The name of a rule.
    Rule,
}

/// Services by the bits of `crypto_services` (5.9.4).
pub const SERVICES: [&str; 5] = ["cipher", "hash", "mac", "aead", "akcipher"];

/// All words.
pub const WORDS: &[Word] = &[
    Word {
        name: "queues",
        kind: Kind::Number(1..=MOST_DATA_QUEUES as u64, |options, number| {
            options.data_queues = number as u16;
        }),
        says: "data queues; the control queue comes behind them",
    },
    Word {
        name: "services",
        kind: Kind::Services,
        says: "what it computes",
    },
    Word {
        name: "revision_1",
        kind: Kind::Features(feature::REVISION_1),
        says: "fixed-length fields have lengths of their own",
    },
    Word {
        name: "stateless",
        kind: Kind::Features(feature::STATELESS),
        says: "every service works without sessions, too",
    },
    Word {
        name: "packed",
        kind: Kind::Features(feature::RING_PACKED),
        says: "rings are packed where the driver agrees",
    },
    Word {
        name: "in_order",
        kind: Kind::Features(feature::IN_ORDER),
        says: "requests are used in their order, in batches",
    },
    Word {
        name: "indirect",
        kind: Kind::Features(feature::INDIRECT_DESC),
        says: "descriptors may name tables",
    },
    Word {
        name: "event_idx",
        kind: Kind::Features(feature::EVENT_IDX),
        says: "each side says when it wants to hear of the other",
    },
    Word {
        name: "notification_data",
        kind: Kind::Features(feature::NOTIFICATION_DATA),
        says: "a notification says how far the ring has come, which is checked",
    },
    Word {
        name: "notif_config_data",
        kind: Kind::Features(feature::NOTIF_CONFIG_DATA),
        says: "a notification names its queue by a value of the device's",
    },
    Word {
        name: "ring_reset",
        kind: Kind::Features(feature::RING_RESET),
        says: "a queue can be reset alone",
    },
    Word {
        name: "order_platform",
        kind: Kind::Features(feature::ORDER_PLATFORM),
        says: "memory accesses are ordered as the platform orders them",
    },
    Word {
        name: "access_platform",
        kind: Kind::Features(feature::ACCESS_PLATFORM),
        says: "addresses are the platform's; a driver has to accept it",
    },
    Word {
        name: "queue_size",
        kind: Kind::Number(1..=1 << 15, |options, number| {
            options.queue_size = number as u16;
        }),
        says: "most descriptors of each queue",
    },
    Word {
        name: "vectors",
        kind: Kind::Number(0..=MOST_VECTORS as u64, |options, number| {
            options.vectors = Some(number as u16);
        }),
        says: "MSI-X vectors, one a queue and one more if it is not given; 0 leaves INTx",
    },
    Word {
        name: "max_size",
        kind: Kind::Number(1..=u64::MAX, |options, number| {
            options.max_size_bytes = number;
        }),
        says: "most bytes of a request's variable-length parts",
    },
    Word {
        name: "sessions",
        kind: Kind::Number(1..=1 << 20, |options, number| {
            options.max_sessions = number as usize;
        }),
        says: "most sessions at one time",
    },
    Word {
        name: "cipher_key",
        kind: Kind::Number(1..=1 << 16, |options, number| {
            options.max_cipher_key_bytes = number as u32;
        }),
        says: "most bytes of a cipher's key",
    },
    Word {
        name: "auth_key",
        kind: Kind::Number(1..=1 << 16, |options, number| {
            options.max_auth_key_bytes = number as u32;
        }),
        says: "most bytes of a MAC's key",
    },
    Word {
        name: "outlive",
        kind: Kind::Switch(|options, on| options.sessions_outlive_reset = on),
        says: "sessions outlive a reset, as QEMU's do",
    },
    Word {
        name: "one_per_field",
        kind: Kind::Switch(|options, on| {
            options.framing = match on {
                true => Framing::OnePerField,
                false => Framing::Any,
            };
        }),
        says: "refuse requests that are not cut into one descriptor a field",
    },
    Word {
        name: "surplus",
        kind: Kind::Switch(|options, on| {
            options.framing = match on {
                true => Framing::Surplus,
                false => Framing::Any,
            };
        }),
        says: "bear requests of more bytes than their lengths say, as Linux sends them",
    },
    Word {
        name: "shuffled",
        kind: Kind::Switch(|options, on| {
            options.completion = match on {
                true => Completion::Shuffled,
                false => Completion::AsTaken,
            };
        }),
        says: "requests of a batch are used in a random order, unless IN_ORDER holds",
    },
    Word {
        name: "batch",
        kind: Kind::Number(1..=MOST_BATCH as u64, |options, number| {
            options.batch = number as u16;
        }),
        says: "most requests whose results are published together",
    },
    Word {
        name: "delay",
        kind: Kind::Number(0..=1_000_000, |options, number| {
            options.delay_us = number as u32;
        }),
        says: "microseconds that each request takes longer",
    },
    Word {
        name: "stall",
        kind: Kind::Number(0..=MOST_DATA_QUEUES as u64, |options, number| {
            options.stalled.push(number as u16);
        }),
        says: "a queue that is not served; may be said again",
    },
    Word {
        name: "without",
        kind: Kind::Algorithms(|options, service, algo| {
            options.algorithms.set(service, algo, false);
        }),
        says: "algorithms that are not offered, by their numbers in 5.9.4",
    },
    Word {
        name: "refuse",
        kind: Kind::Algorithms(|options, service, algo| {
            options.refused.set(service, algo, true);
        }),
        says: "algorithms that are offered and refused",
    },
    Word {
        name: "ecdsa",
        kind: Kind::Choice(&[
            ("2", |options| {
                options.algorithms.set(Service::Akcipher, 2, true);
                options.algorithms.set(Service::Akcipher, 3, false);
            }),
            ("3", |options| {
                options.algorithms.set(Service::Akcipher, 2, false);
                options.algorithms.set(Service::Akcipher, 3, true);
            }),
        ]),
        says: "the number of ECDSA: the specification's, or Linux's and QEMU's",
    },
    Word {
        name: "rsa",
        kind: Kind::Choice(&[
            ("whole", |options| options.results = Results::Whole),
            ("cut", |options| options.results = Results::Cut),
            ("stripped", |options| options.results = Results::Stripped),
            ("short", |options| options.results = Results::AlwaysCut),
            ("faulty", |options| options.results = Results::Faulty),
        ]),
        says: "results that begin with zeros: as they are, as of QEMU 7.2, without; or worse",
    },
    Word {
        name: "zero_padding",
        kind: Kind::Switch(|options, on| {
            options.unused = match on {
                true => Unused::Zero,
                false => Unused::Ignored,
            };
        }),
        says: "refuse requests with something in padding",
    },
    Word {
        name: "broken",
        kind: Kind::Rule,
        says: "the rule that is broken: host/device/src/rules/rules.txt names them",
    },
    Word {
        name: "seed",
        kind: Kind::Number(0..=u64::MAX, |options, number| options.seed = number),
        says: "begin from the random mix of this number; other words change it",
    },
];

/// Returns a line for each word.
pub fn help() -> String {
    let mut lines = String::new();
    for word in WORDS {
        let Word { name, kind, says } = word;
        let takes = format!("{name}={}", kind.takes());
        // A string takes all that is written to it.
        let _ = writeln!(lines, "  {takes:<30} {says}");
    }
    lines
}

impl Kind {
    pub fn takes(&self) -> String {
        match self {
            Self::Features(_) | Self::Switch(_) => "on|off".to_owned(),
            Self::Number(range, _) if *range.end() == u64::MAX => "N".to_owned(),
            Self::Number(range, _) => format!("{}..{}", range.start(), range.end()),
            Self::Services => "all|cipher+hash+..".to_owned(),
            Self::Algorithms(_) => "cipher:3+mac:26+..".to_owned(),
            Self::Choice(choices) => {
                let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
                names.join("|")
            }
            Self::Rule => "NAME".to_owned(),
        }
    }
}
