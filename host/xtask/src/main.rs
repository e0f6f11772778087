//! What `./run.sh` hands over to once the machine is set up: every command that `--help` lists.
//!
//! For whoever works on the project, and for cargo, whose runner this is. The rule: the standard
//! library alone, so that `run.sh` compiles it with nothing but `rustc`.
//!
//! | room | what it does |
//! |---|---|
//! | `boot` | one run in QEMU: machine, command line, verdict; the cargo runner |
//! | `suite` | the tests: parts, filter, what may be left out |
//! | `lint`, `probe`, `bench`, `peer` | a command each |
//! | `project`, `child`, `files`, `report` | calling cargo, starting programs, saying what is wrong |

mod bench;
mod boot;
mod child;
mod files;
mod lint;
mod peer;
mod probe;
mod project;
mod report;
mod suite;

use std::{env, process::ExitCode};

use boot::{machine::Variables, runner};
use project::Project;
use report::{Failure, Result, say};

fn main() -> ExitCode {
    let words: Vec<String> = env::args_os()
        .skip(1)
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    match run(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Because(reason)) => {
            say(format_args!("failed: {reason}"));
            ExitCode::FAILURE
        }
        Err(Failure::Told(status)) => ExitCode::from(status),
    }
}

fn run(words: &[String]) -> Result {
    let project = Project::find()?;
    let (command, words) = match words.split_first() {
        Some((command, words)) => (command.as_str(), words),
        None => ("", words),
    };
    match command {
        "" => demonstrate(&project, &["--release"], words),
        "demo" => demonstrate(&project, &[], words),
        "test" => suite::run(&project, words),
        "lint" => lint::run(&project),
        "bench" => bench::run(&project, words),
        "bench-guest" => bench::guest(&project, words),
        "probe" => probe::run(&project, words),
        "linux-guest" => {
            let variables = Variables::read();
            variables.check()?;
            peer::build(&project)?;
            peer::boot(&project, words, &variables)
        }
        "setup" => {
            let qemu = probe::qemu_version(&project, &Variables::read())?;
            say(format_args!(
                "ready: {} compiler, {qemu}",
                project.toolchain()
            ));
            Ok(())
        }
        "env" => {
            for (name, value) in project.kernel_variables() {
                println!("export {name}={value}");
            }
            Ok(())
        }
        elf => runner::run(elf, words),
    }
}

/// Builds the demonstration and boots it.
fn demonstrate(project: &Project, profile: &[&str], words: &[String]) -> Result {
    Variables::read().check()?;
    // With what counts the CPUs' time.
    let selection = ["-p", "kernel", "--features", "usage", "--bin", "demo"];
    let selection = [profile, &selection].concat();
    project.run_kernel("the demonstration", &selection, words)
}
