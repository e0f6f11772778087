//! What is asked of whoever has the key.

use alloc::vec::Vec;

/// What somebody has to sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToSign {
    /// A SHA-256 digest, by RSASSA-PKCS1-v1_5.
    Pkcs1([u8; 32]),
    /// A number as long as the modulus, to raise to the private exponent: EMSA-PSS is done.
    Raise(Vec<u8>),
    /// A SHA-256 digest, by ECDSA over P-256.
    Ecdsa([u8; 32]),
}
