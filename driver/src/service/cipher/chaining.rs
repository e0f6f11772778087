//! How a mode goes on from one piece of data to the next (NIST SP 800-38A).
//!
//! For data that is cut into several requests, and for streams. The one rule: what cannot be told
//! by an IV cannot be cut.

use super::MAX_IV_LEN;
use crate::wire::CipherAlgorithm;

/// How data goes on behind a cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Chaining {
    /// Every block is for itself.
    Independent,
    /// The last block of ciphertext is the next IV.
    Ciphertext,
    /// The IV counts blocks, big-endian over its whole length, and wraps (SP 800-38A, B.1 with
    /// *m* = *b*, as QEMU's libraries do).
    Counter,
    /// By a state that no IV tells: no cut is possible.
    Hidden,
}

impl Chaining {
    pub(crate) fn of(algorithm: CipherAlgorithm) -> Self {
        match algorithm {
            CipherAlgorithm::AesEcb | CipherAlgorithm::DesEcb | CipherAlgorithm::TripleDesEcb => {
                Self::Independent
            }
            CipherAlgorithm::AesCbc | CipherAlgorithm::DesCbc | CipherAlgorithm::TripleDesCbc => {
                Self::Ciphertext
            }
            CipherAlgorithm::AesCtr | CipherAlgorithm::TripleDesCtr => Self::Counter,
            // Within a data unit of XTS the tweak is multiplied on from block to block (IEEE 1619,
            // 5.3), and a request begins with the one that its unit's number gives.
            CipherAlgorithm::Arc4
            | CipherAlgorithm::KasumiF8
            | CipherAlgorithm::Snow3gUea2
            | CipherAlgorithm::AesF8
            | CipherAlgorithm::AesXts
            | CipherAlgorithm::ZucEea3 => Self::Hidden,
        }
    }
}

/// An IV, counter block or last block, of which as much counts as the algorithm has.
pub(crate) type Iv = arrayvec::ArrayVec<u8, MAX_IV_LEN>;

/// Returns `bytes` as an IV; no more than there is room for.
pub(crate) fn iv_of(bytes: &[u8]) -> Iv {
    bytes.iter().copied().take(MAX_IV_LEN).collect()
}

/// Returns the last `len_bytes` bytes of `data` as an IV, or all of it.
pub(crate) fn last_block(data: &[u8], len_bytes: usize) -> Iv {
    iv_of(&data[data.len().saturating_sub(len_bytes)..])
}

/// Adds to a big-endian number of any length, which wraps.
pub(crate) fn add_to_counter(counter: &mut [u8], blocks: u64) {
    let mut carry = u128::from(blocks);
    for byte in counter.iter_mut().rev() {
        carry += u128::from(*byte);
        *byte = carry as u8;
        carry >>= 8;
    }
}
