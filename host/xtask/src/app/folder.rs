//! A folder for what is made for a run: images, passphrases, keys.
//!
//! The rule: nobody but this user reads what is in it, and nothing of it is left, however this
//! process ends.

use std::{
    fs,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
};

use crate::{files::scratch, report::Result};

/// Waits until this process has closed its input, by its end at the latest, and removes the folder.
const REMOVE: &str = "trap '' HUP INT TERM; read -r _; rm -rf -- \"$0\"";

/// A folder that goes with its owner.
#[derive(Debug)]
pub struct Folder {
    root: PathBuf,
    /// What removes it, also where an interrupt ends this process.
    remover: Child,
}

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
        let root = scratch(&format!("{purpose}-{number}"))?;
        fs::set_permissions(&root, fs::Permissions::from_mode(0o700))?;
        let mut remover = Command::new("sh");
        remover.args(["-c", REMOVE]).arg(&root);
        remover.stdin(Stdio::piped()).stdout(Stdio::null());
        // Not in this process group: what ends all of it, a signal KILL too, does not end this.
        let remover = remover.process_group(0).spawn()?;
        Ok(Self { root, remover })
    }

    /// Returns its path.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the path of what is to lie in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // It closes its input first.
        let _ = self.remover.wait();
        let _ = fs::remove_dir_all(&self.root);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_of_a_process_that_is_ended() {
        let mut folder = Folder::new("ended").unwrap();
        fs::write(folder.path("key"), "secret").unwrap();
        // As the end of this process would, with no destructor run.
        drop(folder.remover.stdin.take());
        folder.remover.wait().unwrap();
        assert!(!folder.root().exists());
    }
}
