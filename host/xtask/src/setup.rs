//! What a command needs beside a compiler: crates, QEMU, and packages that only some need.
//!
//! For every command, before it does anything else. The rule: what is missing is installed, or one
//! line says what to do; each step has a time limit. How a package is installed stands in `run.sh`,
//! which needs it for the compiler, too.

use std::process::Command;

use crate::{
    boot::{emulator, machine::Variables},
    child,
    project::Project,
    report::{Result, say},
};

/// Gets what every command needs.
///
/// # Errors
///
/// Fails with what is missing, or with what is wrong with the QEMU that was asked for.
pub fn run(project: &mut Project) -> Result {
    let variables = Variables::read(project);
    let is_there = emulator::find(project, &variables)?.is_some();
    fetch_crates(project)?;
    if is_there {
        return Ok(());
    }
    match variables.suite() {
        Some(suite) => suite.fetch(project).map(drop)?,
        None => install(project, "no QEMU", &["qemu-system-x86"])?,
    }
    emulator::version(project, &variables).map(drop)
}

/// Installs packages, or lets `run.sh` say what to do instead.
///
/// # Errors
///
/// Fails once that has been said.
pub fn install(project: &Project, why: &str, packages: &[&str]) -> Result {
    child::run(run_sh(project).args(["--install", why]).args(packages))
}

/// Fetches apt's lists where this user may; what is there already may do.
///
/// # Errors
///
/// Fails when `run.sh` cannot be started.
pub fn update_lists(project: &Project) -> Result {
    child::capture(run_sh(project).arg("--update")).map(drop)
}

fn run_sh(project: &Project) -> Command {
    project.host(project.path("run.sh"))
}

/// Cargo without the network tries for minutes, and names one crate after the other.
fn fetch_crates(project: &mut Project) -> Result {
    const FETCH: [&str; 7] = [
        "fetch",
        "-q",
        "--locked",
        "--target",
        "x86_64-unknown-none",
        "--target",
        "host-tuple",
    ];
    let has_all = |ended: &child::Ended| ended.status == 0;
    let offline = child::capture(project.host_cargo(&FETCH).arg("--offline"))?;
    if has_all(&offline) {
        return Ok(());
    }
    say("fetching crates");
    let mut cargo = project.bounded("cargo");
    cargo.args(FETCH);
    cargo.env("CARGO_NET_RETRY", "1");
    cargo.env("CARGO_HTTP_TIMEOUT", "20");
    let fetched = child::capture(&mut cargo)?;
    if has_all(&fetched) {
        return Ok(());
    }
    let why = fetched.output.lines().last().unwrap_or_default().trim();
    say(format_args!(
        "crates.io cannot be reached ({why}): what has been fetched before has to do; where cargo \
         misses a package, './run.sh setup' fetches it once there is a network"
    ));
    project.go_offline();
    Ok(())
}
