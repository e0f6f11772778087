//! A machine that lacks something: a folder of links to this machine's programs, with scripts in
//! the place of some.
//!
//! For [`refusals`](super::refusals). The rule: nothing outside of the folder is changed.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
};

use crate::{
    files::{program, scratch},
    project::Project,
    report::{Result, quote},
};

/// A folder of programs.
pub struct Stubs {
    pub folder: PathBuf,
}

/// What no machine has that lacks something.
const MISSING: [&str; 2] = ["qemu-system-x86_64", "sudo"];

const BARE_QEMU: &str = "qemu: -device virtio-crypto-pci,x: 'virtio-crypto-pci' is not a valid \
    device model name";

impl Stubs {
    /// Makes the folder.
    ///
    /// # Errors
    ///
    /// Fails where it cannot be filled.
    pub fn new(project: &Project) -> Result<Self> {
        let folder = scratch("stubs")?;
        let stubs = Self { folder };
        // Where nothing is built or fetched yet, but for this tool.
        let target = stubs.folder.join("target");
        fs::create_dir(&target)?;
        symlink(project.target("xtask"), target.join("xtask"))?;
        for program in fs::read_dir("/usr/bin")? {
            stubs.link(&program?.path())?;
        }
        for program in ["cargo", "rustc", "rustup"]
            .map(program)
            .into_iter()
            .flatten()
        {
            stubs.link(&program)?;
        }
        for missing in MISSING {
            stubs.put(missing, "")?;
        }
        stubs.put("no-qemu", "echo something else")?;
        stubs.put(
            "old-qemu",
            "echo 'QEMU emulator version 6.2.0 (Debian 1:6.2)'",
        )?;
        let bare = quote(BARE_QEMU);
        let bare = format!(
            "case $1 in --version) echo 'QEMU emulator version 7.2.0' ;; \
             *) echo {bare} >&2; exit 1 ;; esac"
        );
        stubs.put("bare-qemu", &bare)?;
        Ok(stubs)
    }

    /// Links to a program under its own name.
    fn link(&self, program: &Path) -> Result {
        let name = program.file_name().unwrap_or_default();
        self.put(&name.to_string_lossy(), "")?;
        Ok(symlink(program, self.folder.join(name))?)
    }

    /// Puts a script in the place of a program, or nothing.
    ///
    /// # Errors
    ///
    /// Fails where it cannot be written.
    pub fn put(&self, name: &str, script: &str) -> Result {
        let path = self.folder.join(name);
        if path.symlink_metadata().is_ok() {
            fs::remove_file(&path)?;
        }
        if script.is_empty() {
            return Ok(());
        }
        fs::write(&path, format!("#!/bin/sh\n{script}\n"))?;
        Ok(fs::set_permissions(
            &path,
            fs::Permissions::from_mode(0o755),
        )?)
    }

    /// Puts this machine's program back in its place.
    ///
    /// # Errors
    ///
    /// Fails where it cannot be linked to.
    pub fn put_back(&self, name: &str) -> Result {
        let program = Path::new("/usr/bin").join(name);
        if program.exists() && !MISSING.contains(&name) {
            self.link(&program)
        } else {
            self.put(name, "")
        }
    }
}
