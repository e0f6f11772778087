//! Options as words of a command line.
//!
//! For the program and for tests that name a device by words. The one rule: a word that means
//! nothing is refused with a line that says so, and never passed over.

use std::{fmt::Write, ops::RangeInclusive};

use super::{Completion, Framing, MOST_BATCH, MOST_DATA_QUEUES, MOST_VECTORS, Options, mix};
use crate::{
    feature,
    results::Results,
    rules::Rule,
    wire::{algorithm::Service, reader::Unused},
};

/// A word: its name, what it takes, and a line about it.
struct Word {
    name: &'static str,
    kind: Kind,
    says: &'static str,
}

/// What a value does, by its name.
type Choice = (&'static str, fn(&mut Options));

enum Kind {
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

const SERVICES: [&str; 5] = ["cipher", "hash", "mac", "aead", "akcipher"];

const WORDS: &[Word] = &[
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
        says: "MSI-X vectors; one a queue and one more if it is not given",
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
        says: "the rule that is broken; rules.txt names them",
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

/// Makes options of words.
pub fn parse<'w>(words: impl IntoIterator<Item = &'w str>) -> Result<Options, String> {
    let pairs = words
        .into_iter()
        .map(split)
        .collect::<Result<Vec<_>, _>>()?;
    let mut options = Options::default();
    for (_, value) in pairs.iter().filter(|(word, _)| word.name == "seed") {
        let seed = number("seed", value, &(0..=u64::MAX))?;
        for mixed in mix::random(seed) {
            let (word, value) = split(&mixed)?;
            word.apply(&mut options, value)?;
        }
    }
    for (word, value) in pairs {
        word.apply(&mut options, value)?;
    }
    options.check()?;
    Ok(options)
}

fn split(word: &str) -> Result<(&'static Word, &str), String> {
    let Some((name, value)) = word.split_once('=') else {
        return Err(format!("'{word}': words are name=value; --help lists them"));
    };
    match WORDS.iter().find(|known| known.name == name) {
        Some(known) => Ok((known, value)),
        None => Err(format!("'{word}': no such word; --help lists them")),
    }
}

impl Word {
    fn apply(&self, options: &mut Options, value: &str) -> Result<(), String> {
        let Self { name, kind, .. } = self;
        match kind {
            Kind::Features(bits) => match switch(name, value)? {
                true => options.features |= bits,
                false => options.features &= !bits,
            },
            Kind::Switch(set) => set(options, switch(name, value)?),
            Kind::Number(range, set) => set(options, number(name, value, range)?),
            Kind::Services => options.services = services(value)?,
            Kind::Algorithms(set) => {
                for (service, algo) in algorithms(name, value)? {
                    set(options, service, algo);
                }
            }
            Kind::Choice(choices) => {
                let known = choices.iter().find(|(choice, _)| *choice == value);
                let (_, set) = known.ok_or_else(|| format!("{name}={value}: {}", kind.takes()))?;
                set(options);
            }
            Kind::Rule => options.broken = Some(rule(value)?),
        }
        Ok(())
    }
}

impl Kind {
    fn takes(&self) -> String {
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

fn switch(name: &str, value: &str) -> Result<bool, String> {
    match value {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(format!("{name}={value}: on or off")),
    }
}

fn number(name: &str, value: &str, range: &RangeInclusive<u64>) -> Result<u64, String> {
    let number = value.parse().ok().filter(|number| range.contains(number));
    number.ok_or_else(|| {
        let (least, most) = (range.start(), range.end());
        format!("{name}={value}: a number from {least} to {most}")
    })
}

fn algorithms(name: &str, value: &str) -> Result<Vec<(Service, u32)>, String> {
    let algorithm = |item: &str| {
        let (service, algo) = item.split_once(':')?;
        let service = SERVICES.iter().position(|known| *known == service)?;
        let algo = algo.parse().ok().filter(|algo| *algo < 64)?;
        Some((Service::of(service as u32)?, algo))
    };
    let items: Option<Vec<_>> = value.split('+').map(algorithm).collect();
    items.ok_or_else(|| format!("{name}={value}: services and numbers, such as cipher:3+mac:26"))
}

fn rule(value: &str) -> Result<Rule, String> {
    Rule::of(value).ok_or_else(|| format!("broken={value}: no such rule; rules.txt names them"))
}

fn services(value: &str) -> Result<u32, String> {
    if value == "all" {
        return Ok((1 << SERVICES.len()) - 1);
    }
    value.split('+').try_fold(0, |bits, name| {
        match SERVICES.iter().position(|known| *known == name) {
            Some(bit) => Ok(bits | 1 << bit),
            None => Err(format!(
                "services={value}: all, or some of {} with + between them",
                SERVICES.join(" ")
            )),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(words: &[&str]) -> String {
        parse(words.iter().copied()).unwrap_err()
    }

    #[test]
    fn words_change_what_they_name() {
        let words = [
            "queues=8",
            "packed=on",
            "services=hash+aead",
            "indirect=off",
        ];
        let options = parse(words.into_iter().chain(["stall=1", "stall=8"])).unwrap();
        assert_eq!((options.data_queues, options.services), (8, 0b1010));
        assert_eq!(options.stalled, [1, 8]);
        let default = Options::default().features;
        let expected = default & !feature::INDIRECT_DESC | feature::RING_PACKED;
        assert_eq!(options.features, expected);
        assert_eq!(options.vector_count(), 10);
    }

    #[test]
    fn words_change_algorithms_and_what_becomes_of_results() {
        let words = [
            "without=cipher:3+mac:26",
            "refuse=hash:4",
            "ecdsa=3",
            "rsa=cut",
        ];
        let options = parse(words.into_iter().chain(["broken=hash-answers"])).unwrap();
        assert!(!options.algorithms.has(Service::Cipher, 3));
        assert!(!options.algorithms.has(Service::Mac, 26));
        assert!(options.algorithms.has(Service::Cipher, 4));
        assert!(options.refused.has(Service::Hash, 4));
        assert_eq!(options.algorithms.akcipher, 0b1010);
        assert_eq!(options.results, Results::Cut);
        assert_eq!(options.broken, Some(Rule::HashAnswers));
    }

    #[test]
    fn what_means_nothing_is_refused() {
        assert_eq!(
            refused(&["packd=on"]),
            "'packd=on': no such word; --help lists them"
        );
        assert_eq!(
            refused(&["packed"]),
            "'packed': words are name=value; --help lists them"
        );
        assert_eq!(refused(&["packed=yes"]), "packed=yes: on or off");
        assert_eq!(refused(&["queues=65"]), "queues=65: a number from 1 to 64");
        for words in [["refuse=cipher"], ["refuse=cipher:64"], ["without=x:1"]] {
            assert!(refused(&words).ends_with("such as cipher:3+mac:26"));
        }
        assert_eq!(refused(&["ecdsa=4"]), "ecdsa=4: 2|3");
        assert!(refused(&["broken=x"]).starts_with("broken=x: no such rule"));
        assert!(refused(&["services=cipher+x"]).starts_with("services=cipher+x: all, or"));
    }

    #[test]
    fn contradictions_are_refused() {
        assert!(refused(&["revision_1=off"]).contains("needs revision_1=on"));
        assert!(refused(&["queue_size=100"]).contains("a power of two"));
        assert!(parse(["queue_size=100", "packed=on"]).is_ok());
        assert!(refused(&["stall=2"]).contains("the control queue is 1"));
    }

    #[test]
    fn help_names_every_word() {
        let help = help();
        assert_eq!(help.lines().count(), WORDS.len());
        assert!(help.contains("  queues=1..64 "), "{help}");
    }

    #[test]
    fn a_mix_is_changed_by_other_words() {
        for seed in 0..50 {
            let seed = format!("seed={seed}");
            let options = parse([&*seed, "packed=on", "queues=3"]).unwrap();
            assert!(options.features & feature::RING_PACKED != 0);
            assert_eq!(options.data_queues, 3);
        }
    }
}
