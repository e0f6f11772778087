//! Random sequences of calls; the kernel's tests run them on QEMU's device.

use std::{
    format,
    io::{Write, stdout},
    string::String,
    thread,
    time::{Duration, Instant},
};

use virtio_crypto::Options;

use crate::{
    checks::sequences::{self, Outcome},
    rig::{Rig, Setup, live_pages, run},
    ways::times,
};

/// Drains until nothing is in flight and `done` says so, too; fails with `what` if it never does.
fn wait_until(rig: &Rig, done: impl Fn() -> bool, what: &dyn Fn() -> String) {
    let start = Instant::now();
    loop {
        rig.device.poll();
        let in_flight = rig.device.control_stats().in_flight + rig.device.data_stats().in_flight;
        if in_flight == 0 && done() {
            return;
        }
        let waited = start.elapsed();
        assert!(
            waited < Duration::from_secs(10),
            "{in_flight} in flight, {}",
            what()
        );
        thread::yield_now();
    }
}

fn sequences_leave_nothing(options: Options, seeds: core::ops::Range<u64>) {
    let setup = Setup {
        shuffled: Some(seeds.start),
        ..Setup::default()
    };
    let rig = Rig::new(setup, options).unwrap().go();
    let mut pages = live_pages();
    let mut total = Outcome::default();
    for seed in seeds {
        let outcome = run(sequences::run(&rig.device, seed));
        let taken = || rig.device.sessions_taken();
        wait_until(&rig, || taken() == 0, &|| {
            format!("seed {seed}: {} sessions", taken())
        });
        assert_eq!(rig.far.sessions(), 0, "seed {seed}: sessions on the device");
        if outcome.forgotten > 0 {
            pages = live_pages();
        }
        // The last interrupt may still be reading what was before a recovery.
        wait_until(&rig, || live_pages() == pages, &|| {
            format!("seed {seed}: {} pages, expected {pages}", live_pages())
        });
        total.add(outcome);
    }
    writeln!(stdout(), "{total:?}").unwrap();
    let enough = total.answered > 100 && total.refused > 10 && total.dropped > 10;
    assert!(enough || cfg!(miri), "{total:?}");
}

#[test]
fn random_sequences_leave_nothing() {
    sequences_leave_nothing(Rig::options(), 0..times(300, 2));
}

#[test]
fn random_sequences_with_few_slots_leave_nothing() {
    let options = Rig::options_with(|options| {
        options.data_slots = 3;
        options.control_slots = 2;
    });
    sequences_leave_nothing(options, 1000..times(1300, 1002));
}
