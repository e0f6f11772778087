//! Public-key encryption and signatures: the AKCIPHER service (Virtio 1.3, 5.9.7.8).
//!
//! Each operation has a type of its own, made with the half of the key that it takes, in session
//! mode or stateless, so that a device never meets an operation that its session is not for. What a
//! device would choke on (a digest shorter than its hash, a destination that is not the modulus'
//! length) has no way to be said.

mod ecdsa;
mod ecdsa_keys;
mod half;
mod key;
mod numbers;
mod rsa;
mod rsa_keys;
mod rsa_signatures;
mod search;
mod signing;
#[cfg(feature = "signature")]
mod traits;

pub(crate) use self::numbers::hex;

pub use self::{
    ecdsa::{Ecdsa, EcdsaSignature, EcdsaSigner, EcdsaVerifier},
    ecdsa_keys::{EcdsaPrivateKey, EcdsaPublicKey},
    rsa::{Rsa, RsaDecryptor, RsaEncryptor, RsaRawDecryptor, RsaRawEncryptor},
    rsa_keys::{RsaPrivateKey, RsaPublicKey},
    rsa_signatures::{RsaSignature, RsaSignatures, RsaSigner, RsaVerifier},
};
