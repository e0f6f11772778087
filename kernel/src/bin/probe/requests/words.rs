//! A request's header and fixed-length fields, as words at their offsets, and those that most rules
//! send.

use alloc::{vec, vec::Vec};

/// Bytes of a request's header with its fixed-length fields, without REVISION_1.
pub const HEAD_LEN: usize = 72;
/// Bytes that the device may write of a *create*: id, status, padding.
pub const ANSWER_LEN: usize = 16;

/// How long a request's header with its fixed-length fields is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Padded: without REVISION_1.
    Padded,
    /// As long as each structure: with REVISION_1.
    Exact,
}

impl Form {
    /// Returns the length for a control request (Virtio 1.3, 5.9.7.2).
    pub fn control_len(self, opcode: u32) -> usize {
        match (self, opcode) {
            (Self::Padded, _) => HEAD_LEN,
            (Self::Exact, 0x002 | 0x404) => HEAD_LEN,
            (Self::Exact, 0x102) => 24,
            (Self::Exact, 0x202) => 32,
            (Self::Exact, 0x302) => 40,
            // A *destroy*, or what no service knows.
            (Self::Exact, _) => 24,
        }
    }

    /// Returns the length for a data request in session mode (Virtio 1.3, 5.9.7.3).
    pub fn data_len(self, opcode: u32) -> usize {
        match (self, opcode >> 8) {
            (Self::Padded, _) | (Self::Exact, 0) => HEAD_LEN,
            (Self::Exact, 3) => 48,
            (Self::Exact, _) => 32,
        }
    }
}

/// Returns the word at an offset; 0 where there is none.
pub fn word_at(words: &[(usize, u32)], offset: usize) -> u32 {
    let word = words.iter().find(|(at, _)| *at == offset);
    word.map_or(0, |(_, word)| *word)
}

/// Encodes header and fixed-length fields from words at their offsets.
pub fn head(words: &[(usize, u32)], len_bytes: usize) -> Vec<u8> {
    let mut bytes = vec![0; len_bytes];
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
