//! What a session is for, as a type: the services whose types differ in their direction alone are
//! written once, over their role.
//!
//! A role has no values and costs nothing. Only this crate can make one.

/// Data is encrypted.
#[derive(Debug)]
pub enum Encryption {}

/// Data is decrypted.
#[derive(Debug)]
pub enum Decryption {}

/// A number is raised to the public exponent of RSA: encryption without padding.
#[derive(Debug)]
pub enum RawEncryption {}

/// A number is raised to the private exponent of RSA: decryption without padding.
#[derive(Debug)]
pub enum RawDecryption {}
