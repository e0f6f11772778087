//! LUKS containers, apart from disks and devices: what their headers say, and how a passphrase
//! becomes the key of the volume.
//!
//! [`open`] asks a [`Machine`] for bytes of the disk, and has it decipher key material; everything
//! else it computes itself. So the program has a disk and a crypto device do it, and tests have
//! bytes in memory and software.
//!
//! LUKS1 ("LUKS1 On-Disk Format Specification" 1.2.3) and LUKS2 ("LUKS2 On-Disk Format
//! Specification" 1.1), with:
//!
//! | | |
//! |---|---|
//! | cipher | `aes-xts-plain64`, keys of 256 and 512 bits |
//! | key derivation | PBKDF2, Argon2i and Argon2id, up to [`Limits`] |
//! | hashes | `sha1`, `sha256`, `sha512` |
//! | sectors | 512 to 4096 bytes |
//!
//! Not supported, and told as such: other ciphers, a detached header, `integrity`, a volume whose
//! encryption is being changed, tokens (smart cards, TPM), several segments.
#![cfg_attr(not(test), no_std)]
#![deny(unsafe_code)]

extern crate alloc;

mod antiforensic;
mod error;
mod fields;
mod hash;
mod header;
mod kdf;
mod opening;
#[cfg(test)]
mod tests;

pub use error::{Error, Found, Refusal};
pub use hash::Hash;
pub use header::{Header, HeaderCopy, KeySlot, Version, Volume, VolumeDigest};
pub use kdf::{Kdf, Limits};
pub use opening::{Machine, Opened, open, read_header, unlock};

/// Bytes of a sector as disks count them, and as tweaks do.
pub const SECTOR_LEN: usize = 512;
