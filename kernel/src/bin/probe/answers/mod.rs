//! Answers that are known from elsewhere: published, or computed with OpenSSL. All in hexadecimal.
//!
//! Rules compare what the device gives with them. This room imports none of the others.

pub mod aeads;
pub mod boundaries;
pub mod chains;
pub mod ciphers;
pub mod digests;
pub mod keys;

use alloc::vec::Vec;

/// Decodes hexadecimal digits.
pub fn bytes(text: &str) -> Vec<u8> {
    let digit = |digit: &u8| (*digit as char).to_digit(16).unwrap_or(0) as u8;
    let pairs = text.as_bytes().chunks_exact(2);
    pairs
        .map(|pair| digit(&pair[0]) << 4 | digit(&pair[1]))
        .collect()
}
