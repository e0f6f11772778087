//! The soak run: everything that a device serves, on every CPU, for as long as one likes, while all
//! is done to it that may be done to a device. Every byte is verified, and what was there at the
//! beginning is there at the end.
//!
//! A run is made of rounds. In each, [`lanes`] start [`cases`]: an algorithm, a session or none,
//! some requests of random lengths, each compared with software or brought back. A case is awaited,
//! or dropped somewhere, or cut by a time limit, or never polled again. Beside them [`trouble`]
//! moves vectors, polls, resets, recovers, unplugs and plugs. When a round is over nothing may be
//! left: [`books`] compares. `load=yes` is another run: [`load`].
//!
//! `./run.sh soak` starts it. Words: `seconds=N`, `seed=N`, `load=yes`, `unplug=N,..` for the
//! numbers of devices that may leave, by the order of the bus.
#![no_std]
#![no_main]

extern crate alloc;

mod books;
mod case;
mod cases;
mod ciphers;
mod hashes;
mod keys;
mod lanes;
mod load;
mod place;
mod served;
mod tally;
mod trouble;

#[path = "../../../host/services/checks/digests.rs"]
mod digests;
#[path = "../../../host/services/checks/oracle.rs"]
mod oracle;
#[path = "../../../host/services/checks/random.rs"]
mod random;

use core::fmt;

use async_task::Task;
use kernel::{
    command_line, console,
    exit::{self, ExitCode, exit},
    interrupts::idt,
    println, smp,
    task::executor,
    time,
};
use random::Random;
use spin::Once;

use crate::{books::Books, place::Place};

kernel::entry!(main);

const WORDS: &[&str] = &["seconds=", "seed=", "load=", "unplug="];
const SECOND_NS: u64 = 1_000_000_000;
/// How long a round is at most.
const ROUND_NS: u64 = 60 * SECOND_NS;
/// How much longer than asked for a run may take: to begin, to settle after each round, to end.
const SLACK_NS: u64 = 120 * SECOND_NS;

/// What the run's choices come from.
static SEED: Once<u64> = Once::new();

fn number(word: &str, default: u64) -> u64 {
    let Some(value) = command_line::value(word) else {
        return default;
    };
    match value.parse() {
        Ok(number) if number > 0 => number,
        _ => exit::fail(format_args!("{word}={value}: a number from 1 on")),
    }
}

/// Starts a task on a CPU, which has room for it.
fn spawn_on<T: Send + 'static>(
    cpu: u32,
    future: impl Future<Output = T> + Send + 'static,
) -> Task<T> {
    match executor::spawn_on(cpu, future) {
        Ok(task) => task,
        Err(full) => panic!("no room for a task among {}", full.max),
    }
}

/// Says why a run failed. Those outside know how it is repeated.
fn print_failure(reason: fmt::Arguments) {
    let seed = SEED.get().copied().unwrap_or_default();
    console::print_last(format_args!("failed: soak: {reason} (seed={seed})\n"));
}

fn main() -> ! {
    command_line::expect(WORDS);
    exit::set_closing(print_failure);
    let (seconds, seed) = (number("seconds", 60), number("seed", 1));
    SEED.call_once(|| seed);
    let end_ns = time::now_ns() + seconds * SECOND_NS;
    time::set_watchdog(Some(end_ns + seconds * SECOND_NS / 2 + SLACK_NS));
    smp::expect_all();
    keys::parse();
    let places = place::open_all();
    if command_line::value("load").is_some() {
        load::run(&places[0], end_ns);
    } else {
        soak(places, seed, end_ns);
    }
    exit(ExitCode::Success);
}

fn soak(places: &'static [Place], seed: u64, end_ns: u64) {
    let mut random = Random::new(seed);
    let mut seats = trouble::seats(places);
    // What is done for the first time may take memory for good: a device that comes to addresses
    // where none was before takes page tables.
    trouble::do_each_once(&mut seats);
    let beginning = Books::open(places);
    println!("soak: begins seed={seed} {beginning}");
    let mut rounds = 0;
    while rounds == 0 || time::now_ns() < end_ns {
        rounds += 1;
        let round_end_ns = end_ns.min(time::now_ns() + ROUND_NS);
        executor::block_on(async {
            let lanes = lanes::start(places, &mut random, round_end_ns);
            trouble::make(&mut seats, &mut random, round_end_ns).await;
            for lane in lanes {
                lane.await;
            }
        });
        // Before a recovery, which gives every slot back: those of cases that were never polled
        // again come back when these are dropped.
        places.iter().for_each(Place::bury);
        let now = Books::open(places);
        if !now.serves_like(&beginning) {
            exit::fail(format_args!(
                "round {rounds}, before a recovery: expected {beginning}, got {now}"
            ));
        }
        // What was reset by itself is given back here, and then what was kept of the life before.
        trouble::recover_all(places);
        books::settle_all(places);
        trouble::recover_all(places);
        let now = Books::open(places);
        if !now.equals(&beginning) {
            exit::fail(format_args!(
                "after round {rounds}: expected {beginning}, got {now}"
            ));
        }
        let unhandled = tally::unhandled(places);
        if unhandled + idt::unexpected() > 0 {
            tally::tell_unhandled(places);
            exit::fail(format_args!(
                "{unhandled} interrupts that nothing accounts for, {} that nobody expected",
                idt::unexpected()
            ));
        }
    }
    let end = Books::open(places);
    tally::tell_end(places, rounds, beginning, end);
}
