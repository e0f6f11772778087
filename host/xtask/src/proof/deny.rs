//! Licences, bans and sources of all that is built: `cargo deny`, by `deny.toml` beside this.
//!
//! For `./run.sh deny`, apart from lint because the tool is built from source. The rule: what
//! stands in the lock file is judged, whoever needs it.

use super::tools::DENY;
use crate::{
    child,
    project::Project,
    report::{Result, fail},
};

/// Judges what the lock file holds.
///
/// # Errors
///
/// Fails with what is not allowed.
pub fn run(project: &Project) -> Result {
    let mut deny = DENY.command(project)?;
    deny.args(["--all-features", "--locked", "--config"]);
    deny.arg(project.path("host/xtask/src/proof/deny.toml"));
    deny.args([
        "check",
        "--hide-inclusion-graph",
        "licenses",
        "bans",
        "sources",
    ]);
    let ended = child::tee(&mut deny, "cargo deny", child::to_stdout)?;
    match ended.status {
        0 => {
            println!("deny: pass");
            Ok(())
        }
        _ => fail("deny: what stands above is not allowed"),
    }
}
