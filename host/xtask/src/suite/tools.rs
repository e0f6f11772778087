//! Tests of what belongs to the host: this tool, the benchmarks' host side, the documents, the
//! applications' libraries.
//!
//! The rule: a package is built only if a wanted name stands in it.

use super::part::Part;
use crate::{files::program, report::Result};

pub fn run(part: &mut Part) -> Result {
    run_packages(part, &["xtask", "bench"])
}

/// The documents show code of the driver, which is built quickly.
pub fn run_documents(part: &mut Part) -> Result {
    run_packages(part, &["documents"])
}

/// What makes images of disks, and judges them.
const IMAGE_TOOLS: [&str; 2] = ["qemu-img", "cryptsetup"];

/// What the applications do without a machine.
pub fn run_applications(part: &mut Part) -> Result {
    if !part.filter.may_match(&[part.project.path("apps")]) {
        return Ok(());
    }
    part.begin();
    let arguments = [
        "test",
        "--target",
        "host-tuple",
        "-p",
        "https",
        "-p",
        "luks",
    ];
    let mut cargo = part.project.quick_host_cargo(&arguments);
    if IMAGE_TOOLS.iter().any(|name| program(name).is_none()) {
        part.leave_out("luks_images_of_others");
        cargo.arg("--lib");
    }
    cargo.arg("--").args(part.filter.words());
    part.cargo(&mut cargo)
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
