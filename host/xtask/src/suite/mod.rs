//! The tests: parts of them, what each counts, and the table at their end.
//!
//! For `./run.sh test`. The rule: nothing is left out in silence, and a test that fails comes with
//! the line that runs it alone.

mod driver;
mod embedding;
mod filter;
mod https;
mod kernel;
mod left_out;
mod luks;
mod must_fail;
mod not_applying;
mod part;
mod pattern;
mod proofs;
mod refusals;
mod reports;
mod stubs;
mod tools;
mod turns;
mod whole_programs;

use std::{
    panic,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Instant,
};

use crate::{
    boot::machine::Variables,
    project::Project,
    report::{Failure, Result, fail, say},
};
use filter::Filter;
use part::Part;
use turns::Turns;

pub use driver::features;

/// What a part is called, and what runs it.
type Entry = (&'static str, fn(&mut Part) -> Result);

/// What runs on this host. What cargo builds in directories of their own comes first: it holds up
/// nothing of what is built for QEMU meanwhile.
const ON_THIS_HOST: [Entry; 10] = [
    ("the driver in somebody else's tree", embedding::run),
    (
        "the driver's lock, slots and rings under loom",
        driver::run_loom,
    ),
    ("the host's tools", tools::run),
    ("the documents", tools::run_documents),
    ("the driver on this host", driver::run),
    ("the driver on packed rings", driver::run_packed),
    (
        "our own device, and the services on it",
        driver::run_services,
    ),
    ("the applications on this host", tools::run_applications),
    (
        "the driver's features, each alone",
        driver::run_each_feature,
    ),
    ("the proofs, each for some seconds", proofs::run),
];

/// What runs in QEMU, and depends on which one that is.
const IN_QEMU: [Entry; 8] = [
    ("the kernel in QEMU", kernel::run),
    ("whole programs in QEMU", whole_programs::run),
    ("containers of LUKS in QEMU", luks::run),
    ("the HTTPS server in QEMU", https::run),
    ("reports of the probe", reports::run),
    (
        "the proofs in QEMU, each for some seconds",
        proofs::run_in_qemu,
    ),
    ("machines that lack something", refusals::run),
    ("runs that must fail", must_fail::run),
];

/// Runs every test whose name the words let through.
///
/// # Errors
///
/// Fails when a test does, or when none has such a name.
pub fn run(project: &Project, words: &[String]) -> Result {
    let (options, words): (Vec<_>, Vec<_>) =
        words.iter().cloned().partition(|it| it.starts_with('-'));
    let options: Vec<_> = options.iter().map(String::as_str).collect();
    let lanes: &[&[Entry]] = match options[..] {
        [] => &[&ON_THIS_HOST, &IN_QEMU],
        ["--host"] => &[&ON_THIS_HOST],
        ["--qemu"] => &[&IN_QEMU],
        [word, ..] => {
            return fail(format_args!(
                "test: '{word}': it takes --host or --qemu, parts of names, and key=value for \
                 what is run"
            ));
        }
    };
    Variables::read(project).check()?;
    let suite = Suite {
        project,
        filter: Filter::new(&words),
        turns: Turns::new(lanes.iter().map(|lane| lane.len()).sum()),
        is_given_up: AtomicBool::new(false),
    };
    let parts = suite.run(lanes)?;
    suite.finish(&parts)
}

/// The tests of a run.
struct Suite<'a> {
    project: &'a Project,
    filter: Filter,
    turns: Turns,
    /// A part could not be run, so no other one is begun.
    is_given_up: AtomicBool,
}

impl Suite<'_> {
    /// Runs lanes beside each other, and one part of each after the other: QEMU keeps about one CPU
    /// busy, and what is built meanwhile the others.
    fn run(&self, lanes: &[&[Entry]]) -> Result<Vec<Part<'_>>> {
        thread::scope(|scope| {
            let mut first = 0;
            let mut threads = Vec::new();
            for lane in lanes {
                let numbered = (first..).zip(*lane);
                first += lane.len();
                threads.push(scope.spawn(move || self.run_lane(numbered)));
            }
            let mut parts = Vec::new();
            for thread in threads {
                let lane = thread.join();
                parts.extend(lane.unwrap_or_else(|panic| panic::resume_unwind(panic))?);
            }
            Ok(parts)
        })
    }

    fn run_lane<'e>(
        &self,
        entries: impl Iterator<Item = (usize, &'e Entry)>,
    ) -> Result<Vec<Part<'_>>> {
        let (mut parts, mut given_up) = (Vec::new(), Ok(()));
        for (number, entry) in entries {
            if !self.is_given_up.load(Ordering::Relaxed) {
                match self.run_part(number, entry) {
                    Ok(part) => {
                        parts.push(part);
                        continue;
                    }
                    Err(because) => {
                        self.is_given_up.store(true, Ordering::Relaxed);
                        given_up = Err(because);
                    }
                }
            }
            // What other parts print has its turn all the same.
            self.turns.printer(number).end()?;
        }
        given_up.map(|()| parts)
    }

    fn run_part(&self, number: usize, (name, run): &Entry) -> Result<Part<'_>> {
        let printer = self.turns.printer(number);
        let mut part = Part::new(self.project, self.filter.clone(), name, printer);
        let start = Instant::now();
        match run(&mut part) {
            Ok(()) => {}
            // What it ran has told why.
            Err(Failure::Told(_)) => part.count_failure(name, "./run.sh test"),
            Err(because) => {
                say(format_args!(
                    "{name}: {}; no other part is begun",
                    because.reason()
                ));
                return Err(because);
            }
        }
        part.seconds = start.elapsed().as_secs_f64();
        part.end()?;
        Ok(part)
    }

    fn finish(&self, parts: &[Part]) -> Result {
        let passed: u32 = parts.iter().map(|part| part.passed).sum();
        let failed: u32 = parts.iter().map(|part| part.failed).sum();
        println!("\n=== all");
        if parts.iter().all(Part::is_empty) {
            return fail(format_args!("no test matches '{}'", self.filter));
        }
        println!(
            "{:<46} {:>6} {:>6} {:>8}",
            "part", "passed", "failed", "seconds"
        );
        for part in parts {
            let Part {
                name,
                passed,
                failed,
                seconds,
                ..
            } = part;
            if part.is_empty() && !self.filter.lets_all_through() {
                println!("{name:<46} left out: no such name in it");
            } else {
                println!("{name:<46} {passed:>6} {failed:>6} {seconds:>8.1}");
            }
        }
        for line in parts.iter().flat_map(|part| &part.left_out) {
            println!("left out: {line}");
        }
        let not_applying = parts.iter().flat_map(|part| &part.not_applying);
        for (name, says, times) in not_applying {
            println!("does not apply: {name} ({times} runs): {says}");
        }
        for (name, alone) in parts.iter().flat_map(|part| &part.failures) {
            println!("failed: {name}\n    alone: {alone}");
        }
        println!("{passed} passed, {failed} failed");
        if failed == 0 {
            Ok(())
        } else {
            Err(Failure::Told(1))
        }
    }
}
