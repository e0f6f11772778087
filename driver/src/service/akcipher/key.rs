//! A key, kept by the device or by the driver, and the requests that are made with it.
//!
//! For every type of the room. The rule: after an error the caller keeps no part of a result.

use alloc::sync::Arc;

use crate::{
    Error, Platform,
    epoch::Epoch,
    request::{
        mode::{Mode, Stateless, StatelessFeature},
        session::Session,
    },
    wire::{self, AkcipherOperation, AkcipherScheme, Head, KeyType, Refusal, SessionParameters},
};

/// A key for one scheme, kept by the device or by the driver.
#[derive(Debug)]
pub struct Key<P: Platform> {
    pub(super) mode: Mode<P>,
    scheme: AkcipherScheme,
    key_type: KeyType,
}

impl<P: Platform> Key<P> {
    /// Opens a session with an encoded key.
    ///
    /// # Cancellation
    ///
    /// That of [`Session::create`].
    pub(super) async fn open(
        epoch: Arc<Epoch<P>>,
        scheme: AkcipherScheme,
        key_type: KeyType,
        key: &[u8],
    ) -> Result<Self, Error> {
        let parameters = SessionParameters::Akcipher {
            scheme,
            key_type,
            key_len_bytes: key.len() as u32,
        };
        let session = Session::create(epoch, &parameters, &[key, &[]]).await?;
        Ok(Self {
            mode: Mode::Session(session),
            scheme,
            key_type,
        })
    }

    /// Keeps an encoded key for requests without a session.
    ///
    /// # Errors
    ///
    /// [`Error::FeatureMissing`].
    pub(super) fn stateless(
        epoch: Arc<Epoch<P>>,
        scheme: AkcipherScheme,
        key_type: KeyType,
        key: &[u8],
    ) -> Result<Self, Error> {
        let stateless = Stateless::new(epoch, StatelessFeature::AKCIPHER, &[key])?;
        Ok(Self {
            mode: Mode::Stateless(stateless),
            scheme,
            key_type,
        })
    }

    /// Returns the public half of this key in the same mode and scheme; `key` is its encoding.
    ///
    /// # Cancellation
    ///
    /// That of [`open`](Self::open).
    pub(super) async fn public_half(&self, key: &[u8]) -> Result<Self, Error> {
        let epoch = self.mode.epoch().clone();
        match self.mode {
            Mode::Session(_) => Self::open(epoch, self.scheme, KeyType::Public, key).await,
            Mode::Stateless(_) => Self::stateless(epoch, self.scheme, KeyType::Public, key),
        }
    }

    pub(super) async fn close(self) -> Result<(), Error> {
        self.mode.close().await
    }

    /// Lets the device make up to `result.len()` bytes of `source`; returns how many it says it
    /// made. Beyond them `result` is unchanged, and all of it after an error.
    ///
    /// # Cancellation
    ///
    /// If the future is dropped, `result` is unchanged.
    pub(super) async fn transform(
        &self,
        operation: AkcipherOperation,
        source: &[u8],
        result: &mut [u8],
    ) -> Result<usize, Error> {
        let head = self.head(operation, source.len(), result.len())?;
        self.mode.send_up_to(&head, [source, &[]], result).await
    }

    /// Asks the device whether `signature` belongs to `digest`.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidSignature`]: it does not.
    pub(super) async fn verify(&self, digest: &[u8], signature: &[u8]) -> Result<(), Error> {
        let head = self.head(AkcipherOperation::Verify, signature.len(), digest.len())?;
        // Both are for the device to read; it writes the status alone.
        let sent = self
            .mode
            .send_up_to(&head, [signature, digest], &mut [])
            .await;
        sent.map(drop).map_err(not_verified)
    }

    /// Checks the length against what the device takes in one request, then encodes the fixed part.
    pub(super) fn head(
        &self,
        operation: AkcipherOperation,
        source_len_bytes: usize,
        destination_len_bytes: usize,
    ) -> Result<Head, Error> {
        let capabilities = &self.mode.epoch().capabilities;
        let len_bytes = source_len_bytes + destination_len_bytes;
        capabilities.check_len(self.mode.overhead_bytes(), len_bytes, 1)?;
        let (source_len_bytes, destination_len_bytes) =
            (source_len_bytes as u32, destination_len_bytes as u32);
        Ok(match &self.mode {
            Mode::Session(session) => wire::akcipher_request(
                session.epoch.sessions.form(),
                self.scheme,
                operation,
                session.id(),
                source_len_bytes,
                destination_len_bytes,
            ),
            Mode::Stateless(stateless) => wire::stateless_akcipher_request(
                self.scheme,
                self.key_type,
                operation,
                stateless.key().len() as u32,
                source_len_bytes,
                destination_len_bytes,
            ),
        })
    }
}

/// Tells a wrong signature from other failures.
pub(super) fn not_verified(error: Error) -> Error {
    match error {
        Error::Refused(Refusal::KeyRejected | Refusal::BadMessage) => Error::InvalidSignature,
        error => error,
    }
}
