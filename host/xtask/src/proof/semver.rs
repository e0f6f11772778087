//! What embedders see of the driver, compared with what they saw before: `cargo semver-checks`.
//!
//! For `./run.sh semver`, apart from lint because the tool is built from source. The rule: what
//! they saw before is a revision of this repository. A change that breaks embedders moves it on, in
//! the commit that gives the driver its new version.

use super::tools::SEMVER_CHECKS;
use crate::{
    child,
    project::Project,
    report::{Result, fail},
};

/// The revision that is compared with.
const BASELINE: &str = "2e62c847cafd099f63b2df00daa2a16658b75c7d";

/// Compares the driver as it is with the revision.
///
/// # Errors
///
/// Fails with what breaks embedders, or where there is no such revision.
pub fn run(project: &Project) -> Result {
    let mut git = project.host("git");
    let commit = format!("{BASELINE}^{{commit}}");
    let is_there = child::capture(git.args(["cat-file", "-e", &commit]))?.status == 0;
    if !is_there {
        return fail(format_args!(
            "semver: no revision {BASELINE} to compare with: 'git fetch --unshallow' gets it where \
             the repository was cloned without its history"
        ));
    }
    let mut semver = SEMVER_CHECKS.command(project)?;
    semver.args(["check-release", "-p", "virtio-crypto", "--all-features"]);
    semver.args([
        "--baseline-rev",
        BASELINE,
        "--target",
        &project.host_target()?,
    ]);
    semver.env("CARGO_TARGET_DIR", project.target("semver"));
    let ended = child::tee(&mut semver, "cargo semver-checks", child::to_stdout)?;
    match ended.status {
        0 => {
            println!("semver: pass baseline={BASELINE}");
            Ok(())
        }
        _ => fail("semver: what stands above breaks whoever embeds the driver"),
    }
}
