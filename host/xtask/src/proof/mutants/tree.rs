//! A copy of the checkout, in which lines are changed.
//!
//! The rule: the checkout itself is never written to.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use crate::{
    files::files_below,
    project::Project,
    report::{Result, fail},
};

/// What of the checkout is built.
const FOLDERS: [&str; 5] = [".cargo", "apps", "driver", "host", "kernel"];
const FILES: [&str; 3] = ["Cargo.toml", "Cargo.lock", "rust-toolchain.toml"];

/// The copy.
#[derive(Debug)]
pub struct Tree {
    root: PathBuf,
    /// Held for as long as somebody changes lines in it.
    _lock: File,
}

impl Tree {
    /// Makes the copy what the checkout is. What is the same already is not written, so that only
    /// what differs is built anew.
    ///
    /// # Errors
    ///
    /// Fails where files cannot be read or written, and where another run is at work in it.
    pub fn of(project: &Project) -> Result<Self> {
        fs::create_dir_all(project.target("mutants"))?;
        let lock = File::create(project.target("mutants/lock"))?;
        if lock.try_lock().is_err() {
            return fail("mutants: another run is at work in target/mutants: wait for its end");
        }
        let tree = Self {
            root: project.target("mutants/tree"),
            _lock: lock,
        };
        let mut wanted: Vec<PathBuf> = FILES.iter().map(PathBuf::from).collect();
        for folder in FOLDERS {
            wanted.extend(below(&project.path(""), folder)?);
        }
        let mut there: Vec<PathBuf> = Vec::new();
        for folder in FOLDERS.iter().filter(|it| tree.path(it).exists()) {
            there.extend(below(&tree.root, folder)?);
        }
        for file in there.iter().filter(|file| !wanted.contains(file)) {
            fs::remove_file(tree.path(file))?;
        }
        for file in &wanted {
            tree.write(file, &fs::read(project.path(file))?)?;
        }
        Ok(tree)
    }

    /// Returns a path inside the copy.
    pub fn path(&self, inside: impl AsRef<Path>) -> PathBuf {
        self.root.join(inside)
    }

    /// Reads a file of text.
    ///
    /// # Errors
    ///
    /// Fails where there is none.
    pub fn read(&self, file: impl AsRef<Path>) -> Result<String> {
        Ok(fs::read_to_string(self.path(file))?)
    }

    /// Makes a file hold these bytes.
    ///
    /// # Errors
    ///
    /// Fails where it cannot be written.
    pub fn write(&self, file: impl AsRef<Path>, bytes: &[u8]) -> Result {
        let path = self.path(file);
        if fs::read(&path).is_ok_and(|there| there == bytes) {
            return Ok(());
        }
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        Ok(fs::write(path, bytes)?)
    }
}

/// Returns every file below a folder, as seen from `root`.
fn below(root: &Path, folder: &str) -> Result<Vec<PathBuf>> {
    let files = files_below(&root.join(folder))?;
    let inside = files.iter().filter_map(|file| file.strip_prefix(root).ok());
    Ok(inside.map(Path::to_owned).collect())
}
