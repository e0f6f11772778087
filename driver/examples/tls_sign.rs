//! Signs a TLS 1.2 handshake as a server does, with a key that the device holds.
//!
//! The key is read once, given to the device, and wiped: from then on the server's memory has no
//! copy of it. Requests of many connections are in flight side by side, each a future of its own.
//!
//! Feature `pkcs8` reads the key.

extern crate alloc;

use alloc::vec::Vec;

use virtio_crypto::{
    Device, Error, Platform, RsaHash, RsaPrivateKey, RsaPublicKey, RsaSignature, RsaSigner,
    RsaVerifier,
};
use zeroize::Zeroizing;

/// `SignatureScheme` `rsa_pkcs1_sha256` (RFC 8446, 4.2.3; RFC 5246, 7.4.1.4.1).
const RSA_PKCS1_SHA256: u16 = 0x0401;

/// A server's key.
#[derive(Debug)]
pub struct ServerKey<P: Platform> {
    signer: RsaSigner<P>,
}

impl<P: Platform> ServerKey<P> {
    /// Gives the key of a PKCS#8 file to the device.
    pub async fn load(device: &Device<P>, pkcs8_der: Zeroizing<Vec<u8>>) -> Result<Self, Error> {
        let key = RsaPrivateKey::from_pkcs8_der(&pkcs8_der)?;
        let signer = RsaSigner::open(device, &key, RsaHash::Sha256).await?;
        // `key` and `pkcs8_der` are wiped here.
        Ok(Self { signer })
    }

    /// Returns what a client verifies with.
    pub fn public_key(&self) -> &RsaPublicKey {
        self.signer.public_key()
    }

    /// Ends the session: the device forgets the key.
    pub async fn close(self) -> Result<(), Error> {
        self.signer.close().await
    }

    /// Signs the digest of a `ServerKeyExchange` (RFC 5246, 7.4.3): scheme, length, signature.
    pub async fn sign(&self, digest: &[u8; 32]) -> Result<Vec<u8>, Error> {
        let signature: RsaSignature = self.signer.sign(digest).await?;
        let signature = signature.as_ref();
        let mut message = RSA_PKCS1_SHA256.to_be_bytes().to_vec();
        message.extend((signature.len() as u16).to_be_bytes());
        message.extend(signature);
        Ok(message)
    }
}

/// Verifies what a server has signed, as a client does: with the server's public key, from its
/// certificate.
///
/// # Errors
///
/// [`Error::InvalidSignature`] is a client's `decrypt_error`; anything else says that it is not
/// known.
pub async fn verify<P: Platform>(
    device: &Device<P>,
    key: &RsaPublicKey,
    digest: &[u8; 32],
    message: &[u8],
) -> Result<(), Error> {
    let (fields, signature) = message.split_at_checked(4).ok_or(Error::InvalidSignature)?;
    let len_bytes = u16::try_from(signature.len()).map_err(|_| Error::InvalidSignature)?;
    if fields != [RSA_PKCS1_SHA256.to_be_bytes(), len_bytes.to_be_bytes()].concat() {
        return Err(Error::InvalidSignature);
    }
    let client = RsaVerifier::open(device, key, RsaHash::Sha256).await?;
    let verified = client.verify(digest, signature).await;
    client.close().await?;
    verified
}

#[cfg(not(target_os = "none"))]
fn main() {
    std::println!(
        "A host has no virtio-crypto device of its own: a kernel with a `Platform` runs this \
         (`ServerKey::load`, then `sign`), as the driver's tests do on a fake device: \
         ./run.sh test tls_handshake"
    );
}
