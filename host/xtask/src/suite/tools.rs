//! Tests of what belongs to the host: this tool, the benchmarks' host side, the documents.
//!
//! The rule: a package is built only if a wanted name stands in it.

use super::part::Part;
use crate::report::Result;

pub fn run(part: &mut Part) -> Result {
    run_packages(part, &["xtask", "bench"])
}

/// The documents show code of the driver, which is built quickly.
pub fn run_documents(part: &mut Part) -> Result {
    run_packages(part, &["documents"])
}

fn run_packages(part: &mut Part, packages: &[&str]) -> Result {
    let folder = part.project.path("host");
    let may_match = |package: &&&str| part.filter.may_match(&[folder.join(package)]);
    let wanted: Vec<_> = packages.iter().filter(may_match).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    part.begin();
    let arguments = ["test", "--target", "host-tuple"];
    let mut cargo = part.project.quick_host_cargo(&arguments);
    for package in wanted {
        cargo.args(["-p", package]);
    }
    cargo.arg("--").args(part.filter.words());
    part.cargo(&mut cargo)
}
