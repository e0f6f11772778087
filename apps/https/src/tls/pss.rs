//! EMSA-PSS with SHA-256, MGF1 and a salt of 32 bytes (RFC 8017, 9.1.1): what TLS 1.3 raises to the
//! private exponent of an RSA key.

use alloc::{vec, vec::Vec};

use sha2::{Digest, Sha256};

/// Bytes of the hash, and of the salt (RFC 8446, 4.2.3).
const LEN: usize = 32;

/// The fewest bits of a modulus that has room for it.
pub const MIN_MODULUS_BITS: usize = 8 * (2 * LEN + 2) + 2;

/// Encodes the digest of a message for a modulus of so many bits. As long as the modulus, so that
/// it is a number below it.
///
/// # Panics
///
/// If the modulus has fewer than [`MIN_MODULUS_BITS`].
pub fn encode(digest: &[u8; LEN], salt: &[u8; LEN], modulus_bits: usize) -> Vec<u8> {
    assert!(modulus_bits >= MIN_MODULUS_BITS, "{modulus_bits} bits");
    let bits = modulus_bits - 1;
    let len_bytes = bits.div_ceil(8);
    let hash = Sha256::new()
        .chain_update([0; 8])
        .chain_update(digest)
        .chain_update(salt)
        .finalize();
    // DB = PS || 0x01 || salt, masked.
    let mut encoded = vec![0; len_bytes - LEN - 1];
    let separator = encoded.len() - LEN - 1;
    encoded[separator] = 1;
    encoded[separator + 1..].copy_from_slice(salt);
    for (number, chunk) in (0u32..).zip(encoded.chunks_mut(LEN)) {
        let mask = Sha256::new()
            .chain_update(hash)
            .chain_update(number.to_be_bytes())
            .finalize();
        for (byte, mask) in chunk.iter_mut().zip(mask) {
            *byte ^= mask;
        }
    }
    encoded[0] &= 0xff >> (8 * len_bytes - bits);
    encoded.extend_from_slice(&hash);
    encoded.push(0xbc);
    if len_bytes < modulus_bits.div_ceil(8) {
        encoded.insert(0, 0);
    }
    encoded
}

#[cfg(test)]
mod tests {
    use rsa::Pss;

    use super::*;
    use crate::testing;

    #[test]
    fn rsa_verifies_what_is_raised() {
        for (key, bits) in testing::rsa_keys() {
            let encoded = encode(&[7; 32], &[9; 32], bits);
            assert_eq!(encoded.len(), bits.div_ceil(8), "{bits} bits");
            let raised = testing::raise(&key, &encoded);
            // Another implementation of the encoding.
            let verify = |digest: [u8; 32]| {
                let padding = Pss::<Sha256>::new_with_salt(LEN);
                key.to_public_key().verify(padding, &digest, &raised)
            };
            assert!(verify([7; 32]).is_ok(), "{bits} bits");
            assert!(verify([8; 32]).is_err(), "{bits} bits");
        }
    }
}
