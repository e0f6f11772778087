//! Debian's newer QEMUs, beside the one that is installed.
//!
//! For `./run.sh qemu`, for `QEMU=SUITE`, and for whoever needs what only a newer QEMU has. The
//! rule: each has a folder below `target/qemu`, with its own libraries and loader, whole or not at
//! all; nothing is installed.

mod fetch;
mod mirror;

use std::path::PathBuf;

use crate::{
    project::Project,
    report::{Result, fail},
};

pub use fetch::PROGRAM;

/// A suite of Debian's archive with a QEMU.
#[derive(Debug, PartialEq, Eq)]
pub struct Suite {
    /// What it is called in the archive and in `QEMU=`.
    pub name: &'static str,
    /// The suites that its packages and their dependencies come from.
    archives: &'static [&'static str],
}

/// The suites, the oldest QEMU first.
pub const SUITES: [Suite; 3] = [
    Suite {
        name: "bookworm-backports",
        archives: &["bookworm", "bookworm-backports"],
    },
    Suite {
        name: "trixie",
        archives: &["trixie"],
    },
    Suite {
        name: "trixie-backports",
        archives: &["trixie", "trixie-backports"],
    },
];

impl Suite {
    /// Finds a suite by its name.
    pub fn find(name: &str) -> Option<&'static Self> {
        SUITES.iter().find(|suite| suite.name == name)
    }

    /// Returns what starts its QEMU; `None` where that is not fetched.
    pub fn program(&self, project: &Project) -> Option<PathBuf> {
        Some(self.path(project)).filter(|program| program.is_file())
    }

    /// Returns what starts its QEMU, once that is fetched.
    pub fn path(&self, project: &Project) -> PathBuf {
        folder(project).join(self.name).join(PROGRAM)
    }

    /// Fetches its QEMU, unless it is there.
    ///
    /// # Errors
    ///
    /// Fails with why it cannot be fetched.
    pub fn fetch(&self, project: &Project) -> Result<PathBuf> {
        match self.program(project) {
            Some(program) => Ok(program),
            None => match fetch::fetch(project, self.name, self.archives, &folder(project)) {
                Ok(()) => Ok(self.path(project)),
                Err(failure) => fail(format_args!("QEMU of {}: {}", self.name, failure.reason())),
            },
        }
    }
}

/// Returns the names of all suites, in a line.
pub fn names() -> String {
    SUITES.map(|suite| suite.name).join(", ")
}

/// Where they are, each in a folder of its name.
fn folder(project: &Project) -> PathBuf {
    project.target("qemu")
}
