//! The anti-forensic splitter: a key is spread over so many bytes that a disk that keeps some of
//! them after they have been overwritten keeps nothing of the key (LUKS1, 2.4).

use alloc::vec;

use zeroize::Zeroizing;

use crate::hash::{Hash, MAX_LEN};

/// Puts a key of `key_len_bytes` bytes together that was split into `material`; what does not fill
/// a stripe is left out.
pub fn merge(hash: Hash, material: &[u8], key_len_bytes: usize) -> Zeroizing<vec::Vec<u8>> {
    let mut key = Zeroizing::new(vec![0; key_len_bytes]);
    let mut stripes = material.chunks_exact(key_len_bytes).peekable();
    while let Some(stripe) = stripes.next() {
        key.iter_mut().zip(stripe).for_each(|(a, b)| *a ^= b);
        if stripes.peek().is_some() {
            diffuse(hash, &mut key);
        }
    }
    key
}

/// Replaces each block as long as a digest by the digest of its number and itself.
fn diffuse(hash: Hash, bytes: &mut [u8]) {
    let mut digest = Zeroizing::new([0; MAX_LEN]);
    for (number, block) in (0u32..).zip(bytes.chunks_mut(hash.len_bytes())) {
        hash.digest(&[&number.to_be_bytes(), block], &mut digest);
        block.copy_from_slice(&digest[..block.len()]);
    }
}
