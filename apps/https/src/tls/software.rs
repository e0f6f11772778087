//! The same signatures without a device: what the device is measured against, and what serves where
//! there is none for the key.

use core::{convert::Infallible, fmt};

use alloc::vec::Vec;

use p256::ecdsa::signature::hazmat::PrehashSigner;
use rsa::{
    BoxedUint, Pkcs1v15Sign, hazmat,
    pkcs1::{DecodeRsaPrivateKey, der::Decode},
    rand_core::{TryCryptoRng, TryRng},
    traits::PublicKeyParts,
};
use sha2::Sha256;

use super::{
    identity::{KeyKind, PrivateKey},
    to_sign::ToSign,
};

/// A key in the guest's memory. Wiped when dropped.
pub struct SoftwareKey {
    key: Key,
    fill: fn(&mut [u8]),
}

enum Key {
    Rsa(rsa::PrivateKey),
    P256(p256::ecdsa::SigningKey),
}

impl fmt::Debug for SoftwareKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SoftwareKey").finish_non_exhaustive()
    }
}

impl SoftwareKey {
    /// Takes a key; `fill` makes what RSA is blinded with. `None` for one that computes nothing.
    pub fn new(key: &PrivateKey, fill: fn(&mut [u8])) -> Option<Self> {
        let key = match key.kind() {
            KeyKind::Rsa { .. } => Key::Rsa(rsa::PrivateKey::from_pkcs1_der(key.der()).ok()?),
            KeyKind::P256 => {
                let key = sec1::EcPrivateKey::from_der(key.der()).ok()?;
                let secret = p256::SecretKey::from_slice(key.private_key).ok()?;
                Key::P256(secret.into())
            }
        };
        Some(Self { key, fill })
    }

    /// Signs. `None` for what the key is not for, or a number that is not below the modulus.
    pub fn sign(&self, to_sign: &ToSign) -> Option<Vec<u8>> {
        let mut random = Random(self.fill);
        match (&self.key, to_sign) {
            (Key::Rsa(key), ToSign::Pkcs1(digest)) => {
                let padding = Pkcs1v15Sign::new::<Sha256>();
                key.sign_with_rng(&mut random, padding, digest).ok()
            }
            (Key::Rsa(key), ToSign::Raise(number)) => {
                let number = BoxedUint::from_be_slice(number, key.n_bits_precision()).ok()?;
                let raised = hazmat::rsa_decrypt_and_check(key, Some(&mut random), &number).ok()?;
                let bytes = raised.to_be_bytes();
                let leading = bytes.len().checked_sub(key.size())?;
                Some(bytes[leading..].to_vec())
            }
            (Key::P256(key), ToSign::Ecdsa(digest)) => {
                let signature: p256::ecdsa::Signature = key.sign_prehash(digest).ok()?;
                Some(signature.to_der().as_bytes().to_vec())
            }
            _ => None,
        }
    }
}

struct Random(fn(&mut [u8]));

impl TryRng for Random {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        (self.0)(&mut bytes);
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        (self.0)(&mut bytes);
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        (self.0)(bytes);
        Ok(())
    }
}

impl TryCryptoRng for Random {}
