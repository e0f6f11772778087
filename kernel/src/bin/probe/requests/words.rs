//! A request's header and fixed-length fields, as words at their offsets, and those that most rules
//! send.

use alloc::{vec, vec::Vec};

/// Bytes of a request's header with its fixed-length fields, without REVISION_1.
pub const HEAD_LEN: usize = 72;
/// Bytes that the device may write of a *create*: id, status, padding.
pub const ANSWER_LEN: usize = 16;

/// Encodes header and fixed-length fields from words at their offsets.
pub fn head(words: &[(usize, u32)]) -> Vec<u8> {
    let mut bytes = vec![0; HEAD_LEN];
    for (at, word) in words {
        bytes[*at..at + 4].copy_from_slice(&word.to_le_bytes());
    }
    bytes
}

/// Words of a *create* for AES-128-CBC, encrypting.
pub const CREATE: &[(usize, u32)] = &[(0, 0x002), (4, 3), (16, 3), (20, 16), (24, 1), (64, 1)];

/// Words of the encryption of a block in such a session.
pub const ENCRYPT: &[(usize, u32)] = &[(4, 3), (16, 1), (24, 16), (28, 16), (32, 16), (64, 1)];
/// And what it reads behind the header: IV, block.
pub const IV_AND_BLOCK: [&[u8]; 2] = [&[0; 16], &[0; 16]];
