//! Whether somebody can sign: one signature of each kind, verified in software.
//!
//! Devices say that they sign and refuse, or compute something else; a server finds out before its
//! first client does.

use p256::ecdsa::signature::hazmat::PrehashVerifier;
use rsa::{BoxedUint, Pkcs1v15Sign, hazmat, pkcs8::DecodePublicKey, traits::PublicKeyParts};
use sha2::{Digest, Sha256};

use super::{
    identity::{Identity, KeyKind},
    pss,
    to_sign::ToSign,
};

/// What a trial has signed for a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trial {
    /// RSASSA-PKCS1-v1_5.
    Pkcs1,
    /// RSA without padding.
    Raise,
    /// ECDSA.
    Ecdsa,
}

impl Identity {
    /// Returns what somebody is to sign in a trial. `None` where the key is not for that, or too
    /// short.
    pub fn trial(&self, trial: Trial) -> Option<ToSign> {
        let digest = Sha256::digest(b"a trial").into();
        match (trial, self.kind) {
            (Trial::Pkcs1, KeyKind::Rsa { .. }) => Some(ToSign::Pkcs1(digest)),
            (Trial::Raise, KeyKind::Rsa { modulus_bits }) => {
                let has_room = modulus_bits >= pss::MIN_MODULUS_BITS;
                has_room.then(|| ToSign::Raise(pss::encode(&digest, &[1; 32], modulus_bits)))
            }
            (Trial::Ecdsa, KeyKind::P256) => Some(ToSign::Ecdsa(digest)),
            _ => None,
        }
    }

    /// Whether `signature` is this key's.
    pub fn verifies(&self, to_sign: &ToSign, signature: &[u8]) -> bool {
        match to_sign {
            ToSign::Ecdsa(digest) => self.verifies_ecdsa(digest, signature).is_some(),
            ToSign::Pkcs1(digest) => {
                let Ok(key) = rsa::PublicKey::from_public_key_der(&self.public_key) else {
                    return false;
                };
                let padding = Pkcs1v15Sign::new::<Sha256>();
                key.verify(padding, digest, signature).is_ok()
            }
            ToSign::Raise(number) => self.raised(signature).is_some_and(|n| n == *number),
        }
    }

    fn verifies_ecdsa(&self, digest: &[u8], signature: &[u8]) -> Option<()> {
        let key = pkcs8::SubjectPublicKeyInfoRef::try_from(&*self.public_key).ok()?;
        let point = key.subject_public_key.raw_bytes();
        let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(point).ok()?;
        let signature = p256::ecdsa::Signature::from_der(signature).ok()?;
        key.verify_prehash(digest, &signature).ok()
    }

    /// Raises to the public exponent.
    fn raised(&self, number: &[u8]) -> Option<alloc::vec::Vec<u8>> {
        let key = rsa::PublicKey::from_public_key_der(&self.public_key).ok()?;
        if number.len() != key.size() {
            return None;
        }
        let number = BoxedUint::from_be_slice(number, key.n_bits_precision()).ok()?;
        if number >= *key.n().as_ref() {
            return None;
        }
        let bytes = hazmat::rsa_encrypt(&key, &number).ok()?.to_be_bytes();
        let leading = bytes.len().checked_sub(key.size())?;
        Some(bytes[leading..].to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        testing::{self, P256_CERTIFICATE, P256_KEY, RSA_CERTIFICATE, RSA_KEY},
        tls::{SoftwareKey, read_identity},
    };

    #[test]
    fn signatures_of_the_key_are_told_from_others() {
        let rsa = read_identity(RSA_KEY, RSA_CERTIFICATE).unwrap();
        let p256 = read_identity(P256_KEY, P256_CERTIFICATE).unwrap();
        let kinds = [
            (&rsa, Trial::Pkcs1),
            (&rsa, Trial::Raise),
            (&p256, Trial::Ecdsa),
        ];
        for ((identity, key), trial) in kinds {
            let to_sign = identity.trial(trial).unwrap();
            let key = SoftwareKey::new(key, testing::fill).unwrap();
            let mut signature = key.sign(&to_sign).unwrap();
            assert!(identity.verifies(&to_sign, &signature), "{trial:?}");
            let last = signature.len() - 1;
            assert!(!identity.verifies(&to_sign, &signature[..last]));
            assert!(!identity.verifies(&to_sign, &[]));
            signature[last] ^= 1;
            assert!(!identity.verifies(&to_sign, &signature), "{trial:?}");
            assert!(!identity.verifies(&to_sign, &[0xff; 256]), "{trial:?}");
        }
        assert_eq!(rsa.0.trial(Trial::Ecdsa), None);
        assert_eq!(p256.0.trial(Trial::Pkcs1), None);
        assert_eq!(p256.0.trial(Trial::Raise), None);
    }
}
