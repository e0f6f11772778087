//! Which targets there are: those that host/fuzz/Cargo.toml names.
//!
//! The rule: a target is added in that one place.

use std::fs;

use crate::{
    project::Project,
    report::{Result, fail},
};

/// A target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub name: String,
    /// It runs the driver on the device library, which takes longer to build.
    pub needs_services: bool,
}

/// Reads the targets from the package's manifest.
///
/// # Errors
///
/// Fails where it names none.
pub fn read(project: &Project) -> Result<Vec<Target>> {
    let targets = parse(&fs::read_to_string(project.path("host/fuzz/Cargo.toml"))?);
    if targets.is_empty() {
        return fail("fuzz: host/fuzz/Cargo.toml names no target");
    }
    Ok(targets)
}

fn parse(manifest: &str) -> Vec<Target> {
    let bins = manifest.split("[[bin]]").skip(1);
    let target = |bin: &str| {
        let mut lines = bin.lines().take_while(|line| !line.starts_with('['));
        let name = lines
            .clone()
            .find_map(|line| line.strip_prefix("name = "))?;
        Some(Target {
            name: name.trim_matches('"').to_owned(),
            needs_services: lines.any(|line| line == "required-features = [\"services\"]"),
        })
    };
    bins.filter_map(target).collect()
}

#[cfg(test)]
mod tests {
    use super::{Target, parse};

    #[test]
    fn targets_are_the_programs_of_the_manifest() {
        let manifest = "[package]\nname = \"fuzz\"\n\n[[bin]]\nname = \"a\"\npath = \"a.rs\"\n\n\
                        [[bin]]\nname = \"b\"\nrequired-features = [\"services\"]\n\n[lints]\n";
        let target = |name: &str, needs_services| Target {
            name: name.to_owned(),
            needs_services,
        };
        assert_eq!(parse(manifest), [target("a", false), target("b", true)]);
    }
}
