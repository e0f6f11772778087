//! The curves of key exchange: X25519 (RFC 7748) and ECDH over P-256 (SEC 1, 3.3.1).

use alloc::vec::Vec;

use p256::elliptic_curve::sec1::ToSec1Point;
use rustls::{NamedGroup, crypto::SharedSecret};
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

/// The curves, in the order of the server's preference.
pub const CURVES: [Curve; 2] = [Curve::X25519, Curve::P256];

/// A curve whose keys are exchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Curve {
    /// Curve25519.
    X25519,
    /// NIST P-256.
    P256,
}

/// A key of one exchange.
#[derive(Clone)]
pub struct Pair {
    secret: Zeroizing<[u8; 32]>,
    public: Vec<u8>,
}

impl Pair {
    /// What is sent.
    pub fn public(&self) -> &[u8] {
        &self.public
    }
}

impl core::fmt::Debug for Pair {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Pair").finish_non_exhaustive()
    }
}

impl Curve {
    /// Its name in TLS.
    pub fn name(self) -> NamedGroup {
        match self {
            Self::X25519 => NamedGroup::X25519,
            Self::P256 => NamedGroup::secp256r1,
        }
    }

    /// Makes a key of random bytes.
    pub fn pair(self, fill: fn(&mut [u8])) -> Pair {
        loop {
            let mut secret = Zeroizing::new([0; 32]);
            fill(&mut *secret);
            if let Some(public) = self.public(&secret) {
                return Pair { secret, public };
            }
        }
    }

    /// Returns the share that is sent, unless the bytes are no key: for P-256, once in 2^32 times.
    fn public(self, secret: &[u8; 32]) -> Option<Vec<u8>> {
        match self {
            Self::X25519 => {
                let public = PublicKey::from(&StaticSecret::from(*secret));
                Some(public.as_bytes().to_vec())
            }
            Self::P256 => {
                let secret = p256::SecretKey::from_slice(secret).ok()?;
                let point = secret.public_key().to_sec1_point(false);
                Some(point.as_bytes().to_vec())
            }
        }
    }

    /// Returns the secret that both sides share; `None` where `peer` is no share.
    pub fn agree(self, own: &Pair, peer: &[u8]) -> Option<SharedSecret> {
        let secret = &own.secret;
        match self {
            Self::X25519 => {
                let peer: [u8; 32] = peer.try_into().ok()?;
                let shared = StaticSecret::from(**secret).diffie_hellman(&peer.into());
                // A point of low order makes a secret that everybody knows (RFC 8446, 7.4.2).
                let is_secret = shared.was_contributory();
                is_secret.then(|| SharedSecret::from(&shared.as_bytes()[..]))
            }
            Self::P256 => {
                // TLS has uncompressed points alone (RFC 8446, 4.2.8.2; RFC 8422, 5.4.1).
                let is_uncompressed = peer.first() == Some(&4);
                let peer = p256::PublicKey::from_sec1_bytes(peer).ok();
                let peer = peer.filter(|_| is_uncompressed)?;
                let secret = p256::SecretKey::from_slice(&**secret).ok()?;
                let shared = secret.diffie_hellman(&peer);
                Some(SharedSecret::from(&shared.raw_secret_bytes()[..]))
            }
        }
    }
}
