//! LUKS containers, apart from disks and devices: what their headers say, and how a passphrase
//! becomes the key of the volume.
//!
//! [`opening::open`] asks a [`machine::Machine`] for bytes of the disk, and has it decipher key
//! material; everything else it computes itself. So the program has a disk and a crypto device do
//! it, and tests have bytes in memory and software.
//!
//! LUKS1 ("LUKS1 On-Disk Format Specification" 1.2.3) and LUKS2 ("LUKS2 On-Disk Format
//! Specification" 1.1), with:
//!
//! | | |
//! |---|---|
//! | cipher | `aes-xts-plain64`, keys of 256 and 512 bits |
//! | key derivation | PBKDF2, Argon2i and Argon2id, up to [`kdf::Limits`] |
//! | hashes | `sha1`, `sha256`, `sha512` |
//! | sectors | 512 to 4096 bytes |
//!
//! For the kernel's target there is `volume` besides, by which programs read and write.
//!
//! Not supported, and told as such: other ciphers, a detached header, `integrity`, a volume whose
//! encryption is being changed, tokens (smart cards, TPM), several segments.
#![cfg_attr(not(test), no_std)]
#![deny(unsafe_code)]

extern crate alloc;

mod antiforensic;
pub mod error;
mod fields;
// What volumes wait by.
#[cfg(any(test, target_os = "none"))]
mod gate;
pub mod hash;
pub mod header;
pub mod kdf;
pub mod machine;
pub mod opening;
#[cfg(any(test, target_os = "none"))]
mod pieces;
#[cfg(test)]
mod tests;
#[cfg(target_os = "none")]
pub mod volume;
