//! How fast workers open and close sessions, by what they do with the control queue's lock and how
//! they wait: the experiment of Linux commit 977231e8d4 ("virtio-crypto: wait ctrl queue instead of
//! busy polling").
//!
//! | mode | a lock of the workers' own, around each request | waiting |
//! |---|---|---|
//! | `poll` | held until the answer | spins on the ring: as Linux did before |
//! | `held-sleep` | held until the answer | sleeps until it is woken |
//! | `released-spin` | none | spins on the ring, the CPU's workers in turn |
//! | `wait` | none | sleeps until it is woken: as this driver does |
//!
//! The driver is the same in all of them; its own lock is held for adding alone. A worker is a
//! task, and worker *n* stays on CPU *n* modulo their number, or modulo `cpus=`. An operation is
//! one control request. With `batch=` a worker opens so many sessions with one kick, then closes
//! them with one. With `idle=poll` CPUs look at the rings before they sleep, where that helps.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::sync::Arc;

use kernel::{
    bench::{
        load::Measured,
        measure::{self, Micros, Ratio},
        sessions::{self, Mode, Plan},
    },
    command_line,
    crypto::{self, CryptoDevice, Reach, Wiring},
    exit::{self, ExitCode, exit},
    println, smp,
    task::executor,
};
use virtio_crypto::Options;

kernel::entry!(main);

const WORDS: &[&str] = &["mode=", "workers=", "batch=", "cpus=", "idle=", "ms="];
/// Sessions that QEMU has room for.
const MAX_SESSIONS: u64 = 256;

fn mode_of_command_line() -> (Mode, &'static str) {
    let name = command_line::choice("mode", &["wait", "poll", "held-sleep", "released-spin"]);
    let mode = match name {
        "poll" => Mode::Poll,
        "held-sleep" => Mode::HeldSleep,
        "released-spin" => Mode::ReleasedSpin,
        _ => Mode::Wait,
    };
    (mode, name)
}

/// What one line is about.
#[derive(Clone, Copy)]
struct Case {
    mode: Mode,
    name: &'static str,
    idle: &'static str,
    cpus: u64,
    batch: u64,
}

async fn run(device: &Arc<CryptoDevice>, case: Case, workers: u64) {
    let Case {
        mode,
        name,
        idle,
        cpus,
        batch,
    } = case;
    let vcpus = smp::online();
    let plan = Plan {
        mode,
        workers,
        cpus,
        batch,
        ms: measure::duration_ms(1000),
        mark: measure::mark,
    };
    let measured = sessions::run(device, plan).await;
    let hold_ns = sessions::max_hold_ns(mode, &measured);
    let Measured { counts, per_s, .. } = measured;
    let latencies = &sessions::load().latencies;
    println!(
        "bench: name=control-sessions impl=virtio-crypto mode={name} workers={workers} \
         vcpus={vcpus} cpus={cpus} batch={batch} idle={idle} ops_per_s={per_s} \
         guest_cpu_percent={} p50_us={} p99_us={} p999_us={} max_us={} max_lock_hold_us={} \
         kicks_per_op={} interrupts_per_op={} pending_polls_per_op={}",
        counts.cpu_percent(),
        Micros(latencies.percentile_ns(500)),
        Micros(latencies.percentile_ns(990)),
        Micros(latencies.percentile_ns(999)),
        Micros(latencies.max_ns()),
        Micros(hold_ns),
        Ratio(counts.kicks, counts.requests),
        Ratio(counts.interrupts, counts.requests),
        Ratio(counts.pending_polls, counts.requests),
    );
    println!(
        "histogram: name=control-sessions mode={name} workers={workers} vcpus={vcpus} \
         batch={batch} idle={idle} us={}",
        latencies.log2_us(),
    );
}

fn main() -> ! {
    command_line::expect(WORDS);
    let (mode, name) = mode_of_command_line();
    smp::expect_all();
    let wiring = if mode.spins() {
        Wiring::Polling
    } else {
        Wiring::Best
    };
    let options = Options::default();
    let device = measure::expect_device(crypto::open_crypto(0, Reach::Pci, wiring, options));
    if mode == Mode::Poll && command_line::value("idle") == Some("poll") {
        exit::fail(format_args!("mode=poll waits inside a task: no idle=poll"));
    }
    let vcpus = u64::from(smp::online());
    let case = Case {
        mode,
        name,
        idle: measure::idle_by_word(&device),
        cpus: command_line::number_in("cpus", vcpus, 1..=vcpus),
        batch: command_line::number_in("batch", 1, 1..=MAX_SESSIONS),
    };
    for workers in measure::numbers_in("workers", &[1, 2, 4, 8, 64], 1..=MAX_SESSIONS) {
        executor::block_on(run(&device, case, workers));
    }
    println!("bench: pass");
    exit(ExitCode::Success);
}
