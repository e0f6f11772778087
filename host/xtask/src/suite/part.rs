//! One part of the tests: what it counts, and how each of its tests is told of.
//!
//! For the files that stand for a part. The rule: each test ends in one line, and one that fails
//! comes with the line that runs it alone.

use std::{fmt::Display, process::Command};

use super::{filter::Filter, left_out, not_applying, turns::Printer};
use crate::{
    boot::{emulator, machine::Variables, runner::OWN_LEFT_OUT},
    child,
    project::Project,
    report::{Result, fail, quote, say},
};

/// A part of the tests, with what came of it so far.
#[derive(Debug)]
pub struct Part<'a> {
    pub project: &'a Project,
    pub filter: Filter,
    pub name: &'static str,
    printer: Printer<'a>,
    pub passed: u32,
    pub failed: u32,
    pub seconds: f64,
    /// What failed, with the line that runs it alone.
    pub failures: Vec<(String, String)>,
    pub left_out: Vec<String>,
    /// What does not apply to the device, with what that lacks, and how often that was said.
    pub not_applying: Vec<(String, String, u32)>,
}

impl<'a> Part<'a> {
    /// Returns a part of which nothing has run yet.
    pub fn new(
        project: &'a Project,
        filter: Filter,
        name: &'static str,
        printer: Printer<'a>,
    ) -> Self {
        Self {
            project,
            filter,
            name,
            printer,
            passed: 0,
            failed: 0,
            seconds: 0.,
            failures: Vec::new(),
            left_out: Vec::new(),
            not_applying: Vec::new(),
        }
    }

    /// Tells whether there was nothing to run.
    pub fn is_empty(&self) -> bool {
        self.passed + self.failed == 0 && self.not_applying.is_empty() && self.left_out.is_empty()
    }

    /// Says which part this is; whoever has something to run begins by it.
    pub fn begin(&self) {
        self.print_line(format_args!("\n=== {}", self.name));
        if self.printer.is_held() {
            say(format_args!("meanwhile: {}", self.name));
        }
    }

    /// Ends the part.
    ///
    /// # Errors
    ///
    /// Fails when nobody reads what it printed.
    pub fn end(&self) -> Result {
        if self.printer.is_held() && !self.is_empty() {
            let Self {
                name,
                passed,
                failed,
                ..
            } = self;
            say(format_args!(
                "meanwhile: {name}: {passed} passed, {failed} failed"
            ));
        }
        Ok(self.printer.end()?)
    }

    /// Prints a line of this part.
    pub fn print_line(&self, line: impl Display) {
        self.print(format_args!("{line}\n"));
    }

    fn print(&self, text: impl Display) {
        // Whether somebody reads it is noticed where programs' lines are shown.
        let _ = self.printer.write(text.to_string().as_bytes());
    }

    /// Builds something of the kernel and shows how it goes on; `what` names it.
    ///
    /// # Errors
    ///
    /// Fails with cargo's status.
    pub fn build_kernel(&self, what: &str, arguments: &[&str]) -> Result {
        let mut cargo = self.project.kernel_cargo(arguments);
        child::build_showing(&mut cargo, what, |bytes| self.printer.write(bytes))
    }

    /// Returns those of `tests` that the filter wants, and begins the part with them; `None` where
    /// it wants none.
    pub fn begin_with<'t, T>(&self, tests: &'t [T], name: fn(&T) -> &str) -> Option<Vec<&'t T>> {
        let wants = |test: &&T| self.filter.wants(name(test));
        let wanted: Vec<_> = tests.iter().filter(wants).collect();
        if wanted.is_empty() {
            return None;
        }
        self.begin();
        Some(wanted)
    }

    pub fn count_failure(&mut self, name: &str, alone: &str) {
        self.failed += 1;
        self.failures.push((name.to_owned(), alone.to_owned()));
    }

    /// Runs a test that fails as everything else in here does.
    pub fn check_run(&mut self, name: &str, test: impl FnOnce() -> Result) {
        self.check(name, || {
            test().map_err(|failure| failure.reason().to_owned())
        });
    }

    /// Runs a test: prints how it ended; of one that failed what was expected, what it got, and how
    /// to run it alone.
    pub fn check(&mut self, name: &str, test: impl FnOnce() -> std::result::Result<(), String>) {
        let alone = format!("./run.sh test {}", quote(name));
        self.check_alone(name, &alone, test);
    }

    /// The same, for what something else than its name runs alone.
    pub fn check_alone(
        &mut self,
        name: &str,
        alone: &str,
        test: impl FnOnce() -> std::result::Result<(), String>,
    ) {
        self.print(format_args!("test {name} ... "));
        match test() {
            Ok(()) => {
                self.print_line("ok");
                self.passed += 1;
            }
            Err(reason) => {
                let reason = reason.trim_end();
                self.print_line(format_args!("FAILED\n{reason}\nalone: {alone}"));
                self.count_failure(name, alone);
            }
        }
    }

    /// Runs a test of what cargo has to build.
    pub fn check_builds(&mut self, name: &str, cargo: &mut Command) {
        self.check(name, || {
            let ended = child::capture(cargo).map_err(|failure| format!("{failure:?}"))?;
            match ended.status {
                0 => Ok(()),
                status => Err(format!(
                    "expected: it builds\ngot: status {status} and\n{}",
                    ended.output
                )),
            }
        });
    }

    /// Runs test binaries by cargo, shows what they print and adds up their closing lines.
    pub fn cargo(&mut self, cargo: &mut Command) -> Result {
        let ended = child::tee(cargo, self.name, |bytes| self.printer.write(bytes))?;
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
        for (name, says) in counts.not_applying {
            self.note_not_applying(&name, &says)?;
        }
        for machine in &counts.left_out {
            self.leave_out(&format!("device_of_our_own: {machine}"));
        }
        if counts.ignored > 0 {
            let ignored = counts.ignored;
            self.print_line(format_args!(
                "{ignored} tests are marked as ignored: no test is"
            ));
            self.count_failure("no_test_is_ignored", "./run.sh test");
        }
        Ok(())
    }

    /// Notes that a test said that it does not apply to the device, if it is allowed to.
    fn note_not_applying(&mut self, name: &str, says: &str) -> Result {
        let noted = self.not_applying.iter_mut();
        let mut noted = noted.filter(|(test, said, _)| test == name && said == says);
        if let Some((_, _, times)) = noted.next() {
            *times += 1;
            return Ok(());
        }
        let line = emulator::version(self.project, &Variables::read(self.project))?;
        let Some(qemu) = emulator::version_of(&line) else {
            return fail(line);
        };
        match not_applying::check(name, says, qemu) {
            Ok(()) => {
                let noted = (name.to_owned(), says.to_owned(), 1);
                self.not_applying.push(noted);
            }
            Err(reason) => self.check(name, || Err(reason)),
        }
        Ok(())
    }

    /// Leaves out a test that needs what this machine lacks, if that is allowed to be left out.
    pub fn leave_out(&mut self, name: &str) {
        match left_out::reason(name) {
            Some(reason) => {
                self.print_line(format_args!("test {name} ... left out: {reason}"));
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
    /// Names, and what the device lacks.
    not_applying: Vec<(String, String)>,
    /// Binaries and machines for which there is no QEMU.
    left_out: Vec<String>,
}

impl Counts {
    fn read(output: &str) -> Self {
        let mut counts = Self::default();
        // The kernel's harness says how a test ended behind whatever the test prints.
        let mut test = "";
        for line in output.lines().map(str::trim_end) {
            if let Some((name, _)) = line
                .strip_prefix("test ")
                .and_then(|it| it.split_once(" ... "))
            {
                test = name;
            }
            if let Some((before, says)) = line.split_once("does not apply: ")
                && (before.is_empty() || before.starts_with("test "))
            {
                let noted = (test.to_owned(), says.to_owned());
                counts.not_applying.push(noted);
            }
            if let Some(machine) = line.strip_prefix(OWN_LEFT_OUT) {
                counts.left_out.push(machine.to_owned());
            }
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
    fn machines_that_are_left_out_are_named() {
        let output = format!("{OWN_LEFT_OUT}own-1 on own=queues=2 smp=2\n3 passed, 0 failed\n");
        let counts = Counts::read(&output);
        assert_eq!(counts.left_out, ["own-1 on own=queues=2 smp=2"]);
        assert_eq!(counts.passed, 3);
    }

    #[test]
    fn tests_that_do_not_apply_are_named() {
        let output = "test a ... ok\ntest b ... does not apply: no X\r\ntest c ... qemu: says\n\
            does not apply: no Y\n it does not apply: z\n";
        let counts = Counts::read(output);
        let expected = [("b", "no X"), ("c", "no Y")];
        let expected = expected.map(|(name, says)| (name.to_owned(), says.to_owned()));
        assert_eq!(counts.not_applying, expected);
    }

    #[test]
    fn failed_tests_are_named() {
        let output =
            "---- queue::tests::a stdout ----\ntest b FAILED: panic: c\ntest d ... FAILED\n";
        assert_eq!(Counts::read(output).failures, ["queue::tests::a", "b"]);
    }
}
