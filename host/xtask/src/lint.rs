//! Formatting, clippy, documentation, packaging and columns, with warnings denied.
//!
//! For `./run.sh lint`. The rule: each step is named before it runs, and the first that fails ends
//! it.

use std::{path::Path, process::Command};

use crate::{
    child, columns,
    files::program,
    project::{DEBIAN_RUSTC, Project},
    report::{Failure, Result, fail, say},
    setup, suite,
};

const DENY: [&str; 3] = ["--", "-D", "warnings"];
const KERNEL: [&str; 9] = [
    "-q",
    "-p",
    "kernel",
    "--all-features",
    "--lib",
    "--bins",
    "--tests",
    "--benches",
    "--examples",
];

/// What applications are made of, for the same target.
const APPLICATIONS: [&str; 11] = [
    "-q",
    "-p",
    "common",
    "-p",
    "https",
    "-p",
    "luks",
    "--features",
    "luks/usage",
    "--lib",
    "--bins",
];
/// And their tests that are booted.
const BOOTED_TESTS: [&str; 4] = ["-q", "-p", "common", "--tests"];

/// Runs every step.
///
/// # Errors
///
/// Fails with the first step that does.
pub fn run(project: &Project) -> Result {
    set_up(project)?;
    let host = |arguments: &[&str]| project.host_cargo(arguments);
    step(&mut host(&["fmt", "--all", "--check"]))?;
    let clippy = ["host-clippy", "-q", "--all-features"];
    step(&mut host(&[&clippy[..], &DENY].concat()))?;
    // The library of host/fuzz is the driver once more, whose tests have other dependencies.
    let clippy = ["clippy", "-q", "--target", "host-tuple", "-p", "fuzz"];
    let targets = ["--lib", "--bins", "--all-features"];
    step(&mut host(&[&clippy[..], &targets, &DENY].concat()))?;
    for feature in suite::features(project)? {
        let clippy = [
            "clippy",
            "-q",
            "--target",
            "host-tuple",
            "-p",
            "virtio-crypto",
        ];
        let alone = ["--no-default-features", "--features", &feature];
        step(&mut host(&[&clippy[..], &alone, &DENY].concat()))?;
    }
    let clippy = [
        "clippy",
        "-q",
        "--target",
        "host-tuple",
        "-p",
        "virtio-crypto",
        "--tests",
    ];
    step(&mut project.loom_cargo(&[&clippy[..], &DENY].concat()))?;
    step(&mut kernel_clippy(project, &KERNEL))?;
    step(&mut kernel_clippy(project, &APPLICATIONS))?;
    step(&mut kernel_clippy(project, &BOOTED_TESTS))?;
    let doc = ["host-doc", "-q", "--all-features"];
    step(host(&doc).env("RUSTDOCFLAGS", "-D warnings"))?;
    package(project)?;
    let doc = ["doc", "-q", "-p", "kernel", "--lib", "--no-deps"];
    step(
        project
            .kernel_cargo(&doc)
            .env("RUSTDOCFLAGS", "-D warnings"),
    )?;
    columns::check(project)
}

/// Gets what no other command needs.
fn set_up(project: &Project) -> Result {
    if program("cargo-fmt").is_none() {
        setup::install(project, "no rustfmt", &["rustfmt-web"])?;
    }
    let clippy = Path::new(DEBIAN_RUSTC).with_file_name("cargo-clippy");
    if project.has_debian_toolchain() && !clippy.is_file() {
        let why = format!("no clippy beside {DEBIAN_RUSTC}");
        setup::install(project, &why, &["rust-web-clippy"])?;
    }
    Ok(())
}

fn name(command: &Command) -> String {
    let mut words = vec![command.get_program()];
    words.extend(command.get_args());
    let words: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
    words.join(" ")
}

fn step(command: &mut Command) -> Result {
    let name = name(command);
    say(&name);
    let ended = child::tee(command, &name, child::to_stdout)?;
    if ended.status == 0 {
        Ok(())
    } else {
        fail(name)
    }
}

/// The crate as it would be published, built. Warnings of packaging are all that no other step
/// sees; what cargo leaves to say is that nothing is uploaded.
fn package(project: &Project) -> Result {
    let publish = [
        "publish",
        "--dry-run",
        "--allow-dirty",
        "--target",
        "host-tuple",
    ];
    let mut cargo = project.host_cargo(&[&publish[..], &["-p", "virtio-crypto"]].concat());
    let name = name(&cargo);
    say(&name);
    let ended = child::capture(&mut cargo)?;
    let mut lines = ended.output.lines();
    let is_warning = |line: &str| line.starts_with("warning") && !line.contains("due to dry run");
    if ended.status == 0 && !lines.any(is_warning) {
        return Ok(());
    }
    eprint!("{}", ended.output);
    Err(Failure::Because(name))
}

/// Clippy has to be of one version with the compiler.
fn kernel_clippy(project: &Project, what: &[&str]) -> Command {
    let arguments = [&["clippy"], what, &DENY].concat();
    if !project.has_debian_toolchain() {
        return project.kernel_cargo(&arguments);
    }
    let debian_cargo = Path::new(DEBIAN_RUSTC).with_file_name("cargo");
    let program = if debian_cargo.is_file() {
        "/usr/bin/cargo"
    } else {
        "cargo"
    };
    let mut cargo = project.kernel_cargo_by(program, &arguments);
    let path = std::env::var("PATH").unwrap_or_default();
    cargo.env("PATH", format!("/usr/bin:{path}"));
    cargo.env("CARGO_TARGET_DIR", project.target("clippy"));
    cargo
}
