//! Files of this machine: below a folder, on the path of programs, and those that do not stay.
//!
//! For every room. The rule: it looks and makes room, and starts nothing.

use std::{
    env, fs, io,
    os::unix::fs::MetadataExt,
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
    let can_run = |path: &PathBuf| {
        let is_executable = |data: fs::Metadata| data.is_file() && data.mode() & 0o111 != 0;
        fs::metadata(path).is_ok_and(is_executable)
    };
    if name.contains('/') {
        return Some(PathBuf::from(name)).filter(can_run);
    }
    let path = env::var_os("PATH")?;
    let mut places = env::split_paths(&path).map(|folder| folder.join(name));
    places.find(can_run)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_run_is_a_program() {
        assert!(program("sh").is_some());
        assert!(program("/bin/sh").is_some());
        for other in ["no-such-program", "/no/such", "/etc/passwd", "/bin"] {
            assert_eq!(program(other), None, "{other}");
        }
    }
}
