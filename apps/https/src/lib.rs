//! The parts of the HTTPS server that need no machine: TLS, HTTP, and the pages.
//!
//! What needs one (the network, the device, the console) is the program, `src/main.rs`.
//!
//! | room | what it does |
//! |---|---|
//! | `pages` | which resources there are, and what stands on them |
//! | `files` | which files an archive has |
//! | `http` | requests and answers |
//! | `tls` | rustls with RustCrypto's primitives, and a signature that is awaited |
#![no_std]
#![deny(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod files;
pub mod http;
pub mod pages;
#[cfg(test)]
mod testing;
pub mod tls;
