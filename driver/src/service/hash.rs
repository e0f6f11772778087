//! Hashes: the HASH service (Virtio 1.3, 5.9.7.4).
//!
//! The simplest service, and the pattern for a new one. The rule: a message is whole in one
//! request, since a device keeps nothing of it for the next.

use alloc::vec::Vec;

use crate::{
    Error, Platform,
    device::Device,
    dma::DmaBuffer,
    error::{Failed, check_at_least, check_countable, check_exact_len},
    request::{
        exchange::Admission,
        mode::{Mode, Stateless, StatelessFeature},
        sending::{Message, Payload},
        session::Session,
    },
    service::data::{Data, Held},
    wire::{self, HashAlgorithm, Head, SessionParameters},
};

/// A hash, for any number of messages, each whole in one request.
///
/// # Cancellation
///
/// As with [`Cipher`](crate::Cipher): every future may be dropped at any time, and a buffer given
/// to it is freed when the device has let go of it. The digest is then untouched.
#[derive(Debug)]
pub struct MessageDigest<P: Platform> {
    mode: Mode<P>,
    algorithm: HashAlgorithm,
    digest_len_bytes: usize,
}

impl<P: Platform> MessageDigest<P> {
    /// Opens a session whose digests have `digest_len_bytes` bytes: as many as the algorithm gives
    /// ([`HashAlgorithm::digest_len_bytes`]), or any number for SHAKE.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidLength`]; [`Error::TooManySessions`]; [`Error::Refused`] as the device says
    /// (QEMU: `NotSupported`); [`Error::Broken`]; [`Error::ShutDown`].
    ///
    /// # Cancellation
    ///
    /// If the future is dropped before it is ready, the session does not stay behind on the device.
    pub async fn open(
        device: &Device<P>,
        algorithm: HashAlgorithm,
        digest_len_bytes: usize,
    ) -> Result<Self, Error> {
        let parameters = SessionParameters::Hash {
            algorithm,
            result_len_bytes: check_digest_len(algorithm, digest_len_bytes)?,
        };
        let session = Session::create(device.epoch(), &parameters, &[&[]; 2]).await?;
        Ok(Self {
            mode: Mode::Session(session),
            algorithm,
            digest_len_bytes,
        })
    }

    /// Makes requests without a session: each names the algorithm itself.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidLength`]; [`Error::FeatureMissing`] where
    /// `VIRTIO_CRYPTO_F_HASH_STATELESS_MODE` has not been agreed on.
    pub fn stateless(
        device: &Device<P>,
        algorithm: HashAlgorithm,
        digest_len_bytes: usize,
    ) -> Result<Self, Error> {
        check_digest_len(algorithm, digest_len_bytes)?;
        let stateless = Stateless::new(device.epoch(), StatelessFeature::HASH, &[])?;
        Ok(Self {
            mode: Mode::Stateless(stateless),
            algorithm,
            digest_len_bytes,
        })
    }

    /// Returns the algorithm.
    pub fn algorithm(&self) -> HashAlgorithm {
        self.algorithm
    }

    /// Returns how many bytes a digest has.
    pub fn digest_len_bytes(&self) -> usize {
        self.digest_len_bytes
    }

    /// Returns how many bytes a message has at most.
    pub fn max_len_bytes(&self) -> usize {
        let other_bytes = self.mode.overhead_bytes() + self.digest_len_bytes;
        let capabilities = &self.mode.epoch().capabilities;
        capabilities.max_data_len_bytes(other_bytes, 1)
    }

    /// Ends the session and waits for the device's answer; without one, there is nothing to end.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`], [`Error::Broken`] or [`Error::ShutDown`]; the session is gone for the
    /// driver in any case.
    ///
    /// # Cancellation
    ///
    /// If the future is dropped, the session ends all the same.
    pub async fn close(self) -> Result<(), Error> {
        self.mode.close().await
    }

    /// Computes the digest of `data`, without copying; waits for a slot if none is free.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidLength`], [`Error::Refused`], [`Error::ShortAnswer`], [`Error::ShutDown`],
    /// [`Error::OutOfDeviceMemory`] for a long digest: with the buffer. [`Error::Broken`]: without
    /// it, if the device had it. `digest` is unchanged.
    pub async fn digest(
        &self,
        data: DmaBuffer<P>,
        digest: &mut [u8],
    ) -> Result<DmaBuffer<P>, Failed<DmaBuffer<P>>> {
        let data = Held::read_only(data, Admission::Wait);
        self.send(data, digest).await
    }

    /// Like [`digest`](Self::digest), but never waits for a slot.
    ///
    /// # Errors
    ///
    /// Also [`Error::QueueFull`], with the buffer.
    pub async fn try_digest(
        &self,
        data: DmaBuffer<P>,
        digest: &mut [u8],
    ) -> Result<DmaBuffer<P>, Failed<DmaBuffer<P>>> {
        let data = Held::read_only(data, Admission::Try);
        self.send(data, digest).await
    }

    /// Computes the digest of several buffers, as if they were one, without copying; waits for a
    /// slot if none is free. None of them may be empty.
    ///
    /// # Errors
    ///
    /// Those of [`digest`](Self::digest), and [`Error::TooManyBuffers`].
    pub async fn digest_list(
        &self,
        data: Vec<DmaBuffer<P>>,
        digest: &mut [u8],
    ) -> Result<Vec<DmaBuffer<P>>, Failed<Vec<DmaBuffer<P>>>> {
        let data = Held::read_only(data, Admission::Wait);
        self.send(data, digest).await
    }

    /// Computes the digest of `data` through a copy in device memory: up to 512 bytes in the slot's
    /// own, which allocates nothing. Waits for a slot if none is free.
    ///
    /// # Errors
    ///
    /// Those of [`digest`](Self::digest), and [`Error::OutOfDeviceMemory`]. `digest` is unchanged.
    pub async fn digest_slice(&self, data: &[u8], digest: &mut [u8]) -> Result<(), Error> {
        self.send(Payload::Source(data), digest).await
    }

    /// Computes the digest of data in any form.
    async fn send<D: Data<P>>(&self, mut data: D, digest: &mut [u8]) -> D::Outcome {
        let message = self.message(data.len_bytes(), digest);
        let outcome = data.send(&self.mode, message).await;
        data.give_back(outcome)
    }

    /// Checks the lengths, and puts together what goes with so many bytes of data.
    fn message<'a>(&'a self, len_bytes: usize, digest: &'a mut [u8]) -> Result<Message<'a>, Error> {
        check_exact_len("digest", digest.len(), self.digest_len_bytes)?;
        let epoch = self.mode.epoch();
        let other_bytes = self.mode.overhead_bytes() + self.digest_len_bytes;
        epoch.capabilities.check_len(other_bytes, len_bytes, 1)?;
        Ok(Message {
            head: self.head(len_bytes as u32),
            before: [self.mode.key(), &[], &[], &[]],
            after: [&[]; 2],
            result: digest,
        })
    }

    fn head(&self, len_bytes: u32) -> Head {
        let digest_len_bytes = self.digest_len_bytes as u32;
        match &self.mode {
            Mode::Session(session) => {
                let form = session.epoch.sessions.form();
                let (algorithm, id) = (self.algorithm, session.id());
                wire::hash_request(form, algorithm, id, len_bytes, digest_len_bytes)
            }
            Mode::Stateless(_) => {
                wire::stateless_hash_request(self.algorithm, len_bytes, digest_len_bytes)
            }
        }
    }
}

/// Checks how long a digest is to be.
pub(crate) fn check_digest_len(
    algorithm: HashAlgorithm,
    digest_len_bytes: usize,
) -> Result<u32, Error> {
    match algorithm.digest_len_bytes() {
        Some(len_bytes) => check_exact_len("digest", digest_len_bytes, len_bytes)?,
        None => check_at_least("digest", digest_len_bytes, 1)?,
    }
    check_countable("digest", digest_len_bytes)
}
