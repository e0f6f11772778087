//! Two devices get the same random requests: what is valid they answer by the same bytes, what is
//! not they refuse in the same way.
//!
//! With QEMU's builtin device twice, the comparison proves itself; with one of another maker beside
//! it, each is the other's oracle. Requests are made by hand, cut at random, several at a time. RSA
//! is compared with software instead: of Debian's QEMUs 7.2 has it, and 11.1 takes our device.
//!
//! Words of the command line: `seed=N` for the first stream (1; alone, it is the only one),
//! `streams=N` (12).
#![no_std]
#![no_main]

extern crate alloc;

mod ciphers;
mod compare;
mod draft;
mod hand;
#[path = "../../../host/services/checks/random.rs"]
mod random;
mod rsa;

use core::num::NonZeroU64;

use kernel::{command_line, println, testing, time};

use self::{ciphers::Stream, compare::Pair, hand::Hand};

kernel::tests! {
    machines: [
        "devices=2 vectors=0 timeout=3600",
        "devices=1 vectors=0 own=services=cipher+akcipher timeout=3600",
    ],
    tests: [devices_answer_alike, rsa_results_are_those_of_software],
}

/// Batches of a stream.
const BATCHES: usize = 60;
/// How long one stream may take.
const LIMIT_NS: u64 = 60_000_000_000;

fn number(word: &str) -> Option<u64> {
    command_line::value(word).map(|value| value.parse().unwrap())
}

fn devices_answer_alike() {
    let mut pair = Pair::open();
    let count = number("streams").unwrap_or(if number("seed").is_some() { 1 } else { 12 });
    let first = number("seed").unwrap_or(1);
    let start_ns = time::now_ns();
    for seed in first..first + count {
        time::set_watchdog(Some(time::now_ns() + LIMIT_NS));
        testing::at_seed(NonZeroU64::new(seed).expect("seeds start at 1"));
        let mut stream = Stream::new(seed, 2);
        for _ in 0..BATCHES {
            let batch = stream.batch();
            for (kind, ids) in pair.send(&batch) {
                stream.open(kind, ids);
            }
        }
        loop {
            let batch = stream.end();
            if batch.is_empty() {
                break;
            }
            pair.send(&batch);
        }
    }
    println!(
        "\ndifferential: {} seeds={first}..{} ms={}",
        pair.tally,
        first + count,
        (time::now_ns() - start_ns) / 1_000_000,
    );
    pair.tally.check();
}

/// The second device: QEMU's in one machine, the project's own in the other.
fn rsa_results_are_those_of_software() {
    const AKCIPHER: u32 = 1 << 4;
    let mut device = Hand::open(1);
    if device.services() & AKCIPHER == 0 {
        return testing::does_not_apply("the device offers no AKCIPHER");
    }
    let count = number("streams").unwrap_or(if number("seed").is_some() { 1 } else { 12 });
    let first = number("seed").unwrap_or(1);
    let mut seen = rsa::Tally::default();
    for seed in first..first + count {
        time::set_watchdog(Some(time::now_ns() + LIMIT_NS));
        testing::at_seed(NonZeroU64::new(seed).expect("seeds start at 1"));
        seen.add(rsa::run(&mut device, seed));
    }
    println!("\nrsa: {seen} seeds={first}..{}", first + count);
    assert!(seen.valid > seen.short && seen.refused > 0);
}
