//! Carries a device to a virtual machine in another process.
//!
//! For the program. The one rule: whatever the other side says, this side goes on until it hangs
//! up, and then says what was done.

mod commands;
mod vfio_user;
mod vhost_user;

use std::{fs, io, os::unix::fs::FileTypeExt, path::Path};

pub use commands::{listen, read_lines};
pub use vfio_user::serve as serve_vfio_user;
pub use vhost_user::serve as serve_vhost_user;

/// Takes away a socket that an owner before has left.
///
/// # Errors
///
/// Fails where something else is there.
fn remove_old(socket: &Path) -> io::Result<()> {
    match fs::symlink_metadata(socket) {
        Ok(found) if found.file_type().is_socket() => fs::remove_file(socket),
        Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
        Err(_) => Ok(()),
    }
}
