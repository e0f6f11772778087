//! How a service's request is sent: through the slot's own memory where there is room, else through
//! buffers.
//!
//! For the services, in both modes. The one rule: after an error the caller's slices are unchanged,
//! and buffers come back unless the device may still touch them.

use core::{future::Future, ops::Range};

use crate::{
    Error, Platform,
    dma::DmaBuffer,
    queue::{Body, Buffers, InFlight, Inline, List},
    request::{
        exchange::{Admission, INLINE_PAYLOAD_LEN, exchange},
        mode::Mode,
    },
    wire::Head,
};

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
