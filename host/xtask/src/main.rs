//! What `./run.sh` hands over to once there is a compiler: every command that `--help` lists.
//!
//! For whoever works on the project, and for cargo, whose runner this is. The rule: the standard
//! library alone, so that `run.sh` compiles it with nothing but `rustc`.
//!
//! | room | what it does |
//! |---|---|
//! | `boot` | one run in QEMU: machine, command line, verdict; the cargo runner |
//! | `suite` | the tests: parts, filter, what may be left out |
//! | `app` | the applications' host side: what they are given, and who talks to them |
//! | `lint`, `columns`, `probe`, `bench`, `peer`, `device` | a command each, or a step of one |
//! | `proof` | what tries to break promises: a command each |
//! | `setup` | what a command needs beside a compiler: crates, QEMU, packages |
//! | `qemu` | which QEMUs there are, and one with some device |
//! | `debian` | fetching QEMUs of Debian's newer suites |
//! | `project`, `child` | calling cargo, starting programs |
//! | `files`, `report` | finding files, saying what is wrong |

mod app;
mod bench;
mod boot;
mod child;
mod columns;
mod debian;
mod device;
mod files;
mod lint;
mod mixes;
mod peer;
mod probe;
mod project;
mod proof;
mod qemu;
mod report;
mod setup;
mod suite;

use std::{env, process::ExitCode};

use boot::{emulator, machine::Variables, runner};
use project::{DEMONSTRATION, Project};
use report::{Failure, Result, fail, say};

fn main() -> ExitCode {
    let words: Vec<String> = env::args_os()
        .skip(1)
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    match run(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure::Because(reason)) => {
            say(format_args!("failed: {reason}"));
            match words.first() {
                Some(command) if command == "probe" => ExitCode::from(probe::COULD_NOT_RUN),
                _ => ExitCode::FAILURE,
            }
        }
        Err(Failure::Told(status)) => ExitCode::from(status),
    }
}

/// A command: its word, and what it does with the words behind that.
type Command = (&'static str, fn(&Project, &[String]) -> Result);

const COMMANDS: &[Command] = &[
    ("", |project, words| {
        demonstrate(project, &["--release"], words)
    }),
    ("demo", |project, words| demonstrate(project, &[], words)),
    ("test", suite::run),
    ("lint", |project, _| lint::run(project)),
    ("app", app::run),
    ("bench", bench::run),
    ("bench-guest", bench::guest),
    ("probe", probe::run),
    ("device", device::run),
    ("linux-guest", boot_linux),
    ("fuzz", proof::fuzz::run),
    ("mutants", proof::mutants::run),
    ("miri", proof::miri::run),
    ("sanitize", proof::sanitize::run),
    ("soak", proof::soak::run),
    ("deny", |project, _| proof::deny::run(project)),
    ("semver", |project, _| proof::semver::run(project)),
    ("qemu", qemu::run),
    ("setup", |project, _| say_ready(project)),
    ("env", |project, _| print_variables(project)),
];

/// Those that take no words.
const WORDLESS: [&str; 5] = ["lint", "deny", "semver", "setup", "env"];
/// That which needs nothing that is set up, and installs nothing.
const BARE: &str = "qemu";

fn run(words: &[String]) -> Result {
    let mut project = Project::find()?;
    let (name, words) = match words.split_first() {
        Some((name, words)) => (name.as_str(), words),
        None => ("", words),
    };
    let Some((_, command)) = COMMANDS.iter().find(|(own, _)| *own == name) else {
        return runner::run(&project, name, words);
    };
    if let Some(word) = words.first().filter(|_| WORDLESS.contains(&name)) {
        return fail(format_args!(
            "{name}: '{word}' means nothing to it; ./run.sh --help shows what each command takes"
        ));
    }
    if name != BARE {
        setup::run(&mut project)?;
    }
    command(&project, words)
}

/// Builds the demonstration and boots it.
fn demonstrate(project: &Project, profile: &[&str], words: &[String]) -> Result {
    Variables::read(project).check()?;
    let selection = [profile, &["-p", "kernel"], &DEMONSTRATION].concat();
    project.run_kernel("the demonstration", &selection, words)
}

/// Boots Linux with what measures its driver.
fn boot_linux(project: &Project, words: &[String]) -> Result {
    let variables = Variables::read(project);
    variables.check()?;
    peer::build(project)?;
    peer::boot(project, words, &variables)
}

/// Says with what kernels are built and run.
fn say_ready(project: &Project) -> Result {
    let qemu = emulator::version(project, &Variables::read(project))?;
    let compiler = project.toolchain();
    say(format_args!("ready: {compiler} compiler, {qemu}"));
    Ok(())
}

/// Prints what plain cargo needs to build the kernel, for a shell.
fn print_variables(project: &Project) -> Result {
    for (name, value) in project.kernel_variables() {
        println!("export {name}={value}");
    }
    Ok(())
}
