//! Algorithm chaining: a cipher and a hash or MAC in one request (Virtio 1.3, 5.9.7.6).
//!
//! For protocols that encrypt and authenticate the same data by algorithms that are not one AEAD.
//! The rule: a caller names the bytes that each of the two is over, and only bytes that the cipher
//! is over are changed.

mod parameters;

use alloc::vec::Vec;
use core::ops::Range;

use self::parameters::parse;
pub use self::parameters::{ChainInput, ChainParameters, ChainedHash};

use crate::{
    Error, Platform,
    device::Device,
    dma::DmaBuffer,
    error::{Failed, Requirement, check_countable, check_exact_len, invalid_len},
    request::{
        exchange::Admission,
        mode::{Mode, Stateless, StatelessFeature},
        sending::{Message, Payload},
        session::Session,
    },
    service::data::{Data, Held},
    wire::{self, ChainHash, ChainLens, ChainOrder, CipherParameters, Head, SessionParameters},
};

/// A cipher and a hash or MAC over the same data.
///
/// A device compares no digests. A caller that decrypts compares the digest with the one that came
/// with the data, in constant time, before it believes anything of the data.
///
/// # Cancellation
///
/// As with [`Cipher`](crate::Cipher): every future may be dropped at any time, and a buffer given
/// to it is freed when the device has let go of it. Slices and digest are then untouched.
#[derive(Debug)]
pub struct Chain<P: Platform> {
    mode: Mode<P>,
    order: ChainOrder,
    cipher: CipherParameters,
    hash: ChainHash,
    digest_len_bytes: usize,
    /// That of a session; without one, each request has its own.
    aad_len_bytes: Option<usize>,
}

impl<P: Platform> Chain<P> {
    /// Opens a session, always with so many bytes of additional data: the specification has their
    /// number in the session and in each request, and a device may go by either.
    ///
    /// The keys are copied into device memory, which is wiped when the device has answered; they
    /// themselves are the caller's to wipe.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidLength`]; [`Error::TooManySessions`]; [`Error::Refused`] as the device says
    /// (QEMU: `Error` or `NotSupported`); [`Error::Broken`]; [`Error::ShutDown`].
    ///
    /// # Cancellation
    ///
    /// If the future is dropped before it is ready, the session does not stay behind on the device.
    pub async fn open(
        device: &Device<P>,
        parameters: &ChainParameters<'_>,
        aad_len_bytes: usize,
    ) -> Result<Self, Error> {
        let (cipher, hash, keys) = parse(device, parameters)?;
        let session_parameters = SessionParameters::Chain {
            order: parameters.order,
            cipher,
            hash,
            aad_len_bytes: check_countable("additional data", aad_len_bytes)?,
        };
        let session = Session::create(device.epoch(), &session_parameters, &keys).await?;
        let mode = Mode::Session(session);
        Ok(Self::new(
            mode,
            parameters,
            cipher,
            hash,
            Some(aad_len_bytes),
        ))
    }

    /// Makes requests without a session: each brings the keys, and as many bytes of additional data
    /// as it likes. The driver keeps a copy of the keys, which is wiped at the end.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidLength`]; [`Error::FeatureMissing`] where
    /// `VIRTIO_CRYPTO_F_CIPHER_STATELESS_MODE` has not been agreed on.
    pub fn stateless(device: &Device<P>, parameters: &ChainParameters<'_>) -> Result<Self, Error> {
        let (cipher, hash, keys) = parse(device, parameters)?;
        let stateless = Stateless::new(device.epoch(), StatelessFeature::CIPHER, &keys)?;
        let mode = Mode::Stateless(stateless);
        Ok(Self::new(mode, parameters, cipher, hash, None))
    }

    fn new(
        mode: Mode<P>,
        parameters: &ChainParameters<'_>,
        cipher: CipherParameters,
        hash: ChainHash,
        aad_len_bytes: Option<usize>,
    ) -> Self {
        Self {
            mode,
            order: parameters.order,
            cipher,
            hash,
            digest_len_bytes: parameters.digest_len_bytes,
            aad_len_bytes,
        }
    }

    /// Returns how many bytes a digest has.
    pub fn digest_len_bytes(&self) -> usize {
        self.digest_len_bytes
    }

    /// Returns how many bytes one request takes at most, with so many bytes of additional data.
    pub fn max_len_bytes(&self, aad_len_bytes: usize) -> usize {
        let other_bytes = self.other_bytes(aad_len_bytes);
        let capabilities = &self.mode.epoch().capabilities;
        capabilities.max_data_len_bytes(other_bytes, 2)
    }

    /// Ends the session and waits for the device's answer; without one, wipes the keys.
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

    /// Processes `buffer` in place, without copying, and writes its digest; waits for a slot if
    /// none is free.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidLength`], [`Error::OutOfRange`], [`Error::Refused`], [`Error::ShortAnswer`],
    /// [`Error::ShutDown`], [`Error::OutOfDeviceMemory`] for long keys or additional data: with the
    /// buffer, which is wiped if the device had it. [`Error::Broken`]: without it, if the device
    /// had it. `digest` is unchanged.
    pub async fn process(
        &self,
        input: ChainInput<'_>,
        buffer: DmaBuffer<P>,
        digest: &mut [u8],
    ) -> Result<DmaBuffer<P>, Failed<DmaBuffer<P>>> {
        let data = Held::in_place(buffer, Admission::Wait);
        self.send(data, input, digest).await
    }

    /// Like [`process`](Self::process), but never waits for a slot.
    ///
    /// # Errors
    ///
    /// Also [`Error::QueueFull`], with the buffer.
    pub async fn try_process(
        &self,
        input: ChainInput<'_>,
        buffer: DmaBuffer<P>,
        digest: &mut [u8],
    ) -> Result<DmaBuffer<P>, Failed<DmaBuffer<P>>> {
        let data = Held::in_place(buffer, Admission::Try);
        self.send(data, input, digest).await
    }

    /// Processes several buffers in place, as if they were one. None of them may be empty.
    ///
    /// # Errors
    ///
    /// Those of [`process`](Self::process), and [`Error::TooManyBuffers`].
    pub async fn process_list(
        &self,
        input: ChainInput<'_>,
        buffers: Vec<DmaBuffer<P>>,
        digest: &mut [u8],
    ) -> Result<Vec<DmaBuffer<P>>, Failed<Vec<DmaBuffer<P>>>> {
        let data = Held::in_place(buffers, Admission::Wait);
        self.send(data, input, digest).await
    }

    /// Processes `data` in place through a copy in device memory: up to 512 bytes in the slot's
    /// own, which allocates nothing. Waits for a slot if none is free.
    ///
    /// # Errors
    ///
    /// Those of [`process`](Self::process), and [`Error::OutOfDeviceMemory`]. `data` and `digest`
    /// are unchanged.
    pub async fn process_slice(
        &self,
        input: ChainInput<'_>,
        data: &mut [u8],
        digest: &mut [u8],
    ) -> Result<(), Error> {
        let data = Payload::InPlace(data, input.cipher.clone());
        self.send(data, input, digest).await
    }

    /// Processes data in any form.
    async fn send<D: Data<P>>(
        &self,
        mut data: D,
        input: ChainInput<'_>,
        digest: &mut [u8],
    ) -> D::Outcome {
        let message = self.message(&input, data.len_bytes(), digest);
        let outcome = data.send(&self.mode, message).await;
        data.give_back(outcome)
    }

    /// Checks the lengths, and puts together what goes with so many bytes of data.
    fn message<'a>(
        &'a self,
        input: &ChainInput<'a>,
        len_bytes: usize,
        digest: &'a mut [u8],
    ) -> Result<Message<'a>, Error> {
        self.check(input, len_bytes, digest)?;
        let [cipher_key, hash_key] = self.mode.keys();
        // Where the additional data belongs depends on the mode.
        let (before, after) = match self.mode {
            Mode::Session(_) => ([&[], &[], input.iv, &[]], [&[], input.aad]),
            Mode::Stateless(_) => {
                let before = [cipher_key, hash_key, input.iv, input.aad];
                (before, [&[][..]; 2])
            }
        };
        Ok(Message {
            head: self.head(input, len_bytes as u32),
            before,
            after,
            result: digest,
        })
    }

    fn other_bytes(&self, aad_len_bytes: usize) -> usize {
        let iv_len_bytes = self.cipher.algorithm.iv_len_bytes();
        let other_bytes = self.mode.overhead_bytes() + iv_len_bytes + self.digest_len_bytes;
        other_bytes.saturating_add(aad_len_bytes)
    }

    fn check(&self, input: &ChainInput<'_>, len_bytes: usize, digest: &[u8]) -> Result<(), Error> {
        let algorithm = self.cipher.algorithm;
        check_exact_len("IV", input.iv.len(), algorithm.iv_len_bytes())?;
        check_exact_len("digest", digest.len(), self.digest_len_bytes)?;
        match self.aad_len_bytes {
            Some(required_bytes) => {
                check_exact_len("additional data", input.aad.len(), required_bytes)?;
            }
            None => {
                check_countable("additional data", input.aad.len())?;
            }
        }
        let other_bytes = self.other_bytes(input.aad.len());
        let capabilities = &self.mode.epoch().capabilities;
        capabilities.check_len(other_bytes, len_bytes, 2)?;
        let cipher_len_bytes = check_range("cipher", &input.cipher, len_bytes)?;
        check_range("hash", &input.hash, len_bytes)?;
        let block_bytes = algorithm.granule_len_bytes();
        let min_bytes = algorithm.min_len_bytes().max(1);
        let requirement = if cipher_len_bytes < min_bytes {
            Requirement::AtLeast { min_bytes }
        } else if !cipher_len_bytes.is_multiple_of(block_bytes) {
            Requirement::BlocksOf { block_bytes }
        } else {
            return Ok(());
        };
        Err(invalid_len("cipher", cipher_len_bytes, requirement))
    }

    fn head(&self, input: &ChainInput<'_>, len_bytes: u32) -> Head {
        let lens = ChainLens {
            iv_len_bytes: input.iv.len() as u32,
            len_bytes,
            cipher_start_bytes: input.cipher.start as u32,
            cipher_len_bytes: input.cipher.len() as u32,
            hash_start_bytes: input.hash.start as u32,
            hash_len_bytes: input.hash.len() as u32,
            aad_len_bytes: input.aad.len() as u32,
            result_len_bytes: self.digest_len_bytes as u32,
        };
        match &self.mode {
            Mode::Session(session) => wire::chain_request(self.cipher, session.id(), lens),
            Mode::Stateless(_) => {
                wire::stateless_chain_request(self.order, self.cipher, self.hash, lens)
            }
        }
    }
}

/// Checks that a range lies in the data, and returns its length.
fn check_range(
    field: &'static str,
    range: &Range<usize>,
    len_bytes: usize,
) -> Result<usize, Error> {
    let Range { start, end } = *range;
    if start > end || end > len_bytes {
        return Err(Error::OutOfRange {
            field,
            start,
            end,
            len_bytes,
        });
    }
    Ok(end - start)
}
