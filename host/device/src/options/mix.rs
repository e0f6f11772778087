//! Mixes of options: a random one of a number, and few that hold every pair.
//!
//! For tests that are to meet what nobody thought of. The one rule: a mix is words that a person
//! can type again.

use crate::random::Random;

/// Words of which each mix has one line a factor.
const FACTORS: [&[&str]; 14] = [
    &["queues=1", "queues=2", "queues=4", "queues=8", "queues=64"],
    &[
        "revision_1=on stateless=on",
        "revision_1=on stateless=off",
        "revision_1=off stateless=off",
    ],
    &["packed=off", "packed=on"],
    &[
        "in_order=off batch=1",
        "in_order=off batch=8 shuffled=on",
        "in_order=on batch=8",
    ],
    &["indirect=on", "indirect=off"],
    &["event_idx=on", "event_idx=off"],
    &["notification_data=off", "notification_data=on"],
    &["notif_config_data=off", "notif_config_data=on"],
    &["ring_reset=on", "ring_reset=off"],
    &["order_platform=off", "order_platform=on"],
    &["access_platform=off", "access_platform=on"],
    &["queue_size=1024", "queue_size=64", "queue_size=256"],
    &["max_size=1048576", "max_size=4096", "max_size=65536"],
    &["one_per_field=off", "one_per_field=on"],
];

/// A value of one factor.
type Choice = (usize, usize);

/// Returns the words of the mix of a number.
pub fn random(seed: u64) -> Vec<String> {
    let mut random = Random::new(seed);
    let chosen = FACTORS.map(|values| random.below(values.len()));
    words(&chosen)
}

/// Returns mixes in which every pair of values of two factors stands together at least once.
pub fn pairwise(seed: u64) -> Vec<Vec<String>> {
    let mut random = Random::new(seed);
    let mut missing = pairs();
    let mut mixes = Vec::new();
    while let Some(&(first, second)) = missing.first() {
        // One pair that is missing, and of every other factor the value that adds most.
        let mut mix: [Option<usize>; FACTORS.len()] = [None; FACTORS.len()];
        for (factor, value) in [first, second] {
            mix[factor] = Some(value);
        }
        let start = random.below(FACTORS.len());
        for factor in (0..FACTORS.len()).map(|step| (start + step) % FACTORS.len()) {
            if mix[factor].is_none() {
                let values = 0..FACTORS[factor].len();
                let best = values.max_by_key(|value| added(&missing, &mix, (factor, *value)));
                mix[factor] = best;
            }
        }
        let chosen = mix.map(|value| value.unwrap_or(0));
        missing.retain(|&(first, second)| !holds(&chosen, first) || !holds(&chosen, second));
        mixes.push(words(&chosen));
    }
    mixes
}

/// Returns every pair of values of two factors.
fn pairs() -> Vec<(Choice, Choice)> {
    let choices = |factor: usize| (0..FACTORS[factor].len()).map(move |value| (factor, value));
    let mut pairs = Vec::new();
    for first in (0..FACTORS.len()).flat_map(choices) {
        let others = (first.0 + 1..FACTORS.len()).flat_map(choices);
        pairs.extend(others.map(|second| (first, second)));
    }
    pairs
}

fn holds(mix: &[usize], (factor, value): Choice) -> bool {
    mix[factor] == value
}

/// Counts the missing pairs that a choice adds to a mix.
fn added(missing: &[(Choice, Choice)], mix: &[Option<usize>], choice: Choice) -> usize {
    let has = |(factor, value): Choice| mix[factor] == Some(value);
    let adds = |pair: &&(Choice, Choice)| {
        (pair.0 == choice && has(pair.1)) || (pair.1 == choice && has(pair.0))
    };
    missing.iter().filter(adds).count()
}

fn words(chosen: &[usize]) -> Vec<String> {
    let lines = FACTORS
        .iter()
        .zip(chosen)
        .map(|(values, value)| values[*value]);
    lines
        .flat_map(|line| line.split(' ').map(str::to_owned))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{options::Options, times};

    #[test]
    fn every_mix_can_be_served() {
        for seed in 0..times(200, 5) {
            let words = random(seed);
            Options::parse(words.iter().map(String::as_str)).unwrap();
        }
        assert_ne!(random(1), random(2));
        assert_eq!(random(3), random(3));
    }

    #[test]
    fn few_mixes_hold_every_pair() {
        let mixes = pairwise(1);
        assert!(mixes.len() <= 20, "{}", mixes.len());
        for (first, second) in pairs() {
            let [first, second] = [first, second].map(|(factor, value)| FACTORS[factor][value]);
            let has = |mix: &Vec<String>, line: &str| {
                line.split(' ')
                    .all(|word| mix.iter().any(|own| own == word))
            };
            let held = mixes.iter().any(|mix| has(mix, first) && has(mix, second));
            assert!(held, "{first} with {second}");
        }
        for mix in mixes {
            Options::parse(mix.iter().map(String::as_str)).unwrap();
        }
    }
}
