//! What tests run in: names, a watchdog, the closing line.
//!
//! For test binaries, by [`tests!`](crate::tests). The one rule: a test passes if it returns in
//! time, unless it has said that it does not apply to this device; the first that does not return
//! ends the run.

use core::{
    fmt,
    num::NonZeroU64,
    sync::atomic::{AtomicU32, AtomicU64, Ordering},
};

use crate::{
    command_line, console,
    exit::{self, ExitCode, exit},
    println,
    sync::SpinLock,
    time,
};

/// A test: its name and what it does. It passes if it returns.
pub type Test = (&'static str, fn());

/// How long a test may take. On a quiet host none takes a tenth of it; others may be busy.
const LIMIT_NS: u64 = 120_000_000_000;

static PASSED: AtomicU32 = AtomicU32::new(0);
/// 0 for none.
static SEED: AtomicU64 = AtomicU64::new(0);
/// Why the running test does not apply.
static NOT_APPLYING: SpinLock<Option<&'static str>> =
    SpinLock::new("test that does not apply", None);
static CURRENT: SpinLock<Option<&'static str>> = SpinLock::new("current test", None);

/// Tells whether a test's name contains one of `parts`, if there are any.
fn is_named<'p>(name: &str, parts: impl Iterator<Item = &'p str>) -> bool {
    let mut parts = parts.peekable();
    parts.peek().is_none() || parts.any(|part| name.contains(part))
}

/// Runs the tests whose names contain a word of the command line, if there is one, and the value of
/// an `only=` of the machine's, if there is one.
pub fn run(tests: &[Test]) -> ! {
    exit::set_closing(print_failure);
    let is_wanted = |name: &str| {
        let filters = command_line::words().filter(|word| !word.contains('='));
        let of_machine = command_line::words().filter_map(|word| word.strip_prefix("only="));
        is_named(name, filters) && is_named(name, of_machine)
    };
    let (mut skipped, mut not_applying) = (0, 0);
    for (name, test) in tests {
        if !is_wanted(name) {
            skipped += 1;
            continue;
        }
        console::print(format_args!("test {name} ... "));
        CURRENT.with(|current| *current = Some(name));
        time::set_watchdog(Some(time::now_ns() + LIMIT_NS));
        let start_ns = time::now_ns();
        test();
        time::set_watchdog(None);
        SEED.store(0, Ordering::Relaxed);
        CURRENT.with(|current| *current = None);
        if let Some(why) = NOT_APPLYING.with(Option::take) {
            not_applying += 1;
            println!("does not apply: {why}");
            continue;
        }
        PASSED.fetch_add(1, Ordering::Relaxed);
        println!("ok ({} ms)", (time::now_ns() - start_ns) / 1_000_000);
    }
    if not_applying > 0 {
        println!("{not_applying} do not apply to this device");
    }
    if skipped > 0 {
        println!("{skipped} left out by the filter");
    }
    println!("{} passed, 0 failed", PASSED.load(Ordering::Relaxed));
    exit(ExitCode::Success);
}

/// Says that the running test does not apply to this device, and why. The test has to return then:
/// it counts neither as passed nor as failed. Which test may say what stands in the one list of
/// `host/xtask/src/suite/not_applying.rs`.
pub fn does_not_apply(why: &'static str) {
    NOT_APPLYING.with(|reason| *reason = Some(why));
}

/// Says which seed the running test is at: a failure tells how that one is run alone.
pub fn at_seed(seed: NonZeroU64) {
    SEED.store(seed.get(), Ordering::Relaxed);
}

/// Prints which test failed, why, and how it is run alone.
fn print_failure(reason: fmt::Arguments) {
    let current = CURRENT.try_with(1_000_000, |current| *current).flatten();
    let name = current.unwrap_or("(between tests)");
    console::print_last(format_args!("test {name} FAILED: {reason}\n"));
    console::print_last(format_args!("run it alone: ./run.sh test {name}"));
    match SEED.load(Ordering::Relaxed) {
        0 => console::print_last(format_args!("\n")),
        seed => console::print_last(format_args!(" seed={seed}\n")),
    }
    let passed = PASSED.load(Ordering::Relaxed);
    console::print_last(format_args!("{passed} passed, 1 failed\n"));
}

/// Declares a test binary: the machines it is run on and its tests, in order.
#[macro_export]
macro_rules! tests {
    (machines: [$($machine:literal),* $(,)?], tests: [$($test:ident),* $(,)?] $(,)?) => {
        fn run_tests() -> ! {
            $crate::testing::run(&[$((stringify!($test), $test)),*])
        }
        $crate::entry!(run_tests $(, machine: $machine)*);
    };
}
