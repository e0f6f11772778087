//! What the server signs with its certificate's key: which schemes there are, and what each has the
//! device compute.

use alloc::{boxed::Box, vec::Vec};

use rustls::{
    Error, SignatureAlgorithm, SignatureScheme,
    sign::{Signer, SigningKey},
};
use sha2::{Digest, Sha256};

use super::{pss, recorder::Recorder, to_sign::ToSign};

/// What the key can sign, where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Abilities {
    /// RSASSA-PKCS1-v1_5 alone: enough for TLS 1.2, too little for 1.3 (RFC 8446, 4.2.3).
    Pkcs1,
    /// That, and RSA without padding, on which PSS is built here.
    Pss {
        /// Bits of the modulus.
        modulus_bits: usize,
    },
    /// ECDSA over P-256.
    Ecdsa,
}

impl Abilities {
    /// The schemes, best first.
    pub(super) fn schemes(self) -> &'static [SignatureScheme] {
        match self {
            Self::Pkcs1 => &[SignatureScheme::RSA_PKCS1_SHA256],
            Self::Pss { .. } => &[
                SignatureScheme::RSA_PSS_SHA256,
                SignatureScheme::RSA_PKCS1_SHA256,
            ],
            Self::Ecdsa => &[SignatureScheme::ECDSA_NISTP256_SHA256],
        }
    }

    fn modulus_bits(self) -> usize {
        match self {
            Self::Pss { modulus_bits } => modulus_bits,
            Self::Pkcs1 | Self::Ecdsa => unreachable!("a scheme that was not offered"),
        }
    }
}

/// The certificate's key as rustls has it: it is elsewhere.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    pub(super) abilities: Abilities,
    pub(super) recorder: &'static Recorder,
}

#[derive(Debug)]
struct Scheme {
    key: Key,
    scheme: SignatureScheme,
}

impl SigningKey for Key {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        let mut schemes = self.abilities.schemes().iter();
        let scheme = *schemes.find(|scheme| offered.contains(scheme))?;
        Some(Box::new(Scheme { key: *self, scheme }))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        match self.abilities {
            Abilities::Pkcs1 | Abilities::Pss { .. } => SignatureAlgorithm::RSA,
            Abilities::Ecdsa => SignatureAlgorithm::ECDSA,
        }
    }
}

impl Signer for Scheme {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let Key {
            abilities,
            recorder,
        } = self.key;
        let digest = Sha256::digest(message).into();
        let to_sign = match self.scheme {
            SignatureScheme::RSA_PSS_SHA256 => {
                let mut salt = [0; 32];
                recorder.draw(&mut salt);
                ToSign::Raise(pss::encode(&digest, &salt, abilities.modulus_bits()))
            }
            SignatureScheme::ECDSA_NISTP256_SHA256 => ToSign::Ecdsa(digest),
            _ => ToSign::Pkcs1(digest),
        };
        recorder.sign(to_sign)
    }

    fn scheme(&self) -> SignatureScheme {
        self.scheme
    }
}
