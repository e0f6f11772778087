//! Rust's nightly, and what comes with it alone: Miri, and the sanitizers.
//!
//! For the commands of this room, and for the tests, which use what is there and fetch nothing. The
//! rule: the nightly that is there is taken, whichever it is.

use std::{path::PathBuf, process::Command};

use super::tools::{last_line, time_is_over};
use crate::{
    child,
    files::program,
    project::Project,
    report::{Result, fail, say},
};

/// What a proof needs of a nightly beside the compiler, by rustup's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Component {
    /// The interpreter that finds undefined behaviour.
    Miri,
    /// The source of the standard library, which some sanitizers have to see.
    Source,
}

impl Component {
    fn name(self) -> &'static str {
        match self {
            Self::Miri => "miri",
            Self::Source => "rust-src",
        }
    }

    /// What it brings, below where a toolchain lies.
    fn brings(self) -> &'static str {
        match self {
            Self::Miri => "bin/cargo-miri",
            Self::Source => "lib/rustlib/src/rust/library/Cargo.lock",
        }
    }
}

/// Tells whether there is a nightly with these components.
pub fn has_nightly(project: &Project, components: &[Component]) -> bool {
    let mut rustc = project.host("rustc");
    // Without this rustup would try to fetch a toolchain that is missing.
    rustc.env("RUSTUP_AUTO_INSTALL", "0");
    let Ok(ended) = child::capture(rustc.args(["+nightly", "--print", "sysroot"])) else {
        return false;
    };
    let sysroot = PathBuf::from(ended.output.trim());
    let has = |component: &Component| sysroot.join(component.brings()).is_file();
    ended.status == 0 && components.iter().all(has)
}

/// Gets a nightly with these components, if it is not there.
///
/// # Errors
///
/// Fails with what rustup said, or where there is none.
pub fn get_nightly(project: &Project, components: &[Component]) -> Result {
    if has_nightly(project, components) {
        return Ok(());
    }
    let names: Vec<_> = components.iter().map(|it| it.name()).collect();
    let what = names.join(",");
    let by_hand = format!("rustup toolchain install nightly --profile minimal --component {what}");
    if program("rustup").is_none() {
        return fail(format_args!(
            "no rustup to fetch Rust's nightly with {what}: install it, then '{by_hand}'"
        ));
    }
    say(format_args!("fetching Rust's nightly with {what}"));
    let mut rustup = project.bounded("rustup");
    rustup.args(by_hand.split(' ').skip(1));
    let ended = child::watch(&mut rustup, "fetching Rust's nightly")?;
    if ended.status == 0 && has_nightly(project, components) {
        return Ok(());
    }
    fail(format_args!(
        "'{by_hand}' failed{}: {}",
        time_is_over(project, ended.status),
        last_line(&ended.output)
    ))
}

/// Returns cargo of the nightly for this host, whose target is named: Miri knows nothing of
/// `host-tuple`.
///
/// # Errors
///
/// Fails where the compiler does not say which target that is.
pub fn cargo(project: &Project, arguments: &[&str]) -> Result<Command> {
    let mut cargo = project.host("cargo");
    cargo.arg("+nightly").args(arguments);
    // As of `quick_host_cargo`.
    cargo.args(["--config", "profile.dev.package.virtio-crypto.opt-level=0"]);
    cargo.args(["--target", &project.host_target()?]);
    Ok(cargo)
}
