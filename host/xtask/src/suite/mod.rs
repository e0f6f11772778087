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
mod pattern;
mod refusals;
mod tools;
mod whole_programs;

use std::{io::Write, process::Command, time::Instant};

use crate::{
    boot::machine::Variables,
    child,
    project::Project,
    report::{Failure, Result, fail, quote},
};
use filter::Filter;

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
    Variables::read().check()?;
    let mut suite = Suite::new(project, Filter::new(words));
    suite.part("the host's tools", tools::run)?;
    suite.part("the documents", tools::run_documents)?;
    suite.part("the driver on this host", driver::run)?;
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

/// A part of the tests, with what came of it so far.
#[derive(Debug)]
struct Part<'a> {
    project: &'a Project,
    filter: Filter,
    name: &'static str,
    passed: u32,
    failed: u32,
    seconds: f64,
    /// What failed, with the line that runs it alone.
    failures: Vec<(String, String)>,
    left_out: Vec<String>,
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
        let mut part = Part {
            project: self.project,
            filter: self.filter.clone(),
            name,
            passed: 0,
            failed: 0,
            seconds: 0.,
            failures: Vec::new(),
            left_out: Vec::new(),
        };
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
        if passed + failed == 0 {
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
            if passed + failed == 0 && !self.filter.lets_all_through() {
                println!("{name:<42} left out: no such name in it");
            } else {
                println!("{name:<42} {passed:>6} {failed:>6} {seconds:>8.1}");
            }
        }
        for line in self.parts.iter().flat_map(|part| &part.left_out) {
            println!("left out: {line}");
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

impl Part<'_> {
    /// Says which part this is; whoever has something to run begins by it.
    fn begin(&self) {
        println!("\n=== {}", self.name);
    }

    fn count_failure(&mut self, name: &str, alone: &str) {
        self.failed += 1;
        self.failures.push((name.to_owned(), alone.to_owned()));
    }

    /// Runs a test: prints how it ended; of one that failed what was expected, what it got, and how
    /// to run it alone.
    fn check(&mut self, name: &str, test: impl FnOnce() -> std::result::Result<(), String>) {
        let alone = format!("./run.sh test {}", quote(name));
        self.check_alone(name, &alone, test);
    }

    /// The same, for what something else than its name runs alone.
    fn check_alone(
        &mut self,
        name: &str,
        alone: &str,
        test: impl FnOnce() -> std::result::Result<(), String>,
    ) {
        print!("test {name} ... ");
        let _ = std::io::stdout().flush();
        match test() {
            Ok(()) => {
                println!("ok");
                self.passed += 1;
            }
            Err(reason) => {
                println!("FAILED\n{}\nalone: {alone}", reason.trim_end());
                self.count_failure(name, alone);
            }
        }
    }

    /// Runs test binaries by cargo, shows what they print and adds up their closing lines.
    fn cargo(&mut self, cargo: &mut Command) -> Result {
        let ended = child::tee(cargo, self.name)?;
        let counts = Counts::read(&ended.output);
        self.passed += counts.passed;
        self.failed += counts.failed;
        for name in &counts.failures {
            let alone = format!("./run.sh test {}", quote(name));
            self.failures.push((name.clone(), alone));
        }
        // Whatever fails without saying how many is one failure.
        if ended.status != 0 && counts.failed == 0 {
            let alone = match self.filter.to_string() {
                words if words.is_empty() => "./run.sh test".to_owned(),
                words => format!("./run.sh test {words}"),
            };
            self.count_failure(self.name, &alone);
        }
        if counts.ignored > 0 {
            println!("{} tests are marked as ignored: no test is", counts.ignored);
            self.count_failure("no_test_is_ignored", "./run.sh test");
        }
        Ok(())
    }

    /// Leaves out a test that needs what this machine lacks, if that is allowed to be left out.
    fn leave_out(&mut self, name: &str) {
        match left_out::reason(name) {
            Some(reason) => {
                println!("test {name} ... left out: {reason}");
                self.left_out.push(format!("{name}: {reason}"));
            }
            None => self.check(name, || {
                Err("left out, and host/xtask/src/suite/left_out.rs does not allow it".to_owned())
            }),
        }
    }
}

/// What closing lines say.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    passed: u32,
    failed: u32,
    ignored: u32,
    failures: Vec<String>,
}

impl Counts {
    fn read(output: &str) -> Self {
        let mut counts = Self::default();
        for line in output.lines().map(str::trim_end) {
            // `test result: ok. 3 passed; 0 failed; 1 ignored; ..`, and `3 passed, 0 failed`.
            let fields = match line.strip_prefix("test result: ") {
                Some(result) => result.split_once(". ").map_or("", |(_, fields)| fields),
                None => line,
            };
            let fields: Vec<_> = fields.split([';', ',']).map(field).collect();
            if let [
                Some((passed, "passed")),
                Some((failed, "failed")),
                rest @ ..,
            ] = &fields[..]
            {
                counts.passed += passed;
                counts.failed += failed;
                if let [Some((ignored, "ignored")), ..] = rest {
                    counts.ignored += ignored;
                }
            } else if let Some(name) = failed_name(line) {
                counts.failures.push(name.to_owned());
            }
        }
        counts
    }
}

fn field(text: &str) -> Option<(u32, &str)> {
    let (number, word) = text.trim().split_once(' ')?;
    Some((number.parse().ok()?, word))
}

/// Returns the name in `---- NAME stdout ----` (the host's harness) or `test NAME FAILED: ..` (the
/// kernel's).
fn failed_name(line: &str) -> Option<&str> {
    let host = line
        .strip_prefix("---- ")
        .and_then(|line| line.strip_suffix(" stdout ----"));
    host.or_else(|| {
        let (name, _) = line.strip_prefix("test ")?.split_once(" FAILED: ")?;
        Some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_lines_add_up() {
        let output = "test a ... ok\r\n3 passed, 0 failed\r\n\
            test result: ok. 5 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out\n\
            test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured\n\
            10 passed, 0 failed of others\n";
        let counts = Counts::read(output);
        assert_eq!((counts.passed, counts.failed, counts.ignored), (9, 2, 1));
    }

    #[test]
    fn failed_tests_are_named() {
        let output =
            "---- queue::tests::a stdout ----\ntest b FAILED: panic: c\ntest d ... FAILED\n";
        assert_eq!(Counts::read(output).failures, ["queue::tests::a", "b"]);
    }
}
