//! The unikernel. On the host there is the library alone, and its tests.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![deny(unsafe_code)]

#[cfg(target_os = "none")]
extern crate alloc;

#[cfg(target_os = "none")]
mod program;

#[cfg(target_os = "none")]
kernel::entry!(program::main);

#[cfg(not(target_os = "none"))]
fn main() {
    eprintln!("this runs without an operating system: ./run.sh app https");
}
