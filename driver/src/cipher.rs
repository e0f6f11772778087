//! Symmetric ciphers: AES in CBC mode.

use crate::{
    Device, Error, Failed, Platform, Requirement,
    dma::DmaBuffer,
    link::Which,
    queue::{Buffers, Intent},
    request::{Admission, Body, INLINE_PAYLOAD_LEN, transact},
    session::Session,
    wire::{self, CipherAlgorithm, ControlOpcode, DataOpcode, Direction, REQUEST_LEN},
};

/// Bytes of an AES block and of a CBC initialisation vector.
pub const AES_BLOCK_LEN: usize = 16;

/// A session for AES-CBC in one direction, with a key that the device holds.
///
/// Many requests may be in flight at once; each is a chain of its own, with its own IV. Data is a
/// whole number of 16-byte blocks, at least one; there is no padding.
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
pub struct AesCbc<P: Platform> {
    session: Session<P>,
    direction: Direction,
}

impl<P: Platform> AesCbc<P> {
    /// Opens a session with a key of 16, 24 or 32 bytes (AES-128, -192, -256; NIST SP 800-38A).
    ///
    /// The key is copied into device memory, which is wiped when the device has answered; `key`
    /// itself is the caller's to wipe.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidLength`] for a key of another length; [`Error::TooManySessions`];
    /// [`Error::Refused`] as the device says (QEMU: `Error` when its own limit of 256 sessions is
    /// met); [`Error::Broken`]; [`Error::ShutDown`].
    ///
    /// # Cancellation
    ///
    /// Dropped before it is ready, the session does not stay behind on the device.
    pub async fn open(device: &Device<P>, direction: Direction, key: &[u8]) -> Result<Self, Error> {
        let len_bytes = key.len();
        let invalid = |requirement| Error::InvalidLength {
            field: "key",
            len_bytes,
            requirement,
        };
        if !matches!(len_bytes, 16 | 24 | 32) {
            return Err(invalid(Requirement::AesKey));
        }
        let link = device.link();
        let max_bytes = u64::from(link.capabilities.max_cipher_key_len_bytes);
        if len_bytes as u64 > max_bytes {
            return Err(invalid(Requirement::AtMost { max_bytes }));
        }
        let header =
            wire::create_cipher_session(CipherAlgorithm::AesCbc, direction, len_bytes as u32);
        let destroy = ControlOpcode::DestroyCipherSession as u32;
        let session = Session::create(link, header, key, destroy).await?;
        Ok(Self { session, direction })
    }

    /// Returns the direction that the session was opened for.
    pub fn direction(&self) -> Direction {
        self.direction
    }

    /// Ends the session and waits for the device's answer.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`], [`Error::Broken`] or [`Error::ShutDown`]; the session is gone for the
    /// driver in any case.
    ///
    /// # Cancellation
    ///
    /// Dropped, the session ends all the same.
    pub async fn close(self) -> Result<(), Error> {
        self.session.close().await
    }

    /// Processes `buffer` in place, without copying; waits for a slot if none is free.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidLength`], [`Error::Refused`], [`Error::ShortAnswer`], [`Error::ShutDown`]:
    /// with the buffer, whose content is unspecified if the device had it. [`Error::Broken`]:
    /// without it, if the device had it.
    pub async fn process(
        &self,
        iv: &[u8; AES_BLOCK_LEN],
        buffer: DmaBuffer<P>,
    ) -> Result<DmaBuffer<P>, Failed<DmaBuffer<P>>> {
        self.process_one(iv, buffer, Admission::Wait).await
    }

    /// Like [`process`](Self::process), but never waits for a slot.
    ///
    /// # Errors
    ///
    /// Also [`Error::QueueFull`], with the buffer.
    pub async fn try_process(
        &self,
        iv: &[u8; AES_BLOCK_LEN],
        buffer: DmaBuffer<P>,
    ) -> Result<DmaBuffer<P>, Failed<DmaBuffer<P>>> {
        self.process_one(iv, buffer, Admission::Try).await
    }

    async fn process_one(
        &self,
        iv: &[u8; AES_BLOCK_LEN],
        buffer: DmaBuffer<P>,
        admission: Admission,
    ) -> Result<DmaBuffer<P>, Failed<DmaBuffer<P>>> {
        let mut buffers = [Some(buffer), None];
        let outcome = self.transfer(iv, &mut buffers, admission).await;
        let [buffer, _] = buffers;
        match (outcome, buffer) {
            (Ok(()), Some(buffer)) => Ok(buffer),
            (Ok(()), None) => Err(Failed {
                error: Error::ShutDown,
                given: None,
            }),
            (Err(error), given) => Err(Failed { error, given }),
        }
    }

    /// Processes `source` into `destination`, which is as long, without copying; waits for a slot
    /// if none is free.
    ///
    /// # Errors
    ///
    /// Those of [`process`](Self::process), about both buffers.
    pub async fn process_into(
        &self,
        iv: &[u8; AES_BLOCK_LEN],
        source: DmaBuffer<P>,
        destination: DmaBuffer<P>,
    ) -> Result<(DmaBuffer<P>, DmaBuffer<P>), Failed<(DmaBuffer<P>, DmaBuffer<P>)>> {
        if destination.len() != source.len() {
            let error = Error::InvalidLength {
                field: "destination",
                len_bytes: destination.len(),
                requirement: Requirement::SameAs {
                    field: "source",
                    len_bytes: source.len(),
                },
            };
            return Err(Failed::back(error, (source, destination)));
        }
        let mut buffers = [Some(source), Some(destination)];
        let outcome = self.transfer(iv, &mut buffers, Admission::Wait).await;
        let [source, destination] = buffers;
        match (outcome, source.zip(destination)) {
            (Ok(()), Some(buffers)) => Ok(buffers),
            (Ok(()), None) => Err(Failed {
                error: Error::ShutDown,
                given: None,
            }),
            (Err(error), given) => Err(Failed { error, given }),
        }
    }

    /// Processes `data` in place through a copy in device memory; waits for a slot if none is
    /// free.
    ///
    /// Up to 512 bytes travel in the slot's own memory and allocate nothing; more take a buffer
    /// for the time of the request.
    ///
    /// # Errors
    ///
    /// Those of [`process`](Self::process), and [`Error::OutOfDeviceMemory`]. `data` is unchanged
    /// then.
    ///
    /// # Cancellation
    ///
    /// Dropped, `data` is unchanged: the device never sees it.
    pub async fn process_slice(
        &self,
        iv: &[u8; AES_BLOCK_LEN],
        data: &mut [u8],
    ) -> Result<(), Error> {
        self.check_len(data.len())?;
        if data.len() > INLINE_PAYLOAD_LEN {
            let buffer = DmaBuffer::from_slice(data)?;
            let buffer = self.process(iv, buffer).await.map_err(Error::from)?;
            data.copy_from_slice(&buffer);
            return Ok(());
        }
        let header = self.header(data.len());
        let body = Body::Inline { iv, payload: data };
        let intent = Intent::Data(self.session.index);
        let link = &*self.session.link;
        let sent = transact(link, Which::Data, &header, body, intent, Admission::Wait).await;
        let in_flight = sent?;
        let start = crate::queue::INLINE + iv.len();
        let mut status = [0xff];
        in_flight.block().read(start + data.len(), &mut status);
        let outcome = check_answer(in_flight.written_bytes(), data.len(), status[0]);
        if outcome.is_ok() {
            in_flight.block().read(start, data);
        }
        in_flight.finish();
        outcome
    }

    /// Sends what `buffers` hold. They come back unless the device may still touch them.
    async fn transfer(
        &self,
        iv: &[u8; AES_BLOCK_LEN],
        buffers: &mut Buffers<P>,
        admission: Admission,
    ) -> Result<(), Error> {
        let len_bytes = buffers[0].as_ref().map_or(0, |source| source.len());
        self.check_len(len_bytes)?;
        let header = self.header(len_bytes);
        let body = Body::Buffers { iv, buffers };
        let intent = Intent::Data(self.session.index);
        let link = &*self.session.link;
        let in_flight = transact(link, Which::Data, &header, body, intent, admission).await?;
        let mut status = [0xff];
        in_flight.block().read(crate::queue::ANSWER, &mut status);
        let outcome = check_answer(in_flight.written_bytes(), len_bytes, status[0]);
        *buffers = in_flight.finish_with_buffers();
        outcome
    }

    fn header(&self, len_bytes: usize) -> [u8; REQUEST_LEN] {
        let opcode = DataOpcode::from(self.direction);
        wire::cipher_request(
            opcode,
            self.session.id(),
            AES_BLOCK_LEN as u32,
            len_bytes as u32,
        )
    }

    /// Checks what the device would choke on: an empty descriptor, a partial block, more than it
    /// takes in one request.
    fn check_len(&self, len_bytes: usize) -> Result<(), Error> {
        let invalid = |requirement| Error::InvalidLength {
            field: "data",
            len_bytes,
            requirement,
        };
        if len_bytes == 0 || !len_bytes.is_multiple_of(AES_BLOCK_LEN) {
            return Err(invalid(Requirement::BlocksOf {
                block_bytes: AES_BLOCK_LEN,
            }));
        }
        // QEMU counts header, IV, source, destination and status.
        let overhead = (REQUEST_LEN + AES_BLOCK_LEN + 1) as u64;
        let max_size = self
            .session
            .link
            .capabilities
            .max_size_bytes
            .saturating_sub(overhead)
            / 2;
        let max_bytes = max_size.min(u64::from(u32::MAX)) & !(AES_BLOCK_LEN as u64 - 1);
        if len_bytes as u64 > max_bytes {
            return Err(invalid(Requirement::AtMost { max_bytes }));
        }
        Ok(())
    }
}

/// Judges an answer: whether there is one, its status, then whether all of it was written. On an
/// error nothing of the output counts.
fn check_answer(written_bytes: u32, len_bytes: usize, status: u8) -> Result<(), Error> {
    let expected_bytes = len_bytes as u32 + 1;
    let short = Error::ShortAnswer {
        written_bytes,
        expected_bytes,
    };
    // Nothing at all was written, so no status either.
    if written_bytes == 0 {
        return Err(short);
    }
    wire::check_status(u32::from(status)).map_err(Error::Refused)?;
    if written_bytes < expected_bytes {
        return Err(short);
    }
    Ok(())
}
