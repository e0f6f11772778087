//! Symmetric ciphers, each alone: the CIPHER service (Virtio 1.3, 5.9.7.6).
//!
//! For disks, streams and single blocks. The one rule: IV and data have lengths that the algorithm
//! takes, or nothing is sent.

mod batch;
mod chaining;
mod check;
mod long;
mod stream;
mod units;

use alloc::{sync::Arc, vec::Vec};
use core::{future::Future, task::Waker};

use crate::{
    Error, Platform,
    device::Device,
    dma::DmaBuffer,
    epoch::Epoch,
    error::{Failed, Requirement, invalid_len},
    queue::{Buffers, InFlight, List},
    request::{
        exchange::{Admission, INLINE_PAYLOAD_LEN, complete, exchange_in_place, own_waker},
        mode::{Mode, Stateless, StatelessFeature},
        sending::Message,
        session::Session,
    },
    service::data::{Given, whole},
    wire::{self, CipherAlgorithm, CipherParameters, Direction, REQUEST_LEN, SessionParameters},
};

pub use self::stream::{CipherStream, StreamSession};

/// Most bytes of an IV, counter block or tweak.
const MAX_IV_LEN: usize = 16;

/// A session for one cipher algorithm in one direction, with a key that the device holds.
///
/// Many requests may be in flight at once; each is a chain of its own, with its own IV. How long
/// key, IV and data are is up to the algorithm ([`CipherAlgorithm`]); there is no padding.
///
/// Dropping the session ends it on the device as soon as none of its requests is in flight, and
/// never waits; [`close`](Self::close) waits for the device's answer.
///
/// # Cancellation
///
/// Every future of this type may be dropped at any time. Before the device has the request,
/// nothing has happened, and a buffer given to it is freed. Afterwards the device finishes the
/// request for nobody; a buffer given to it is freed when the device has let go of it.
#[derive(Debug)]
pub struct Cipher<P: Platform> {
    mode: Mode<P>,
    algorithm: CipherAlgorithm,
    direction: Direction,
}

impl<P: Platform> Cipher<P> {
    fn new(mode: Mode<P>, algorithm: CipherAlgorithm, direction: Direction) -> Self {
        Self {
            mode,
            algorithm,
            direction,
        }
    }

    /// Opens a session with a key of one of the algorithm's lengths
    /// ([`CipherAlgorithm::key_lens_bytes`]).
    ///
    /// The key is copied into device memory, which is wiped when the device has answered; `key`
    /// itself is the caller's to wipe.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidLength`] for a key of another length; [`Error::TooManySessions`];
    /// [`Error::Refused`] as the device says (QEMU: `Error` when its own limit of 256 sessions is
    /// met or it does not know the algorithm); [`Error::Broken`]; [`Error::ShutDown`].
    ///
    /// # Cancellation
    ///
    /// If the future is dropped before it is ready, the session does not stay behind on the device.
    #[expect(
        clippy::manual_async_fn,
        reason = "an `async fn` would move its arguments once more"
    )]
    pub fn open(
        device: &Device<P>,
        algorithm: CipherAlgorithm,
        direction: Direction,
        key: &[u8],
    ) -> impl Future<Output = Result<Self, Error>> {
        async move {
            let epoch = device.epoch();
            let key_len_bytes = epoch.capabilities.check_cipher_key(algorithm, key)?;
            let parameters = SessionParameters::Cipher(CipherParameters {
                algorithm,
                direction,
                key_len_bytes,
            });
            let session = Session::create(epoch, &parameters, &[key, &[]]).await?;
            Ok(Self::new(Mode::Session(session), algorithm, direction))
        }
    }

    /// Makes requests without a session: each brings the key. The driver keeps a copy of it, which
    /// is wiped at the end.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidLength`]; [`Error::FeatureMissing`] where
    /// `VIRTIO_CRYPTO_F_CIPHER_STATELESS_MODE` has not been agreed on.
    pub fn stateless(
        device: &Device<P>,
        algorithm: CipherAlgorithm,
        direction: Direction,
        key: &[u8],
    ) -> Result<Self, Error> {
        let epoch = device.epoch();
        epoch.capabilities.check_cipher_key(algorithm, key)?;
        let stateless = Stateless::new(epoch, StatelessFeature::CIPHER, &[key])?;
        Ok(Self::new(Mode::Stateless(stateless), algorithm, direction))
    }

    /// Returns the algorithm that the session was opened for.
    pub fn algorithm(&self) -> CipherAlgorithm {
        self.algorithm
    }

    /// Returns the direction that the session was opened for.
    pub fn direction(&self) -> Direction {
        self.direction
    }

    /// Returns how many bytes one request takes at most.
    pub fn max_len_bytes(&self) -> usize {
        let other_bytes = self.mode.overhead_bytes() + self.algorithm.iv_len_bytes();
        let capabilities = &self.epoch().capabilities;
        let max_bytes = capabilities.max_data_len_bytes(other_bytes, 2);
        max_bytes - max_bytes % self.algorithm.granule_len_bytes()
    }

    pub(crate) fn epoch(&self) -> &Arc<Epoch<P>> {
        self.mode.epoch()
    }

    /// Tells whether the session belongs to `epoch`.
    pub(crate) fn is_of(&self, epoch: &Arc<Epoch<P>>) -> bool {
        Arc::ptr_eq(self.epoch(), epoch)
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
    pub fn close(self) -> impl Future<Output = Result<(), Error>> {
        self.mode.close()
    }

    /// Processes `buffer` in place, without copying; waits for a slot if none is free.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidLength`], [`Error::Refused`], [`Error::ShortAnswer`], [`Error::ShutDown`]:
    /// with the buffer, which is wiped if the device had it: half an answer is none.
    /// [`Error::Broken`]: without it, if the device had it.
    pub async fn process(
        &self,
        iv: &[u8],
        buffer: DmaBuffer<P>,
    ) -> Result<DmaBuffer<P>, Failed<DmaBuffer<P>>> {
        self.process_given(iv, buffer, Admission::Wait).await
    }

    /// Like [`process`](Self::process), but never waits for a slot.
    ///
    /// # Errors
    ///
    /// Also [`Error::QueueFull`], with the buffer.
    pub async fn try_process(
        &self,
        iv: &[u8],
        buffer: DmaBuffer<P>,
    ) -> Result<DmaBuffer<P>, Failed<DmaBuffer<P>>> {
        self.process_given(iv, buffer, Admission::Try).await
    }

    /// Processes several buffers in place, as if they were one, without copying; waits for a slot
    /// if none is free. None of them may be empty; their lengths together are what counts as the
    /// length of the data.
    ///
    /// # Errors
    ///
    /// Those of [`process`](Self::process), and [`Error::TooManyBuffers`]: each buffer takes two
    /// descriptors of a request's 16 (8 without INDIRECT_DESC), beside two for the rest, or three
    /// with [`Framing::OnePerField`](crate::Framing::OnePerField).
    pub async fn process_list(
        &self,
        iv: &[u8],
        buffers: Vec<DmaBuffer<P>>,
    ) -> Result<Vec<DmaBuffer<P>>, Failed<Vec<DmaBuffer<P>>>> {
        self.process_given(iv, buffers, Admission::Wait).await
    }

    /// Processes what a caller gave, in place.
    async fn process_given<B: Given<P>>(
        &self,
        iv: &[u8],
        given: B,
        admission: Admission,
    ) -> Result<B, Failed<B>> {
        let mut buffers = Buffers::in_place(given.into_list());
        let outcome = self.transfer(iv, &mut buffers, admission).await;
        B::give_back(buffers, outcome)
    }

    /// Processes `source` into `destination`, which is as long, without copying; waits for a slot
    /// if none is free.
    ///
    /// # Errors
    ///
    /// Those of [`process`](Self::process), about both buffers; the source stays as it was.
    pub async fn process_into(
        &self,
        iv: &[u8],
        source: DmaBuffer<P>,
        destination: DmaBuffer<P>,
    ) -> Result<(DmaBuffer<P>, DmaBuffer<P>), Failed<(DmaBuffer<P>, DmaBuffer<P>)>> {
        let lens = (source.len(), destination.len());
        let mut buffers = Buffers::apart(List::One(source), List::One(destination));
        let outcome = if lens.0 == lens.1 {
            self.transfer(iv, &mut buffers, Admission::Wait).await
        } else {
            let requirement = Requirement::SameAs {
                field: "source",
                len_bytes: lens.0,
            };
            Err(invalid_len("destination", lens.1, requirement))
        };
        let (source, destination) = buffers.into_lists();
        let given = source.and_then(List::into_one);
        Failed::give_back(outcome, given.zip(destination.and_then(List::into_one)))
    }

    /// Processes `data` in place through a copy in device memory; waits for a slot if none is
    /// free.
    ///
    /// Up to 512 bytes travel in the slot's own memory and allocate nothing; more take a buffer
    /// for the time of the request. What is longer than one request is cut into several, each with
    /// a buffer, as [`process_long`](Self::process_long) does.
    ///
    /// # Errors
    ///
    /// Those of [`process_long`](Self::process_long), and [`Error::OutOfDeviceMemory`]. `data` is
    /// unchanged then.
    ///
    /// # Cancellation
    ///
    /// If the future is dropped, `data` is unchanged: the device never sees it.
    #[expect(
        clippy::manual_async_fn,
        reason = "an `async fn` would move its arguments once more"
    )]
    pub fn process_slice(
        &self,
        iv: &[u8],
        data: &mut [u8],
    ) -> impl Future<Output = Result<(), Error>> {
        async move {
            let waker = own_waker().await;
            let Some(mut in_flight) = self.submit_fast(iv, data, waker) else {
                return self.process_slice_slowly(iv, data).await;
            };
            complete(self.epoch(), &mut in_flight).await?;
            in_flight.finish_in_place(data)
        }
    }

    /// Sends by the fast path if nothing is in its way, not even an error.
    #[inline(always)]
    fn submit_fast(&self, iv: &[u8], data: &[u8], waker: Waker) -> Option<InFlight<'_, P>> {
        let Mode::Session(session) = &self.mode else {
            return None;
        };
        if !self.has_shape(iv, data.len()) {
            return None;
        }
        let queue = session.epoch.data_queue();
        let head = |id| self.head(id, data.len());
        queue.submit_fast(session.index, head, [iv, data], waker)
    }

    async fn process_slice_slowly(&self, iv: &[u8], data: &mut [u8]) -> Result<(), Error> {
        if data.len() > self.max_len_bytes() {
            return self.process_copies(iv, data, &mut []).await;
        }
        self.check_shape(iv, data.len())?;
        let session = match &self.mode {
            Mode::Session(session) => session,
            Mode::Stateless(stateless) => {
                let message = self.stateless_message(stateless, iv, data.len());
                return self.mode.send_slice(message, whole(data)).await;
            }
        };
        if data.len() > INLINE_PAYLOAD_LEN {
            let message = self.message(session, iv, data.len());
            return self.mode.send_slice(message, whole(data)).await;
        }
        let head = self.head(session.id(), data.len());
        exchange_in_place(&session.epoch, session.index, &head, iv, data).await
    }

    /// Sends what `buffers` hold. They come back unless the device may still touch them. What it
    /// was to overwrite is wiped when its answer does not count, as [`Mode::send`] does.
    async fn transfer(
        &self,
        iv: &[u8],
        buffers: &mut Buffers<P>,
        admission: Admission,
    ) -> Result<(), Error> {
        let len_bytes = buffers.source_len_bytes();
        self.check_lens(iv, len_bytes)?;
        match &self.mode {
            Mode::Session(session) => {
                let message = self.message(session, iv, len_bytes);
                self.mode.send(message, buffers, admission).await
            }
            Mode::Stateless(stateless) => {
                let message = self.stateless_message(stateless, iv, len_bytes);
                self.mode.send(message, buffers, admission).await
            }
        }
    }

    /// With the one head that all devices take, copied once.
    fn message<'a>(
        &self,
        session: &Session<P>,
        iv: &'a [u8],
        len_bytes: usize,
    ) -> Message<'a, [u8; REQUEST_LEN]> {
        Message {
            head: self.head(session.id(), len_bytes),
            before: [iv, &[], &[], &[]],
            after: [&[]; 2],
            result: &mut [],
        }
    }

    #[inline]
    fn head(&self, id: u64, len_bytes: usize) -> [u8; REQUEST_LEN] {
        wire::cipher_request(self.algorithm, self.direction, id, len_bytes as u32)
    }

    fn stateless_message<'a>(
        &self,
        stateless: &'a Stateless<P>,
        iv: &'a [u8],
        len_bytes: usize,
    ) -> Message<'a> {
        let (key, len_bytes) = (stateless.key(), len_bytes as u32);
        let (algorithm, direction) = (self.algorithm, self.direction);
        let key_len_bytes = key.len() as u32;
        Message {
            head: wire::stateless_cipher_request(algorithm, direction, key_len_bytes, len_bytes),
            before: [key, iv, &[], &[]],
            after: [&[]; 2],
            result: &mut [],
        }
    }
}
