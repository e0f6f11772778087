//! Public-key encryption and signatures: the AKCIPHER service (Virtio 1.3, 5.9.7.8).
//!
//! For protocols with private keys: TLS, signed updates. Each operation has a type, made with the
//! half of the key that it takes, with a session or without. The rule: a device never meets an
//! operation that its session is not for, nor lengths that would stop it (a digest shorter than its
//! hash, a destination that is not as long as the modulus).
//!
//! The types are written once for what they have in common. [`Rsa`] is over its role, and
//! [`RsaSignatures`] and [`Ecdsa`] over the half of the key (`half`). All of them send by a `Key`
//! (`key`), with which `signing` and `search` verify what a device has made.

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
