//! Tests of what belongs to the host: this tool, the benchmarks' host side, the documents, the
//! applications' libraries.
//!
//! The rule: a package is built only if a wanted name stands in it.

use super::part::Part;
use crate::{files::program, report::Result};

pub fn run(part: &mut Part) -> Result {
    run_packages(part, "host", &["xtask", "bench"], &[])
}

/// The documents show code of the driver, which is built quickly.
pub fn run_documents(part: &mut Part) -> Result {
    run_packages(part, "host", &["documents"], &[])
}

/// What makes images of disks, and judges them.
const IMAGE_TOOLS: [&str; 2] = ["qemu-img", "cryptsetup"];

/// What the applications do without a machine.
pub fn run_applications(part: &mut Part) -> Result {
    let packages = ["https", "luks"];
    if IMAGE_TOOLS.iter().all(|name| program(name).is_some()) {
        return run_packages(part, "apps", &packages, &[]);
    }
    run_packages(part, "apps", &packages, &["--lib"])?;
    if part.filter.may_match(&[part.project.path("apps/luks")]) {
        part.leave_out("luks_images_of_others");
    }
    Ok(())
}

/// Runs the tests of packages in a folder, or with `targets` some of them.
fn run_packages(part: &mut Part, folder: &str, packages: &[&str], targets: &[&str]) -> Result {
    let folder = part.project.path(folder);
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
    cargo.args(targets).arg("--").args(part.filter.words());
    part.cargo(&mut cargo)
}
