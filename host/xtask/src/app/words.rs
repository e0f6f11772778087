//! Files that the words of a command line name.
//!
//! The rule: QEMU is told of paths that hold wherever it runs.

use std::{fs, path::PathBuf};

use crate::report::{Result, fail};

/// Returns the absolute path of a file that is there, for a word of this application.
///
/// # Errors
///
/// Fails where there is none, or a directory.
pub fn existing(application: &str, word: &str, path: &str) -> Result<PathBuf> {
    match fs::canonicalize(path) {
        Ok(path) if !path.is_dir() => Ok(path),
        Ok(_) => fail(format_args!("app {application}: '{word}': a directory")),
        Err(error) => fail(format_args!("app {application}: '{word}': {error}")),
    }
}
