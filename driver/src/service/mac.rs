//! Message authentication codes: the MAC service (Virtio 1.3, 5.9.7.5).
//!
//! For callers that make tags and for those that check them. The rule: the device computes every
//! tag, and the driver compares tags itself, in constant time.

use alloc::vec::Vec;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::{
    Error, Platform,
    device::Device,
    dma::DmaBuffer,
    error::{Failed, check_at_least, check_at_most, check_exact_len},
    request::{
        exchange::Admission,
        mode::{Mode, Stateless, StatelessFeature},
        sending::{Message, Payload},
        session::Session,
    },
    service::data::{Data, Held},
    wire::{self, Head, MacAlgorithm, SessionParameters},
};

/// Fewest bytes of a tag (NIST SP 800-107, 5.3.3).
const MIN_TAG_LEN: usize = 4;
/// Most bytes of a tag: no algorithm's result is longer.
const MAX_TAG_LEN: usize = MacAlgorithm::HmacSha512.result_len_bytes();

/// A message authentication code with its key, for any number of messages, each whole in one
/// request.
///
/// A MAC request has no field for an IV. What a device computes for an algorithm that needs one
/// (GMAC, SNOW 3G, ZUC) is up to it, and GMAC with one IV for two messages gives its key away:
/// authenticate by [`AeadEncrypt`](crate::AeadEncrypt) with additional data alone instead.
///
/// # Cancellation
///
/// As with [`Cipher`](crate::Cipher): every future may be dropped at any time, and a buffer given
/// to it is freed when the device has let go of it. The tag is then untouched.
#[derive(Debug)]
pub struct Mac<P: Platform> {
    mode: Mode<P>,
    algorithm: MacAlgorithm,
    key_len_bytes: u32,
    tag_len_bytes: usize,
}

impl<P: Platform> Mac<P> {
    /// Opens a session with a key of one of the algorithm's lengths
    /// ([`MacAlgorithm::key_lens_bytes`]), whose tags have the first `tag_len_bytes` bytes of the
    /// algorithm's result: all of them ([`MacAlgorithm::result_len_bytes`]), or fewer, but at least
    /// 4.
    ///
    /// The key is copied into device memory, which is wiped when the device has answered; `key`
    /// itself is the caller's to wipe.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidLength`] for a key or tag of another length, or a key longer than the device
    /// takes; [`Error::TooManySessions`]; [`Error::Refused`] as the device says (QEMU:
    /// `NotSupported`); [`Error::Broken`]; [`Error::ShutDown`].
    ///
    /// # Cancellation
    ///
    /// If the future is dropped before it is ready, the session does not stay behind on the device.
    pub async fn open(
        device: &Device<P>,
        algorithm: MacAlgorithm,
        key: &[u8],
        tag_len_bytes: usize,
    ) -> Result<Self, Error> {
        let epoch = device.epoch();
        let key_len_bytes = epoch.capabilities.check_mac_key(algorithm, key)?;
        let parameters = SessionParameters::Mac {
            algorithm,
            result_len_bytes: check_tag_len(algorithm, tag_len_bytes)?,
            key_len_bytes,
        };
        let session = Session::create(epoch, &parameters, &[key, &[]]).await?;
        Ok(Self {
            mode: Mode::Session(session),
            algorithm,
            key_len_bytes,
            tag_len_bytes,
        })
    }

    /// Makes requests without a session: each brings the key. The driver keeps a copy of it, which
    /// is wiped at the end.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidLength`]; [`Error::FeatureMissing`] where
    /// `VIRTIO_CRYPTO_F_MAC_STATELESS_MODE` has not been agreed on.
    pub fn stateless(
        device: &Device<P>,
        algorithm: MacAlgorithm,
        key: &[u8],
        tag_len_bytes: usize,
    ) -> Result<Self, Error> {
        let epoch = device.epoch();
        let key_len_bytes = epoch.capabilities.check_mac_key(algorithm, key)?;
        check_tag_len(algorithm, tag_len_bytes)?;
        let stateless = Stateless::new(epoch, StatelessFeature::MAC, &[key])?;
        Ok(Self {
            mode: Mode::Stateless(stateless),
            algorithm,
            key_len_bytes,
            tag_len_bytes,
        })
    }

    /// Returns the algorithm.
    pub fn algorithm(&self) -> MacAlgorithm {
        self.algorithm
    }

    /// Returns how many bytes a tag has.
    pub fn tag_len_bytes(&self) -> usize {
        self.tag_len_bytes
    }

    /// Returns how many bytes a message has at most.
    pub fn max_len_bytes(&self) -> usize {
        let other_bytes = self.mode.overhead_bytes() + self.tag_len_bytes;
        let capabilities = &self.mode.epoch().capabilities;
        capabilities.max_data_len_bytes(other_bytes, 1)
    }

    /// Ends the session and waits for the device's answer; without one, wipes the key.
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

    /// Computes the tag of `data`, without copying; waits for a slot if none is free.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidLength`], [`Error::Refused`], [`Error::ShortAnswer`], [`Error::ShutDown`],
    /// [`Error::OutOfDeviceMemory`] for a long key: with the buffer. [`Error::Broken`]: without it,
    /// if the device had it. `tag` is unchanged.
    pub async fn tag(
        &self,
        data: DmaBuffer<P>,
        tag: &mut [u8],
    ) -> Result<DmaBuffer<P>, Failed<DmaBuffer<P>>> {
        let data = Held::read_only(data, Admission::Wait);
        self.send(data, tag).await
    }

    /// Like [`tag`](Self::tag), but never waits for a slot.
    ///
    /// # Errors
    ///
    /// Also [`Error::QueueFull`], with the buffer.
    pub async fn try_tag(
        &self,
        data: DmaBuffer<P>,
        tag: &mut [u8],
    ) -> Result<DmaBuffer<P>, Failed<DmaBuffer<P>>> {
        let data = Held::read_only(data, Admission::Try);
        self.send(data, tag).await
    }

    /// Computes the tag of several buffers, as if they were one, without copying; waits for a slot
    /// if none is free. None of them may be empty.
    ///
    /// # Errors
    ///
    /// Those of [`tag`](Self::tag), and [`Error::TooManyBuffers`].
    pub async fn tag_list(
        &self,
        data: Vec<DmaBuffer<P>>,
        tag: &mut [u8],
    ) -> Result<Vec<DmaBuffer<P>>, Failed<Vec<DmaBuffer<P>>>> {
        let data = Held::read_only(data, Admission::Wait);
        self.send(data, tag).await
    }

    /// Computes the tag of `data` through a copy in device memory: up to 512 bytes in the slot's
    /// own, which allocates nothing. Waits for a slot if none is free.
    ///
    /// # Errors
    ///
    /// Those of [`tag`](Self::tag), and [`Error::OutOfDeviceMemory`]. `tag` is unchanged.
    pub async fn tag_slice(&self, data: &[u8], tag: &mut [u8]) -> Result<(), Error> {
        self.send(Payload::Source(data), tag).await
    }

    /// Checks that `tag` is that of `data`, without copying the data: the device computes the right
    /// one, the driver compares them, in a time that does not depend on where they differ.
    ///
    /// # Errors
    ///
    /// [`Error::TagMismatch`], with the buffer; those of [`tag`](Self::tag).
    pub async fn verify(
        &self,
        data: DmaBuffer<P>,
        tag: &[u8],
    ) -> Result<DmaBuffer<P>, Failed<DmaBuffer<P>>> {
        let data = Held::read_only(data, Admission::Wait);
        self.check(data, tag).await
    }

    /// Like [`verify`](Self::verify), of several buffers as if they were one.
    ///
    /// # Errors
    ///
    /// Those of [`verify`](Self::verify) and of [`tag_list`](Self::tag_list).
    pub async fn verify_list(
        &self,
        data: Vec<DmaBuffer<P>>,
        tag: &[u8],
    ) -> Result<Vec<DmaBuffer<P>>, Failed<Vec<DmaBuffer<P>>>> {
        let data = Held::read_only(data, Admission::Wait);
        self.check(data, tag).await
    }

    /// Like [`verify`](Self::verify), of a slice.
    ///
    /// # Errors
    ///
    /// [`Error::TagMismatch`]; those of [`tag_slice`](Self::tag_slice).
    pub async fn verify_slice(&self, data: &[u8], tag: &[u8]) -> Result<(), Error> {
        self.check(Payload::Source(data), tag).await
    }

    /// Computes the tag of data in any form.
    async fn send<D: Data<P>>(&self, mut data: D, tag: &mut [u8]) -> D::Outcome {
        let message = self.message(data.len_bytes(), tag);
        let outcome = data.send(&self.mode, message).await;
        data.give_back(outcome)
    }

    /// Checks the tag of data in any form.
    async fn check<D: Data<P>>(&self, mut data: D, tag: &[u8]) -> D::Outcome {
        let outcome = self.compute_and_compare(&mut data, tag).await;
        data.give_back(outcome)
    }

    async fn compute_and_compare(&self, data: &mut impl Data<P>, tag: &[u8]) -> Result<(), Error> {
        check_exact_len("tag", tag.len(), self.tag_len_bytes)?;
        let mut computed = Zeroizing::new([0; MAX_TAG_LEN]);
        let computed = &mut computed[..self.tag_len_bytes];
        let message = self.message(data.len_bytes(), computed);
        data.send(&self.mode, message).await?;
        compare(computed, tag)
    }

    /// Checks the lengths, and puts together what goes with so many bytes of data.
    fn message<'a>(&'a self, len_bytes: usize, tag: &'a mut [u8]) -> Result<Message<'a>, Error> {
        check_exact_len("tag", tag.len(), self.tag_len_bytes)?;
        let epoch = self.mode.epoch();
        let other_bytes = self.mode.overhead_bytes() + self.tag_len_bytes;
        epoch.capabilities.check_len(other_bytes, len_bytes, 1)?;
        Ok(Message {
            head: self.head(len_bytes as u32),
            before: [self.mode.key(), &[], &[], &[]],
            after: [&[]; 2],
            result: tag,
        })
    }

    fn head(&self, len_bytes: u32) -> Head {
        let tag_len_bytes = self.tag_len_bytes as u32;
        match &self.mode {
            Mode::Session(session) => {
                let form = session.epoch.sessions.form();
                let (algorithm, id) = (self.algorithm, session.id());
                wire::mac_request(form, algorithm, id, len_bytes, tag_len_bytes)
            }
            Mode::Stateless(_) => wire::stateless_mac_request(
                self.algorithm,
                self.key_len_bytes,
                len_bytes,
                tag_len_bytes,
            ),
        }
    }
}

/// Compares tags in constant time.
fn compare(computed: &[u8], given: &[u8]) -> Result<(), Error> {
    match bool::from(computed.ct_eq(given)) {
        true => Ok(()),
        false => Err(Error::TagMismatch),
    }
}

/// Checks how long a tag is to be.
pub(crate) fn check_tag_len(algorithm: MacAlgorithm, tag_len_bytes: usize) -> Result<u32, Error> {
    check_at_least("tag", tag_len_bytes, MIN_TAG_LEN)?;
    let max_bytes = algorithm.result_len_bytes() as u64;
    check_at_most("tag", tag_len_bytes, max_bytes)?;
    Ok(tag_len_bytes as u32)
}
