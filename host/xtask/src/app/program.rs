//! An application's program: how it is built, and what is booted.

use std::{fs, path::PathBuf, process};

use crate::{boot::Image, project::Project, report::Result};

/// How much a program is optimised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// As the tests' other programs are: most of it is built already.
    Tests,
    /// For somebody who uses it or measures it.
    Use,
}

/// An application's program that has been built.
#[derive(Clone, Debug)]
pub struct Program(PathBuf);

impl Program {
    /// Builds the program of this package.
    ///
    /// # Errors
    ///
    /// Fails with cargo's status.
    pub fn build(project: &Project, package: &str, profile: Profile) -> Result<Self> {
        Self::build_with(project, package, profile, &[])
    }

    /// Builds it with these features.
    ///
    /// # Errors
    ///
    /// Fails with cargo's status.
    pub fn build_with(
        project: &Project,
        package: &str,
        profile: Profile,
        features: &[&str],
    ) -> Result<Self> {
        let (name, folder) = match profile {
            Profile::Tests => ("dev", "debug"),
            Profile::Use => ("program", "program"),
        };
        let features = features.join(",");
        let arguments = [
            "build",
            "-p",
            package,
            "--profile",
            name,
            "--features",
            &features,
        ];
        project.build_kernel(&format!("the application {package}"), &arguments)?;
        let built = project.target("x86_64-unknown-none").join(folder);
        let built = built.join(package);
        // A copy: another command may build it with other features meanwhile.
        let copies = project.target("app");
        fs::create_dir_all(&copies)?;
        let kept = copies.join([package, folder, &features].join("-"));
        let new = copies.join(format!("{package}-{}", process::id()));
        fs::copy(built, &new)?;
        fs::rename(new, &kept)?;
        Ok(Self(kept))
    }

    /// Returns what is booted: the program with these words, on a machine with these arguments of
    /// QEMU's besides.
    pub fn image<'a>(&'a self, words: &'a str, arguments: &'a [String]) -> Image<'a> {
        Image {
            kernel: &self.0,
            initramfs: None,
            words,
            arguments,
        }
    }
}
