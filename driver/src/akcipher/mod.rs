//! Public-key encryption and signatures: the AKCIPHER service (Virtio 1.3, 5.9.7.8).
//!
//! Each operation has a session type of its own, opened with the half of the key that it takes, so
//! that a device never meets an operation that its session is not for. What a device would choke
//! on (a digest shorter than its hash, a destination that is not the modulus' length) has no way to
//! be said.

mod ecdsa;
mod keys;
mod rsa;
mod rsa_signatures;
#[cfg(feature = "signature")]
mod traits;

use alloc::sync::Arc;

pub use self::{
    ecdsa::{EcdsaPrivateKey, EcdsaPublicKey, EcdsaSignature, EcdsaSigner, EcdsaVerifier},
    keys::{RsaPrivateKey, RsaPublicKey},
    rsa::{RsaDecryptor, RsaEncryptor, RsaRawDecryptor, RsaRawEncryptor},
    rsa_signatures::{RsaSignature, RsaSigner, RsaVerifier},
};
use crate::{
    Error, Platform, Refusal, Requirement,
    link::Link,
    mode::Mode,
    queue::INLINE,
    request::{Admission, Body, check_answer, check_answer_up_to},
    session::Session,
    wire::{
        self, AkcipherOperation, AkcipherScheme, Head, KeyType, REQUEST_LEN, SessionParameters,
    },
};

/// A session for one key.
#[derive(Debug)]
struct KeySession<P: Platform> {
    session: Session<P>,
}

impl<P: Platform> KeySession<P> {
    /// Opens a session with an encoded key.
    ///
    /// # Cancellation
    ///
    /// That of [`Session::create`].
    async fn open(
        link: Arc<Link<P>>,
        scheme: AkcipherScheme,
        key_type: KeyType,
        key: &[u8],
    ) -> Result<Self, Error> {
        let parameters = SessionParameters::Akcipher {
            scheme,
            key_type,
            key_len_bytes: key.len() as u32,
        };
        let session = Session::create(link, &parameters, &[key, &[]]).await?;
        Ok(Self { session })
    }

    async fn close(self) -> Result<(), Error> {
        Mode::Session(self.session).close().await
    }

    /// Lets the device make up to `result.len()` bytes of `source`; returns how many it says it made.
    ///
    /// # Cancellation
    ///
    /// Dropped, `result` is unchanged.
    async fn transform(
        &self,
        operation: AkcipherOperation,
        source: &[u8],
        result: &mut [u8],
    ) -> Result<usize, Error> {
        let head = self.head(operation, source.len(), result.len())?;
        // Over the source, but with the status behind it.
        let output_at = source.len().saturating_sub(result.len());
        let body = Body::Inline {
            parts: &[source],
            output_at,
            output_len_bytes: result.len(),
        };
        let in_flight = self.session.request(&head, body, Admission::Wait).await?;
        let output = INLINE + output_at;
        let outcome = check_answer_up_to(&in_flight, output + result.len(), result.len());
        if let Ok(len_bytes) = outcome
            && let Some(result) = result.get_mut(..len_bytes)
        {
            in_flight.block().read(output, result);
        }
        in_flight.finish();
        outcome
    }

    /// Asks the device whether `signature` belongs to `digest`.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidSignature`]: it does not.
    async fn verify(&self, digest: &[u8], signature: &[u8]) -> Result<(), Error> {
        let head = self.head(AkcipherOperation::Verify, signature.len(), digest.len())?;
        // Both are for the device to read; it writes the status alone.
        let output_at = signature.len() + digest.len();
        let body = Body::Inline {
            parts: &[signature, digest],
            output_at,
            output_len_bytes: 0,
        };
        let in_flight = self.session.request(&head, body, Admission::Wait).await?;
        let outcome = check_answer(&in_flight, INLINE + output_at, 0);
        in_flight.finish();
        outcome.map_err(|error| match error {
            Error::Refused(Refusal::KeyRejected | Refusal::BadMessage) => Error::InvalidSignature,
            error => error,
        })
    }

    /// Encodes the fixed part, after a look at what the device takes in one request.
    fn head(
        &self,
        operation: AkcipherOperation,
        source_len_bytes: usize,
        destination_len_bytes: usize,
    ) -> Result<Head, Error> {
        let link = &self.session.link;
        let len_bytes = source_len_bytes + destination_len_bytes;
        let overhead = REQUEST_LEN as u64 + 1;
        let max_bytes = link.capabilities.max_size_bytes.saturating_sub(overhead);
        if len_bytes as u64 > max_bytes {
            return Err(invalid_len(
                "source and destination",
                len_bytes,
                Requirement::AtMost { max_bytes },
            ));
        }
        Ok(wire::akcipher_request(
            link.sessions.form(),
            operation,
            self.session.id(),
            source_len_bytes as u32,
            destination_len_bytes as u32,
        ))
    }
}

fn invalid_len(field: &'static str, len_bytes: usize, requirement: Requirement) -> Error {
    Error::InvalidLength {
        field,
        len_bytes,
        requirement,
    }
}

fn check_exact(field: &'static str, bytes: &[u8], len_bytes: usize) -> Result<(), Error> {
    if bytes.len() == len_bytes {
        return Ok(());
    }
    let requirement = Requirement::Exactly { len_bytes };
    Err(invalid_len(field, bytes.len(), requirement))
}
