//! What a request is about, in each form in which a caller has it: a buffer, a list of buffers, a
//! slice.
//!
//! For the services: HASH, MAC, AEAD and chaining write each operation once, over [`Data`], and
//! offer it in every form. The rule: data goes back to the caller whatever becomes of the request,
//! unless the device may still touch it.

use alloc::vec::Vec;
use core::marker::PhantomData;

use crate::{
    Error, Platform,
    dma::DmaBuffer,
    error::Failed,
    queue::{Buffers, List},
    request::{
        exchange::Admission,
        mode::Mode,
        sending::{Message, Payload},
    },
};

/// What a request is about.
pub(super) trait Data<P: Platform> {
    /// What the caller gets: the data back, if it was given away, or an error.
    type Outcome;

    /// Returns the bytes of all of it.
    fn len_bytes(&self) -> usize;

    /// Sends a request about it and waits for its completion; `message` is what goes with so many
    /// bytes, or says why nothing is sent.
    ///
    /// # Cancellation
    ///
    /// That of [`Mode::request`].
    async fn send(
        &mut self,
        mode: &Mode<P>,
        message: Result<Message<'_>, Error>,
    ) -> Result<(), Error>;

    /// Returns the data, or the request's error with it.
    fn give_back(self, outcome: Result<(), Error>) -> Self::Outcome;
}

/// A buffer or a list of buffers, held for a request.
pub(super) struct Held<P: Platform, B> {
    buffers: Buffers<P>,
    admission: Admission,
    given: PhantomData<B>,
}

impl<P: Platform, B: Given<P>> Held<P, B> {
    /// Holds buffers that the device only reads.
    pub(super) fn read_only(given: B, admission: Admission) -> Self {
        Self {
            buffers: Buffers::read_only(given.into_list()),
            admission,
            given: PhantomData,
        }
    }

    /// Holds buffers that the device reads, then overwrites.
    pub(super) fn in_place(given: B, admission: Admission) -> Self {
        Self {
            buffers: Buffers::in_place(given.into_list()),
            admission,
            given: PhantomData,
        }
    }
}

impl<P: Platform, B: Given<P>> Data<P> for Held<P, B> {
    type Outcome = Result<B, Failed<B>>;

    fn len_bytes(&self) -> usize {
        self.buffers.source_len_bytes()
    }

    async fn send(
        &mut self,
        mode: &Mode<P>,
        message: Result<Message<'_>, Error>,
    ) -> Result<(), Error> {
        mode.send(message?, &mut self.buffers, self.admission).await
    }

    fn give_back(self, outcome: Result<(), Error>) -> Self::Outcome {
        B::give_back(self.buffers, outcome)
    }
}

/// Buffers as a caller gives them and gets them back.
pub(super) trait Given<P: Platform>: Sized {
    /// Returns them as a request holds them.
    fn into_list(self) -> List<P>;

    /// Returns the buffers that a request held, or its error with them.
    fn give_back(buffers: Buffers<P>, outcome: Result<(), Error>) -> Result<Self, Failed<Self>>;
}

impl<P: Platform> Given<P> for DmaBuffer<P> {
    fn into_list(self) -> List<P> {
        List::One(self)
    }

    fn give_back(buffers: Buffers<P>, outcome: Result<(), Error>) -> Result<Self, Failed<Self>> {
        Failed::give_back(outcome, buffers.source.and_then(List::into_one))
    }
}

impl<P: Platform> Given<P> for Vec<DmaBuffer<P>> {
    fn into_list(self) -> List<P> {
        List::Many(self)
    }

    fn give_back(buffers: Buffers<P>, outcome: Result<(), Error>) -> Result<Self, Failed<Self>> {
        Failed::give_back(outcome, buffers.source.and_then(List::into_many))
    }
}

/// A slice, which travels as a copy and waits for a slot.
impl<P: Platform> Data<P> for Payload<'_> {
    type Outcome = Result<(), Error>;

    fn len_bytes(&self) -> usize {
        match self {
            Self::Source(data) => data.len(),
            Self::InPlace(data, _) => data.len(),
        }
    }

    async fn send(
        &mut self,
        mode: &Mode<P>,
        message: Result<Message<'_>, Error>,
    ) -> Result<(), Error> {
        let payload = match self {
            Self::Source(data) => Payload::Source(data),
            Self::InPlace(data, counts) => Payload::InPlace(data, counts.clone()),
        };
        mode.send_slice(message?, payload).await
    }

    fn give_back(self, outcome: Result<(), Error>) -> Self::Outcome {
        outcome
    }
}

/// Returns the payload for a slice that the device reads and then overwrites as a whole.
pub(super) fn whole(data: &mut [u8]) -> Payload<'_> {
    let all = 0..data.len();
    Payload::InPlace(data, all)
}
