//! RustCrypto's `signature` traits. Messages are hashed in software; the device has the digest to
//! sign. What went wrong is the source of the error.
//!
//! The crate has no asynchronous trait for verifying a digest; the sessions' own `verify` does
//! that.

use alloc::vec::Vec;

use md5::{Digest, Md5};
use sha1::Sha1;
use sha2::{Sha224, Sha256, Sha384, Sha512};
use signature::{AsyncSigner, AsyncVerifier, Error, SignatureEncoding, hazmat::AsyncPrehashSigner};

use super::{EcdsaSignature, EcdsaSigner, RsaSignature, RsaSigner, RsaVerifier};
use crate::{Platform, wire::RsaHash};

fn digest(hash: RsaHash, message: &[u8]) -> Vec<u8> {
    match hash {
        RsaHash::Md5 => Md5::digest(message).to_vec(),
        RsaHash::Sha1 => Sha1::digest(message).to_vec(),
        RsaHash::Sha224 => Sha224::digest(message).to_vec(),
        RsaHash::Sha256 => Sha256::digest(message).to_vec(),
        RsaHash::Sha384 => Sha384::digest(message).to_vec(),
        RsaHash::Sha512 => Sha512::digest(message).to_vec(),
    }
}

impl SignatureEncoding for RsaSignature {
    type Repr = Self;
}

impl SignatureEncoding for EcdsaSignature {
    type Repr = Self;
}

impl<P: Platform> AsyncSigner<RsaSignature> for RsaSigner<P> {
    async fn sign_async(&self, message: &[u8]) -> Result<RsaSignature, Error> {
        self.sign_prehash_async(&digest(self.hash(), message)).await
    }
}

impl<P: Platform> AsyncPrehashSigner<RsaSignature> for RsaSigner<P> {
    async fn sign_prehash_async(&self, digest: &[u8]) -> Result<RsaSignature, Error> {
        self.sign(digest).await.map_err(Error::from_source)
    }
}

impl<P: Platform> AsyncVerifier<RsaSignature> for RsaVerifier<P> {
    async fn verify_async(&self, message: &[u8], signature: &RsaSignature) -> Result<(), Error> {
        let digest = digest(self.hash(), message);
        let verified = self.verify(&digest, signature.as_ref()).await;
        verified.map_err(Error::from_source)
    }
}

impl<P: Platform> AsyncPrehashSigner<EcdsaSignature> for EcdsaSigner<P> {
    async fn sign_prehash_async(&self, digest: &[u8]) -> Result<EcdsaSignature, Error> {
        self.sign(digest).await.map_err(Error::from_source)
    }
}
