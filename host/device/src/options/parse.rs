//! Options from words of a command line.
//!
//! For the program and for tests that name a device by words. The one rule: a word that means
//! nothing is refused with a line that says so, and never passed over.

use std::ops::RangeInclusive;

use super::{
    Options, mix,
    words::{Kind, SERVICES, WORDS, Word},
};
use crate::{rules::Rule, wire::algorithm::Service};

impl Options {
    /// Makes options of words `name=value`, of which [`help`] lists all. A word `seed=N` begins
    /// from the mix of that number; all others change what they name.
    ///
    /// # Errors
    ///
    /// Fails with a line that says which word is wrong, and what would be right.
    pub fn parse<'w>(words: impl IntoIterator<Item = &'w str>) -> Result<Self, String> {
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
    let names = "host/device/src/rules/rules.txt names them";
    Rule::of(value).ok_or_else(|| format!("broken={value}: no such rule; {names}"))
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
    use crate::{feature, options::words::help, results::Results};

    fn refused(words: &[&str]) -> String {
        Options::parse(words.iter().copied()).unwrap_err()
    }

    #[test]
    fn words_change_what_they_name() {
        let words = [
            "queues=8",
            "packed=on",
            "services=hash+aead",
            "indirect=off",
        ];
        let options = Options::parse(words.into_iter().chain(["stall=1", "stall=8"])).unwrap();
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
        let options = Options::parse(words.into_iter().chain(["broken=hash-answers"])).unwrap();
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
        assert!(Options::parse(["queue_size=100", "packed=on"]).is_ok());
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
            let options = Options::parse([&*seed, "packed=on", "queues=3"]).unwrap();
            assert!(options.features & feature::RING_PACKED != 0);
            assert_eq!(options.data_queues, 3);
        }
    }
}
