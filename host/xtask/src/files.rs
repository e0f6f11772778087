//! Files of this machine: below a folder, on the path of programs, and those that do not stay.
//!
//! For every room. The rule: it looks and makes room, and starts nothing.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
};

use crate::report::{Failure, Result, say};

/// Returns every file below a folder, in the order of their paths.
pub fn files_below(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let (mut files, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

/// Returns the path of a program that would be run under this name.
pub fn program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
}

/// Returns a directory of this process for files that do not stay; whoever asks removes it.
///
/// # Errors
///
/// Fails where no directory can be made.
pub fn scratch(purpose: &str) -> Result<PathBuf> {
    let name = format!("virtio-crypto-{purpose}-{}", std::process::id());
    let path = env::temp_dir().join(name);
    let made = fs::remove_dir_all(&path).or(Ok(()));
    match made.and_then(|()| fs::create_dir_all(&path)) {
        Ok(()) => Ok(path),
        Err(error) => {
            say(format_args!("{}: {error}", path.display()));
            Err(Failure::Told(1))
        }
    }
}
