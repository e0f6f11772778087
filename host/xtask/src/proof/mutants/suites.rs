//! Tests of the copy: built by cargo, and run one at a time without it.
//!
//! The rule: only a test that ran and failed counts as one that noticed something; a program
//! that does not build proves nothing.

use std::{path::PathBuf, process::Command};

use super::{
    list::{Suite, Test},
    tree::Tree,
};
use crate::{
    child,
    project::Project,
    report::{Result, fail},
};

/// Seconds that a build may take.
const BUILD_LIMIT: &str = "900";
/// Seconds that a test may take, and one that is to hang.
const TEST_LIMIT: &str = "120";
const HANG_LIMIT: &str = "20";

/// The driver without what takes longer to make than it saves. The number is nobody else's: cargo
/// names what it builds by such options and not by the folder, and what is built of the copy must
/// never take the place of what is built of the checkout.
pub const QUICK: [&str; 3] = ["opt-level=0", "debug=0", "codegen-units=15"];

/// How a test ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Passed,
    Failed,
    /// It did not end in time.
    Hung,
    /// There is no such test.
    Missing,
}

/// A program of tests that has been built.
#[derive(Debug)]
pub struct Program {
    suite: Suite,
    path: PathBuf,
}

/// Builds the tests of a suite from the copy; cargo's words if they do not build.
///
/// # Errors
///
/// Fails where cargo cannot be started.
pub fn build(
    project: &Project,
    tree: &Tree,
    suite: Suite,
) -> Result<std::result::Result<Program, String>> {
    let words: &[&str] = match suite {
        Suite::Driver => &["host-test", "--all-features", "--lib", "--no-run"],
        Suite::Loom => &["host-test", "--lib", "--no-run"],
        Suite::Services => &[
            "test",
            "--target",
            "host-tuple",
            "-p",
            "services",
            "--all-features",
            "--lib",
            "--no-run",
        ],
    };
    let mut cargo = match suite {
        Suite::Loom => project.loom_cargo(&[]),
        Suite::Driver | Suite::Services => {
            let mut cargo = project.host_cargo(&[]);
            // Where everything else is built: what the driver depends on is there.
            cargo.env("CARGO_TARGET_DIR", project.target(""));
            cargo
        }
    };
    for option in QUICK {
        let option = format!("profile.dev.package.virtio-crypto.{option}");
        cargo.args(["--config", &option]);
    }
    cargo.args(words).current_dir(tree.path(""));
    let mut bounded = bounded(&cargo, BUILD_LIMIT);
    let ended = child::watch(&mut bounded, "mutants: cargo")?;
    if ended.status != 0 {
        return Ok(Err(ended.output));
    }
    let name = ended.output.lines().find_map(|line| {
        let (_, rest) = line
            .trim()
            .split_once("Executable unittests src/lib.rs (")?;
        rest.strip_suffix(')')
    });
    let Some(name) = name else {
        return fail(format_args!(
            "mutants: cargo names no program: {}",
            ended.output
        ));
    };
    let path = tree.path(name);
    Ok(Ok(Program { suite, path }))
}

/// The same command, for so many seconds at most.
fn bounded(command: &Command, seconds: &str) -> Command {
    let mut bounded = Command::new("timeout");
    bounded
        .args(["-k", "5", seconds])
        .arg(command.get_program());
    bounded.args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => bounded.env(name, value),
            None => bounded.env_remove(name),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        bounded.current_dir(folder);
    }
    bounded
}

impl Program {
    /// Runs one test.
    ///
    /// # Errors
    ///
    /// Fails where the program cannot be started.
    pub fn run(&self, tree: &Tree, test: &Test) -> Result<Outcome> {
        let folder = match self.suite {
            Suite::Driver | Suite::Loom => "driver",
            Suite::Services => "host/services",
        };
        let mut program = Command::new(&self.path);
        program.args(["--exact", &test.name, "--test-threads=1"]);
        program.current_dir(tree.path(folder));
        // What is printed of a panic that is wanted takes longer than all else.
        program.env("RUST_BACKTRACE", "0").env_remove("RING");
        if let Some(ring) = &test.ring {
            program.env("RING", ring);
        }
        let limit = if test.hangs { HANG_LIMIT } else { TEST_LIMIT };
        let ended = child::watch(&mut bounded(&program, limit), &test.name)?;
        Ok(judge(ended.status, &ended.output))
    }
}

fn judge(status: i32, output: &str) -> Outcome {
    match status {
        124 | 137 => Outcome::Hung,
        0 if output.contains("running 0 tests") => Outcome::Missing,
        0 => Outcome::Passed,
        // 101 of the harness, or a signal: a panic in a panic, an access to no memory.
        _ => Outcome::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_test_that_ran_and_failed_has_noticed() {
        assert_eq!(judge(0, "running 1 test\n.."), Outcome::Passed);
        assert_eq!(judge(101, "running 1 test\n.."), Outcome::Failed);
        assert_eq!(judge(134, "running 1 test\n"), Outcome::Failed);
        assert_eq!(judge(124, "running 1 test\n"), Outcome::Hung);
        assert_eq!(judge(0, "\nrunning 0 tests\n"), Outcome::Missing);
    }

    #[test]
    fn a_command_keeps_its_variables_and_folder_under_a_limit() {
        let mut command = Command::new("sh");
        command.args(["-c", "pwd; echo $A; sleep 30"]).env("A", "b");
        command.current_dir("/");
        let ended = child::capture(&mut bounded(&command, "1")).unwrap();
        assert_eq!((ended.status, &*ended.output), (124, "/\nb\n"));
    }
}
