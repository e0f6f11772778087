//! A folder for what is made for a run: images, passphrases, keys.
//!
//! The rule: nobody but this user reads what is in it.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use crate::{files::scratch, report::Result};

/// A folder that goes with its owner.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// Makes one that nobody else may read.
    ///
    /// # Errors
    ///
    /// Fails where there is no room for it.
    pub fn new(purpose: &str) -> Result<Self> {
        // One process may have several at a time.
        static MADE: AtomicU32 = AtomicU32::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let folder = Self(scratch(&format!("{purpose}-{number}"))?);
        fs::set_permissions(&folder.0, fs::Permissions::from_mode(0o700))?;
        Ok(folder)
    }

    /// Returns its path.
    pub fn root(&self) -> &Path {
        &self.0
    }

    /// Returns the path of what is to lie in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
