//! The passphrase.

use common::fw_cfg::{self, Content};

use super::ending::fail;

/// The file that has it.
const FILE: &str = "opt/luks/passphrase";

/// Returns what the host gives, or ends the run.
pub fn given() -> Content {
    match fw_cfg::file(FILE) {
        Some(passphrase) => passphrase,
        None => fail(format_args!("no passphrase: the host gives none as {FILE}")),
    }
}
