//! The tests: parts of them, what each counts, and the table at their end.
//!
//! For `./run.sh test`. The rule: nothing is left out in silence, and a test that fails comes with
//! the line that runs it alone.

mod driver;
mod embedding;
mod filter;
mod kernel;
mod left_out;
mod must_fail;
mod not_applying;
mod part;
mod pattern;
mod refusals;
mod stubs;
mod tools;
mod whole_programs;

use std::time::Instant;

use crate::{
    boot::machine::Variables,
    project::Project,
    report::{Failure, Result, fail},
};
use filter::Filter;
use part::Part;

pub use driver::features;

/// Runs every test whose name the words let through.
///
/// # Errors
///
/// Fails when a test does, or when none has such a name.
pub fn run(project: &Project, words: &[String]) -> Result {
    if let Some(word) = words.iter().find(|word| word.starts_with('-')) {
        return fail(format_args!(
            "test: '{word}': it takes parts of names, and key=value for what is run"
        ));
    }
    Variables::read(project).check()?;
    let mut suite = Suite::new(project, Filter::new(words));
    suite.part("the host's tools", tools::run)?;
    suite.part("the documents", tools::run_documents)?;
    suite.part("the driver on this host", driver::run)?;
    suite.part("the driver on packed rings", driver::run_packed)?;
    suite.part(
        "the driver's services on the device library",
        driver::run_services,
    )?;
    suite.part(
        "the driver's features, each alone",
        driver::run_each_feature,
    )?;
    suite.part("the driver in somebody else's tree", embedding::run)?;
    suite.part("the driver's lock and slots under loom", driver::run_loom)?;
    suite.part("the kernel in QEMU", kernel::run)?;
    suite.part("whole programs in QEMU", whole_programs::run)?;
    suite.part("machines that lack something", refusals::run)?;
    suite.part("runs that must fail", must_fail::run)?;
    suite.finish()
}

/// The tests of a run.
struct Suite<'a> {
    project: &'a Project,
    filter: Filter,
    parts: Vec<Part<'a>>,
}

impl<'a> Suite<'a> {
    fn new(project: &'a Project, filter: Filter) -> Self {
        let parts = Vec::new();
        Self {
            project,
            filter,
            parts,
        }
    }

    fn part(&mut self, name: &'static str, run: impl FnOnce(&mut Part<'a>) -> Result) -> Result {
        let mut part = Part::new(self.project, self.filter.clone(), name);
        let start = Instant::now();
        match run(&mut part) {
            Ok(()) => {}
            // What it ran has told why.
            Err(Failure::Told(_)) => part.count_failure(name, "./run.sh test"),
            Err(because) => return Err(because),
        }
        part.seconds = start.elapsed().as_secs_f64();
        self.parts.push(part);
        Ok(())
    }

    fn finish(self) -> Result {
        let passed: u32 = self.parts.iter().map(|part| part.passed).sum();
        let failed: u32 = self.parts.iter().map(|part| part.failed).sum();
        println!("\n=== all");
        if self.parts.iter().all(Part::is_empty) {
            return fail(format_args!("no test matches '{}'", self.filter));
        }
        println!(
            "{:<42} {:>6} {:>6} {:>8}",
            "part", "passed", "failed", "seconds"
        );
        for part in &self.parts {
            let Part {
                name,
                passed,
                failed,
                seconds,
                ..
            } = part;
            if part.is_empty() && !self.filter.lets_all_through() {
                println!("{name:<42} left out: no such name in it");
            } else {
                println!("{name:<42} {passed:>6} {failed:>6} {seconds:>8.1}");
            }
        }
        for line in self.parts.iter().flat_map(|part| &part.left_out) {
            println!("left out: {line}");
        }
        let not_applying = self.parts.iter().flat_map(|part| &part.not_applying);
        for (name, says, times) in not_applying {
            println!("does not apply: {name} ({times} runs): {says}");
        }
        for (name, alone) in self.parts.iter().flat_map(|part| &part.failures) {
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
