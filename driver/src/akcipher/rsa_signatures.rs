//! RSASSA-PKCS1-v1_5 (RFC 8017, 8.2): signatures, and what is done about short ones.

use arrayvec::ArrayVec;

use super::{
    Key,
    keys::{MAX_MODULUS_LEN, RsaPrivateKey, RsaPublicKey},
    rsa::{check_whole, session},
};
use crate::{
    Device, Error, Platform,
    error::{check_at_most, check_exact_len},
    wire::{AkcipherOperation, AkcipherScheme, KeyType, RsaHash},
};

/// Signatures with a private key, which the device holds or, stateless, the driver.
#[derive(Debug)]
pub struct RsaSigner<P: Platform> {
    inner: Key<P>,
    key: RsaPublicKey,
    hash: RsaHash,
}

/// Verification of signatures with a public key.
#[derive(Debug)]
pub struct RsaVerifier<P: Platform> {
    inner: Key<P>,
    key: RsaPublicKey,
    hash: RsaHash,
}

session!(RsaSigner, RsaPrivateKey, |key| Private key.as_pkcs1_der(), key.public_key(),
         AkcipherScheme::RsaPkcs1(hash), hash);
session!(RsaVerifier, RsaPublicKey, |key| Public key.as_pkcs1_der(), key,
         AkcipherScheme::RsaPkcs1(hash), hash);

/// A signature of RSASSA-PKCS1-v1_5, as long as the modulus.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RsaSignature(ArrayVec<u8, MAX_MODULUS_LEN>);

impl RsaSignature {
    fn zeros(len_bytes: usize) -> Self {
        Self(core::iter::repeat_n(0, len_bytes.min(MAX_MODULUS_LEN)).collect())
    }
}

impl AsRef<[u8]> for RsaSignature {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl TryFrom<&[u8]> for RsaSignature {
    type Error = Error;

    /// Takes the bytes of a signature over; whether they have the length of a key's modulus is seen
    /// when it is verified.
    fn try_from(bytes: &[u8]) -> Result<Self, Error> {
        check_at_most("signature", bytes.len(), MAX_MODULUS_LEN as u64)?;
        Ok(Self(bytes.iter().copied().collect()))
    }
}

impl<P: Platform> RsaSigner<P> {
    /// Returns the hash that the session was opened for.
    pub fn hash(&self) -> RsaHash {
        self.hash
    }

    /// Signs a digest, which has the length of the session's hash (RFC 8017, 8.2.1).
    ///
    /// # Errors
    ///
    /// [`Error::InvalidLength`], [`Error::Refused`], [`Error::Broken`], [`Error::ShutDown`].
    ///
    /// [`Error::ShortAnswer`] when the device gave too few bytes to make a signature of. The same
    /// digest would give the same again: sign it in software, or another one.
    ///
    /// An answer that is one byte short takes a second session for a while; what goes wrong with it
    /// is an error here ([`Error::TooManySessions`]).
    ///
    /// # Cancellation
    ///
    /// Dropped, the device finishes the request for nobody.
    pub async fn sign(&self, digest: &[u8]) -> Result<RsaSignature, Error> {
        check_exact_len("digest", digest.len(), self.hash.digest_len_bytes())?;
        let mut signature = RsaSignature::zeros(self.key.modulus_len_bytes());
        let sent = self
            .inner
            .transform(AkcipherOperation::Sign, digest, &mut signature.0);
        let len_bytes = sent.await?;
        match check_whole(len_bytes, signature.0.len()) {
            Ok(()) => Ok(signature),
            Err(short) if len_bytes + 1 == signature.0.len() => {
                self.complete(digest, signature).await?.ok_or(short)
            }
            Err(short) => Err(short),
        }
    }

    /// Looks for the byte that a signature lacks, and proves it with the public half.
    async fn complete(
        &self,
        digest: &[u8],
        mut signature: RsaSignature,
    ) -> Result<Option<RsaSignature>, Error> {
        let verifier = RsaVerifier {
            inner: self.inner.public_half(self.key.as_pkcs1_der()).await?,
            key: self.key.clone(),
            hash: self.hash,
        };
        // A device that left the leading zero out; or one that cut the last byte off, and never
        // wrote there: the zero is in front, and what is last may be anything.
        let (place, candidates) = match signature.0.first() {
            Some(0) => (signature.0.len() - 1, 0..=u8::MAX),
            _ => {
                signature.0.rotate_right(1);
                (0, 0..=0)
            }
        };
        let mut proved = false;
        for candidate in candidates {
            if let Some(byte) = signature.0.get_mut(place) {
                *byte = candidate;
            }
            match verifier.verify(digest, &signature.0).await {
                Ok(()) => {
                    proved = true;
                    break;
                }
                Err(Error::InvalidSignature) => {}
                Err(error) => return Err(error),
            }
        }
        verifier.close().await?;
        Ok(proved.then_some(signature))
    }
}

impl<P: Platform> RsaVerifier<P> {
    /// Returns the hash that the session was opened for.
    pub fn hash(&self) -> RsaHash {
        self.hash
    }

    /// Verifies the signature of a digest, which has the length of the session's hash (RFC 8017,
    /// 8.2.2). The signature is as long as the modulus.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidSignature`]: it does not belong to this digest and key. Every other error says
    /// that it is not known: [`Error::InvalidLength`], [`Error::Refused`], [`Error::Broken`],
    /// [`Error::ShutDown`].
    ///
    /// # Cancellation
    ///
    /// Dropped, the device finishes the request for nobody.
    pub async fn verify(&self, digest: &[u8], signature: &[u8]) -> Result<(), Error> {
        check_exact_len("digest", digest.len(), self.hash.digest_len_bytes())?;
        match self.key.check_number("signature", signature) {
            Err(Error::NotBelowModulus { .. }) => Err(Error::InvalidSignature),
            Err(error) => Err(error),
            Ok(()) => self.inner.verify(digest, signature).await,
        }
    }
}
