//! Tools that no machine has by itself: cargo's further commands, built from source.
//!
//! For the commands of this room, and for the tests, which use what is there and install nothing.
//! The rule: what is there is taken, and what is missing is fetched once, below `target/tools`.

use std::{fs, path::PathBuf, process::Command};

use crate::{
    child,
    files::program,
    project::Project,
    report::{Result, fail, say},
};

/// A further command of cargo's, by the name and the version of its crate.
#[derive(Clone, Copy, Debug)]
pub struct Tool {
    pub name: &'static str,
    version: &'static str,
}

pub const DENY: Tool = Tool {
    name: "cargo-deny",
    version: "0.20.2",
};

pub const FUZZ: Tool = Tool {
    name: "cargo-fuzz",
    version: "0.13.2",
};

pub const MUTANTS: Tool = Tool {
    name: "cargo-mutants",
    version: "27.1.0",
};

pub const SEMVER_CHECKS: Tool = Tool {
    name: "cargo-semver-checks",
    version: "0.51.0",
};

impl Tool {
    /// Returns where it is, if it is there.
    pub fn find(&self, project: &Project) -> Option<PathBuf> {
        let own = self.folder(project).join("bin").join(self.name);
        program(&own.to_string_lossy()).or_else(|| program(self.name))
    }

    /// Returns where it is, once it is there.
    ///
    /// # Errors
    ///
    /// Fails with what cargo said where it could not be built.
    pub fn get(&self, project: &Project) -> Result<PathBuf> {
        if let Some(path) = self.find(project) {
            return Ok(path);
        }
        let Self { name, version } = self;
        say(format_args!(
            "no {name}: building {name} {version}, which takes some minutes"
        ));
        let folder = self.folder(project);
        let mut cargo = project.bounded("cargo");
        cargo.args(["install", "-q", "--locked", "--target", "host-tuple"]);
        cargo.arg("--root").arg(&folder);
        cargo.arg(format!("{name}@{version}"));
        // Built elsewhere, its objects would stay.
        let objects = project.target("tools/build");
        cargo.env("CARGO_TARGET_DIR", &objects);
        // As a release some take ten minutes to optimise, and then run for seconds.
        cargo.env("CARGO_PROFILE_RELEASE_LTO", "off");
        cargo.env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1");
        cargo.env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16");
        let ended = child::watch(&mut cargo, &format!("building {name}"))?;
        match self.find(project) {
            Some(path) if ended.status == 0 => {
                // After a failure the next attempt goes on from them.
                let _ = fs::remove_dir_all(&objects);
                Ok(path)
            }
            _ => fail(format_args!(
                "no {name}, and 'cargo install --locked {name}@{version}' failed{}: {}",
                time_is_over(project, ended.status),
                last_line(&ended.output)
            )),
        }
    }

    /// Returns a command that runs it at the top of the project, with the time limit of a step of
    /// the set-up.
    ///
    /// # Errors
    ///
    /// Those of [`Tool::get`].
    pub fn command(&self, project: &Project) -> Result<Command> {
        let mut command = project.bounded(self.get(project)?);
        // It is called as cargo would call it.
        command.arg(self.name.trim_start_matches("cargo-"));
        Ok(command)
    }

    fn folder(&self, project: &Project) -> PathBuf {
        let Self { name, version } = self;
        project.target(format!("tools/{name}-{version}"))
    }
}

/// Says so where a step of the set-up was ended by `timeout`.
pub(super) fn time_is_over(project: &Project, status: i32) -> String {
    match status {
        124 | 137 => format!(
            " (not done in {} s: SETUP_TIMEOUT gives it longer)",
            project.setup_timeout()
        ),
        _ => String::new(),
    }
}

pub(super) fn last_line(output: &str) -> &str {
    let mut lines = output.lines().map(str::trim);
    lines.rfind(|line| !line.is_empty()).unwrap_or("no word")
}
