//! The halves of a key pair, for the types that are written once for both.
//!
//! The rule: the half that a session is made with says what the session is for. A private half
//! signs, a public one verifies.

use core::{fmt::Debug, future::Future};

use super::{
    ecdsa_keys::{EcdsaPrivateKey, EcdsaPublicKey},
    key::Key,
    rsa_keys::{RsaPrivateKey, RsaPublicKey},
    signing::Signing,
};
use crate::{
    Error, Platform,
    wire::{Curve, KeyType},
};

/// One half of a key pair, public or private.
pub trait Half: Debug {
    /// Which half it is.
    const TYPE: KeyType;

    /// The keys that are held to sign or verify with it.
    type Keys<P: Platform>: Keys<P>;

    /// Returns it as a device takes it.
    fn encoding(&self) -> &[u8];
}

/// One half of a key pair of RSA.
pub trait RsaHalf: Half {
    /// Returns the public key, or the public half of the private one.
    fn public_half(&self) -> &RsaPublicKey;
}

/// One half of a key pair of ECDSA.
pub trait EcdsaHalf: Half {
    /// What is kept of it beside the sessions.
    type Kept: Debug;

    /// Returns the curve.
    fn curve(&self) -> Curve;

    /// Returns what is kept of it.
    fn kept(&self) -> Self::Kept;
}

/// A key or two of one pair, each with its session or without.
pub trait Keys<P: Platform>: From<Key<P>> {
    /// Ends their sessions and waits for the device's answers.
    fn close(self) -> impl Future<Output = Result<(), Error>>;
}

impl<P: Platform> Keys<P> for Key<P> {
    fn close(self) -> impl Future<Output = Result<(), Error>> {
        self.close()
    }
}

impl<P: Platform> Keys<P> for Signing<P> {
    fn close(self) -> impl Future<Output = Result<(), Error>> {
        self.close()
    }
}

impl Half for RsaPublicKey {
    const TYPE: KeyType = KeyType::Public;
    type Keys<P: Platform> = Key<P>;

    fn encoding(&self) -> &[u8] {
        self.as_pkcs1_der()
    }
}

impl RsaHalf for RsaPublicKey {
    fn public_half(&self) -> &RsaPublicKey {
        self
    }
}

impl Half for RsaPrivateKey {
    const TYPE: KeyType = KeyType::Private;
    type Keys<P: Platform> = Signing<P>;

    fn encoding(&self) -> &[u8] {
        self.as_pkcs1_der()
    }
}

impl RsaHalf for RsaPrivateKey {
    fn public_half(&self) -> &RsaPublicKey {
        self.public_key()
    }
}

impl Half for EcdsaPublicKey {
    const TYPE: KeyType = KeyType::Public;
    type Keys<P: Platform> = Key<P>;

    fn encoding(&self) -> &[u8] {
        &self.point
    }
}

impl EcdsaHalf for EcdsaPublicKey {
    type Kept = Self;

    fn curve(&self) -> Curve {
        self.curve
    }

    fn kept(&self) -> Self {
        self.clone()
    }
}

impl Half for EcdsaPrivateKey {
    const TYPE: KeyType = KeyType::Private;
    type Keys<P: Platform> = Signing<P>;

    fn encoding(&self) -> &[u8] {
        &self.der
    }
}

impl EcdsaHalf for EcdsaPrivateKey {
    type Kept = Curve;

    fn curve(&self) -> Curve {
        self.curve
    }

    fn kept(&self) -> Curve {
        self.curve
    }
}
