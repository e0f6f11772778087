//! Keys and plaintext that are known wherever they are left.
//!
//! Every 16 bytes of them begin with the same eight, which stand nowhere else: ciphertext has them
//! by chance once in 2^64.

/// What each piece begins with.
const MARK: [u8; 8] = [0xc7, 0x5e, 0xa9, 0x13, 0xf4, 0x68, 0xd2, 0x3b];

/// Bytes of a piece.
pub(crate) const PIECE_LEN: usize = 16;

/// Bytes that there are.
pub(crate) const LEN: usize = 16 << 10;

/// In a static: what moves over a stack stays there.
static SECRETS: [u8; LEN] = {
    let mut bytes = [0; LEN];
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut at = 0;
    while at < LEN {
        state = state
            .wrapping_mul(0x5851_f42d_4c95_7f2d)
            .wrapping_add(0x1405_7b7e_f767_814f);
        bytes[at] = match at % PIECE_LEN {
            place if place < MARK.len() => MARK[place],
            _ => (state >> 56) as u8,
        };
        at += 1;
    }
    bytes
};

/// Returns so many secret bytes from a piece on; the pieces go round.
pub(crate) fn secret(piece: usize, len_bytes: usize) -> &'static [u8] {
    let pieces = (LEN - len_bytes.min(LEN)) / PIECE_LEN + 1;
    let at = piece % pieces * PIECE_LEN;
    &SECRETS[at..at + len_bytes.min(LEN)]
}

/// Returns where a secret begins in these bytes.
pub(crate) fn find(bytes: &[u8]) -> Option<usize> {
    let mut from = 0;
    // The first byte alone is quick to look for.
    while let Some(at) = bytes[from..].iter().position(|byte| *byte == MARK[0]) {
        if bytes[from + at..].starts_with(&MARK) {
            return Some(from + at);
        }
        from += at + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_of_a_secret_is_found() {
        let mut memory = vec![0; 100];
        assert_eq!(find(&memory), None);
        memory[..8].fill(MARK[0]);
        assert_eq!(find(&memory), None);
        memory[37..53].copy_from_slice(secret(5, 16));
        assert_eq!(find(&memory), Some(37));
        assert_ne!(secret(0, 32), secret(1, 32));
        assert_eq!(secret(1023, LEN).len(), LEN);
    }
}
