//! Where a passphrase comes from.
//!
//! The rule: it stands on no command line, neither of this tool nor of QEMU nor of the guest.

use std::{
    env, fs,
    io::{self, IsTerminal},
    path::PathBuf,
    process::{Command, Stdio},
};

use crate::{
    app::folder::Folder,
    report::{Result, fail, say},
};

/// What may have it.
const VARIABLE: &str = "LUKS_PASSPHRASE";

/// Reads a line that is not shown; whatever ends it, what is typed is shown again.
const ASK: &str =
    r#"trap 'stty echo' EXIT INT TERM; stty -echo; IFS= read -r line; printf %s "$line""#;

/// Returns a file that has it: the one that is given, every byte of it; or one in the folder with
/// what the environment says, or what somebody types.
///
/// # Errors
///
/// Fails where there is none of them.
pub fn find(given: Option<PathBuf>, folder: &Folder) -> Result<PathBuf> {
    if let Some(given) = given {
        return Ok(given);
    }
    let passphrase = match env::var(VARIABLE) {
        Ok(passphrase) => passphrase.into_bytes(),
        Err(_) if io::stdin().is_terminal() => ask()?,
        Err(_) => {
            return fail(format_args!(
                "app luks: no passphrase: passphrase=FILE, {VARIABLE}, or a terminal to ask on"
            ));
        }
    };
    let path = folder.path("passphrase");
    fs::write(&path, passphrase)?;
    Ok(path)
}

fn ask() -> Result<Vec<u8>> {
    say("luks: the passphrase, which is not shown:");
    let mut command = Command::new("sh");
    command.args(["-c", ASK]).stdin(Stdio::inherit());
    let output = command.stderr(Stdio::inherit()).output()?;
    match output.status.success() {
        true => Ok(output.stdout),
        false => fail("app luks: no passphrase was typed"),
    }
}
