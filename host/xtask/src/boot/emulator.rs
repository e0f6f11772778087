//! Which QEMU runs the guest, and whether it is one that can.
//!
//! For set-up and the cargo runner. The rule: what is wrong with a QEMU is said in one line, before
//! anything is built or booted.

use std::path::Path;

use super::machine::Variables;
use crate::{
    child,
    debian::{self, PROGRAM, Suite},
    files::program,
    project::Project,
    report::{Result, fail},
};

/// How the line begins in which a QEMU says its version.
const MARK: &str = "QEMU emulator version ";

/// The first two numbers of a QEMU's version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u32, pub u32);

/// The oldest QEMU that has what the driver is tested with.
pub const OLDEST: Version = Version(7, 2);

/// Returns the line in which QEMU says its version; `None` where none is installed, or where that
/// of a suite is not fetched.
///
/// # Errors
///
/// Fails with what is wrong with the one that is there, or with the one that was asked for.
pub fn find(project: &Project, variables: &Variables) -> Result<Option<String>> {
    let qemu = &*variables.qemu();
    if program(qemu).is_none() {
        return match variables.get("QEMU") {
            None => Ok(None),
            Some(_) if variables.suite().is_some() => Ok(None),
            Some(asked) if Path::new(asked).exists() => {
                fail(format_args!("QEMU={asked}: not a program that can be run"))
            }
            Some(asked) => fail(format_args!(
                "QEMU={asked}: no such program, nor one of these: {}; without QEMU= it is \
                 {PROGRAM}, which ./run.sh setup installs",
                debian::names()
            )),
        };
    }
    let ended = child::capture(project.bounded(qemu).arg("--version"))?;
    let Some((line, version)) = ended.output.lines().find_map(version_in) else {
        return fail(format_args!(
            "{qemu} does not say that it is a QEMU: '{qemu} --version' shows what it says"
        ));
    };
    if Version::read(version) < OLDEST {
        let Version(major, minor) = OLDEST;
        return fail(format_args!(
            "{qemu} is QEMU {version}: {major}.{minor} or later is needed"
        ));
    }
    Ok(Some(line.to_owned()))
}

/// Returns the line in which QEMU says its version.
///
/// # Errors
///
/// Fails where there is none that can be used.
pub fn version(project: &Project, variables: &Variables) -> Result<String> {
    match find(project, variables)? {
        Some(line) => Ok(line),
        None => match variables.suite() {
            Some(Suite { name, .. }) => fail(format_args!(
                "QEMU={name}: not fetched yet: ./run.sh qemu {name} does it"
            )),
            None => fail(format_args!("no {PROGRAM}: ./run.sh setup installs it")),
        },
    }
}

/// Returns a line in which a QEMU says its version, and the version.
fn version_in(line: &str) -> Option<(&str, &str)> {
    let rest = line.strip_prefix(MARK)?;
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.');
    let version = &rest[..end.unwrap_or(rest.len())];
    (!version.is_empty()).then_some((line, version))
}

/// Returns the version of a QEMU, from the line in which it says that.
pub fn version_of(line: &str) -> Option<Version> {
    version_in(line).map(|(_, version)| Version::read(version))
}

impl Version {
    fn read(version: &str) -> Self {
        let mut numbers = version.split('.').map(|number| number.parse().unwrap_or(0));
        let mut next = || numbers.next().unwrap_or(0);
        Self(next(), next())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_is_found_in_what_a_qemu_says() {
        let line = "QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7)";
        assert_eq!(version_in(line), Some((line, "7.2.22")));
        let bare = "QEMU emulator version 10.0";
        assert_eq!(version_in(bare), Some((bare, "10.0")));
        for other in ["something else", "QEMU emulator version x", ""] {
            assert_eq!(version_in(other), None);
        }
    }

    #[test]
    fn versions_are_compared_as_numbers() {
        for version in ["7.2", "7.2.0", "7.10", "10.0.1", "8"] {
            assert!(Version::read(version) >= OLDEST, "{version}");
        }
        for version in ["7.1.99", "7", "6.2.0", "0.15"] {
            assert!(Version::read(version) < OLDEST, "{version}");
        }
    }
}
