//! Session mode and stateless mode (Virtio 1.3, 5.9.7): the device keeps the key, or the driver
//! does.
//!
//! For the services, whose requests go one way in both modes. The one rule: after an error the
//! caller's slices are unchanged, and buffers come back unless the device may still touch them.

use alloc::{boxed::Box, sync::Arc, vec::Vec};
use core::{fmt, future::Future, ops::Range};

use zeroize::Zeroizing;

use crate::{
    Error, Platform,
    dma::DmaBuffer,
    epoch::Epoch,
    heap::room_for,
    queue::{Body, Buffers, InFlight, Inline, List, SessionIndex, len_bytes},
    request::{
        exchange::{Admission, INLINE_PAYLOAD_LEN, complete, exchange, own_waker},
        session::{Session, watched},
    },
    wire::{Features, Head, MAX_HEAD_LEN, REQUEST_LEN},
};

/// How the requests of a service name key and parameters.
#[derive(Debug)]
pub(crate) enum Mode<P: Platform> {
    /// The device keeps key and parameters.
    Session(Session<P>),
    /// Each request brings them. Boxed, so that a session, which most callers have, is moved in two
    /// words.
    Stateless(Box<Stateless<P>>),
}

/// A key that travels with each request.
pub(crate) struct Stateless<P: Platform> {
    epoch: Arc<Epoch<P>>,
    key: Zeroizing<Vec<u8>>,
    /// Where the second key begins in it.
    first_len_bytes: usize,
}

/// Without the key.
impl<P: Platform> fmt::Debug for Stateless<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stateless").finish_non_exhaustive()
    }
}

impl<P: Platform> Stateless<P> {
    /// Keeps `keys`, one after the other, for requests of a service whose stateless mode is
    /// `feature`.
    ///
    /// # Errors
    ///
    /// [`Error::FeatureMissing`], [`Error::OutOfMemory`].
    pub(crate) fn new(
        epoch: Arc<Epoch<P>>,
        feature: StatelessFeature,
        keys: &[&[u8]],
    ) -> Result<Box<Self>, Error> {
        let StatelessFeature { bit, name } = feature;
        if !epoch.features.contains(bit) {
            return Err(Error::FeatureMissing { feature: name });
        }
        // It never grows: a key that moves would leave a copy behind.
        let mut key = Zeroizing::new(room_for(len_bytes(keys))?);
        for part in keys {
            key.extend_from_slice(part);
        }
        let first_len_bytes = keys.first().map_or(0, |first| first.len());
        Ok(Box::new(Self {
            epoch,
            key,
            first_len_bytes,
        }))
    }

    pub(crate) fn key(&self) -> &[u8] {
        &self.key
    }
}

/// The feature that allows the stateless mode of a service.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StatelessFeature {
    bit: Features,
    name: &'static str,
}

impl StatelessFeature {
    pub(crate) const CIPHER: Self = Self {
        bit: Features::CIPHER_STATELESS_MODE,
        name: "VIRTIO_CRYPTO_F_CIPHER_STATELESS_MODE",
    };
    pub(crate) const HASH: Self = Self {
        bit: Features::HASH_STATELESS_MODE,
        name: "VIRTIO_CRYPTO_F_HASH_STATELESS_MODE",
    };
    pub(crate) const MAC: Self = Self {
        bit: Features::MAC_STATELESS_MODE,
        name: "VIRTIO_CRYPTO_F_MAC_STATELESS_MODE",
    };
    pub(crate) const AEAD: Self = Self {
        bit: Features::AEAD_STATELESS_MODE,
        name: "VIRTIO_CRYPTO_F_AEAD_STATELESS_MODE",
    };
    pub(crate) const AKCIPHER: Self = Self {
        bit: Features::AKCIPHER_STATELESS_MODE,
        name: "VIRTIO_CRYPTO_F_AKCIPHER_STATELESS_MODE",
    };
}

/// A request of a service, but for its payload.
#[derive(Debug)]
pub(crate) struct Message<'a, H = Head> {
    pub(crate) head: H,
    /// What goes before the payload: the keys in stateless mode, the IV, additional data.
    pub(crate) before: [&'a [u8]; 4],
    /// What goes behind the payload: a tag, additional data.
    pub(crate) after: [&'a [u8]; 2],
    /// What the device writes behind the payload: a digest, a tag. Untouched by an error.
    pub(crate) result: &'a mut [u8],
}

/// The data of a request, in the caller's memory.
#[derive(Debug)]
pub(crate) enum Payload<'a> {
    /// The device only reads it.
    Source(&'a [u8]),
    /// The device reads it, and its output takes the place of the bytes in the range. Unchanged
    /// after an error.
    InPlace(&'a mut [u8], Range<usize>),
}

impl Payload<'_> {
    fn source(&self) -> &[u8] {
        match self {
            Self::Source(data) => data,
            Self::InPlace(data, _) => data,
        }
    }

    fn output_len_bytes(&self) -> usize {
        match self {
            Self::Source(_) => 0,
            Self::InPlace(data, _) => data.len(),
        }
    }
}

impl<P: Platform> Mode<P> {
    /// Returns the epoch that this belongs to.
    #[inline]
    pub(crate) fn epoch(&self) -> &Arc<Epoch<P>> {
        match self {
            Self::Session(session) => &session.epoch,
            Self::Stateless(stateless) => &stateless.epoch,
        }
    }

    /// Returns the key that goes in front of everything; nothing in session mode.
    pub(crate) fn key(&self) -> &[u8] {
        match self {
            Self::Session(_) => &[],
            Self::Stateless(stateless) => stateless.key(),
        }
    }

    /// Returns the session that a request uses, if it uses one.
    #[inline]
    pub(crate) fn session(&self) -> Option<SessionIndex> {
        match self {
            Self::Session(session) => Some(session.index),
            Self::Stateless(_) => None,
        }
    }

    /// Returns the keys of a request that brings two, each a field of its own.
    pub(crate) fn keys(&self) -> [&[u8]; 2] {
        match self {
            Self::Session(_) => [&[]; 2],
            Self::Stateless(stateless) => {
                let (first, second) = stateless.key.split_at(stateless.first_len_bytes);
                [first, second]
            }
        }
    }

    /// Returns the bytes of a request beside its own parts: head, key and status.
    #[inline]
    pub(crate) fn overhead_bytes(&self) -> usize {
        match self {
            Self::Session(_) => REQUEST_LEN + 1,
            Self::Stateless(stateless) => MAX_HEAD_LEN + stateless.key.len() + 1,
        }
    }

    /// Ends the session and waits for the device's answer; without one, there is nothing to end.
    ///
    /// # Cancellation
    ///
    /// If the future is dropped, the session ends all the same.
    #[expect(
        clippy::manual_async_fn,
        reason = "an `async fn` would move its arguments once more"
    )]
    pub(crate) fn close(self) -> impl Future<Output = Result<(), Error>> {
        async move {
            let Self::Session(mut session) = self else {
                return Ok(());
            };
            let waker = own_waker().await;
            let index = session.give_up_use();
            let epoch = &*session.epoch;
            let Some(mut in_flight) = epoch.control.close_session(index, waker) else {
                return watched(epoch, epoch.control.watch_close(index)).await;
            };
            complete(epoch, &mut in_flight).await?;
            let destroyed = in_flight.take_destroyed();
            // Before an error is made, which then goes straight to the caller.
            drop(session);
            destroyed.map_err(Error::from)
        }
    }

    /// Sends a request and waits for its completion.
    ///
    /// # Cancellation
    ///
    /// That of [`exchange`].
    pub(crate) fn request<'s, 'b, H: AsRef<[u8]>>(
        &'s self,
        head: &'b H,
        body: Body<'b, P>,
        admission: Admission,
    ) -> impl Future<Output = Result<InFlight<'s, P>, Error>> + use<'s, 'b, H, P> {
        let epoch = &**self.epoch();
        exchange(
            epoch,
            epoch.data_queue(),
            self.session(),
            head,
            body,
            admission,
        )
    }

    /// Sends a request about a slice, through a copy in device memory: the slot's own, if there is
    /// room. What the device writes never lies over what it reads.
    ///
    /// # Errors
    ///
    /// Those of [`send`](Self::send); then no slice has changed.
    pub(crate) async fn send_slice<H: AsRef<[u8]>>(
        &self,
        message: Message<'_, H>,
        payload: Payload<'_>,
    ) -> Result<(), Error> {
        let source = payload.source();
        if source.len() > INLINE_PAYLOAD_LEN {
            return self.send_copy(message, payload).await;
        }
        let in_flight = {
            let [key, second_key, iv, aad_before] = message.before;
            let [tag, aad_behind] = message.after;
            let parts = [key, second_key, iv, aad_before, source, tag, aad_behind];
            let result_len_bytes = message.result.len();
            let output_len_bytes = payload.output_len_bytes() + result_len_bytes;
            match Inline::new(&parts, parts.len(), output_len_bytes, result_len_bytes) {
                None => None,
                Some(inline) => {
                    let body = Body::Inline(inline);
                    Some(self.request(&message.head, body, Admission::Wait).await?)
                }
            }
        };
        let Some(in_flight) = in_flight else {
            return self.send_copy(message, payload).await;
        };
        let outcome = in_flight.check();
        if outcome.is_ok() {
            if let Payload::InPlace(data, counts) = payload
                && let Some(data) = data.get_mut(counts.clone())
            {
                in_flight.read_output(counts.start, data);
            }
            in_flight.read_result(message.result);
        }
        in_flight.finish();
        outcome
    }

    /// Sends a request about these parts, behind the key. The device writes up to `result.len()`
    /// bytes, over the parts if it likes. Returns how many it says it wrote. Beyond them `result`
    /// is unchanged, and all of it after an error.
    ///
    /// # Errors
    ///
    /// Those of the queue and of the device; [`Error::OutOfDeviceMemory`].
    pub(crate) async fn send_up_to(
        &self,
        head: &Head,
        [first, second]: [&[u8]; 2],
        result: &mut [u8],
    ) -> Result<usize, Error> {
        let parts = [self.key(), first, second];
        // Never over the key.
        let Some(inline) = Inline::new(&parts, 1, result.len(), 0) else {
            return self.send_up_to_spilled(head, &parts, result).await;
        };
        let body = Body::Inline(inline);
        let in_flight = self.request(head, body, Admission::Wait).await?;
        let outcome = in_flight.check_up_to();
        if let Ok(len_bytes) = outcome
            && let Some(result) = result.get_mut(..len_bytes)
        {
            in_flight.read_output(0, result);
        }
        in_flight.finish();
        outcome
    }

    /// Like [`send_up_to`](Self::send_up_to), for a key that leaves too little room in the slot:
    /// all but the status lies in buffers.
    async fn send_up_to_spilled(
        &self,
        head: &Head,
        parts: &[&[u8]],
        result: &mut [u8],
    ) -> Result<usize, Error> {
        let mut buffers = Buffers::default();
        buffers.spill_unless_short(parts, &[], result.len())?;
        let body = Body::Buffers {
            before: parts,
            buffers: &mut buffers,
            after: &[],
            result_len_bytes: result.len(),
        };
        let in_flight = self.request(head, body, Admission::Wait).await?;
        let outcome = in_flight.check_up_to();
        let len_bytes = outcome.unwrap_or(0);
        in_flight.finish_with_buffers(outcome, &mut buffers, &mut result[..len_bytes])
    }

    /// Sends a request about a slice through a buffer.
    async fn send_copy<H: AsRef<[u8]>>(
        &self,
        message: Message<'_, H>,
        payload: Payload<'_>,
    ) -> Result<(), Error> {
        let copy = match payload.source() {
            [] => None,
            source => Some(List::One(DmaBuffer::from_slice(source)?)),
        };
        let mut buffers = match (copy, &payload) {
            (None, _) => Buffers::default(),
            (Some(copy), Payload::Source(_)) => Buffers::read_only(copy),
            (Some(copy), Payload::InPlace(..)) => Buffers::in_place(copy),
        };
        self.send(message, &mut buffers, Admission::Wait).await?;
        if let Payload::InPlace(data, counts) = payload
            && let [copy, ..] = buffers.sources()
            && let (Some(data), Some(copy)) = (data.get_mut(counts.clone()), copy.get(counts))
        {
            data.copy_from_slice(copy);
        }
        Ok(())
    }

    /// Sends a request about `buffers`, which come back unless the device may still touch them. If
    /// all of them together are empty, it is about nothing.
    ///
    /// # Errors
    ///
    /// Those of the queue and of the device; [`Error::InvalidLength`] for an empty buffer among
    /// others, [`Error::TooManyBuffers`], [`Error::OutOfDeviceMemory`]. What the device has written
    /// into `buffers` without being done is wiped.
    pub(crate) async fn send<H: AsRef<[u8]>>(
        &self,
        message: Message<'_, H>,
        buffers: &mut Buffers<P>,
        admission: Admission,
    ) -> Result<(), Error> {
        if buffers.source_len_bytes() == 0 {
            // An empty descriptor stops some devices.
            let mut nothing = Buffers::default();
            return self.send_buffers(message, &mut nothing, admission).await;
        }
        buffers.check_none_empty()?;
        self.send_buffers(message, buffers, admission).await
    }

    async fn send_buffers<H: AsRef<[u8]>>(
        &self,
        message: Message<'_, H>,
        buffers: &mut Buffers<P>,
        admission: Admission,
    ) -> Result<(), Error> {
        let Message {
            head,
            before,
            after,
            result,
        } = message;
        buffers.spill_unless_short(&before, &after, result.len())?;
        let body = Body::Buffers {
            before: &before,
            buffers,
            after: &after,
            result_len_bytes: result.len(),
        };
        let in_flight = self.request(&head, body, admission).await?;
        let outcome = in_flight.check();
        in_flight.finish_with_buffers(outcome, buffers, result)
    }
}
