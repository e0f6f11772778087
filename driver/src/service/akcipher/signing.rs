//! A key to sign with, and, if the caller wants it, the public half that verifies each signature
//! first.
//!
//! If a device goes wrong in one half of the computation by the Chinese remainder theorem, by
//! faulty memory or arithmetic, one such signature of RSA is enough to factor the modulus: for
//! anybody who has the right signature or the message (Boneh, DeMillo, Lipton 1997). One of ECDSA
//! may tell about the nonce.

use super::key::Key;
use crate::{Error, Platform};

#[derive(Debug)]
pub struct Signing<P: Platform> {
    pub(super) private: Key<P>,
    /// The public half, if each signature is verified before it is given out.
    pub(super) public: Option<Key<P>>,
}

impl<P: Platform> From<Key<P>> for Signing<P> {
    fn from(private: Key<P>) -> Self {
        Self {
            private,
            public: None,
        }
    }
}

impl<P: Platform> Signing<P> {
    /// Has each signature verified from here on, with the public half that `key` is the encoding
    /// of.
    pub(super) async fn verify_signatures(&mut self, key: &[u8]) -> Result<(), Error> {
        if self.public.is_none() {
            self.public = Some(self.private.public_half(key).await?);
        }
        Ok(())
    }

    /// Verifies a signature that the device has just made, if that is wanted.
    ///
    /// # Errors
    ///
    /// [`Error::FaultySignature`], and what went wrong with the request.
    pub(super) async fn check(&self, digest: &[u8], signature: &[u8]) -> Result<(), Error> {
        let Some(public) = &self.public else {
            return Ok(());
        };
        let verified = public.verify(digest, signature).await;
        verified.map_err(|error| match error {
            Error::InvalidSignature => Error::FaultySignature,
            error => error,
        })
    }

    /// Ends both sessions.
    pub(super) async fn close(self) -> Result<(), Error> {
        let public = match self.public {
            Some(public) => public.close().await,
            None => Ok(()),
        };
        self.private.close().await.and(public)
    }
}
