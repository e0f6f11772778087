//! Sessions: created and destroyed on the control queue.

use alloc::sync::Arc;
use core::{future::poll_fn, task::Waker};

use crate::{
    Error, Platform,
    epoch::Epoch,
    queue::{Buffers, CloseRequest, CloseWatch, InFlight, SessionIndex},
    request::exchange::{Admission, complete, own_waker, poll_driven, reserve},
    wire::SessionParameters,
};

/// A session of the device. Dropping it ends it, without waiting, as soon as none of its requests
/// is in flight.
#[derive(Debug)]
pub(crate) struct Session<P: Platform> {
    pub(crate) epoch: Arc<Epoch<P>>,
    pub(crate) index: SessionIndex,
    /// Until it is closed.
    is_held: bool,
}

impl<P: Platform> Session<P> {
    /// Creates a session with these parameters, whose key is `keys`, one after the other.
    ///
    /// # Cancellation
    ///
    /// Dropped before the device has answered, the session ends in the slot of its own beginning
    /// as soon as the device gives it an id.
    pub(crate) async fn create(
        epoch: Arc<Epoch<P>>,
        parameters: &SessionParameters,
        keys: &[&[u8]; 2],
    ) -> Result<Self, Error> {
        let waker = own_waker().await;
        let mut created = match epoch.control.create_fast(parameters, keys, waker) {
            Some(in_flight) => in_flight,
            None => Self::create_in_line(&epoch, parameters, keys).await?,
        };
        complete(&epoch, &mut created).await?;
        let index = created.take_session()?;
        Ok(Self {
            epoch,
            index,
            is_held: true,
        })
    }

    /// Creates a session the long way: waits for a slot, and finds memory for a long key.
    async fn create_in_line<'l>(
        epoch: &'l Epoch<P>,
        parameters: &SessionParameters,
        keys: &[&[u8]; 2],
    ) -> Result<InFlight<'l, P>, Error> {
        let mut buffers = Buffers::of_keys(keys)?;
        let reserved = reserve(epoch, &epoch.control, Admission::Wait).await?;
        let waker = own_waker().await;
        let head = parameters.encode(epoch.sessions.form());
        let destroy_opcode = parameters.destroy_opcode();
        reserved.submit_create(
            head.as_ref(),
            keys,
            &mut buffers,
            destroy_opcode,
            Some(waker),
        )
    }

    /// Returns the id that the device gave.
    #[inline]
    pub(crate) fn id(&self) -> u64 {
        self.epoch.sessions.id(self.index)
    }

    /// Ends the session, which is the queue's affair from here on; `waker` is woken at the device's
    /// answer.
    #[inline(always)]
    pub(crate) fn end(&mut self, waker: Waker) -> (&Epoch<P>, CloseRequest<'_, P>) {
        self.is_held = false;
        let epoch = &*self.epoch;
        (epoch, epoch.control.close_session(self.index, waker))
    }
}

/// Waits for the end of a session that could not be sent at once.
pub(crate) async fn watched<P: Platform>(
    epoch: &Epoch<P>,
    mut watch: CloseWatch<'_, P>,
) -> Result<(), Error> {
    poll_fn(|context| {
        poll_driven(epoch, context, |context| {
            // The *destroy* may wait for requests of any queue.
            epoch.notify_before_wait();
            watch.poll(context)
        })
    })
    .await
}

impl<P: Platform> Drop for Session<P> {
    #[inline(always)]
    fn drop(&mut self) {
        if self.is_held {
            self.let_go();
        }
    }
}

impl<P: Platform> Session<P> {
    /// Leaves the session to end by itself.
    #[cold]
    fn let_go(&self) {
        if self.epoch.sessions.release_held(self.index) {
            self.epoch.control.destroy_unused(self.index);
        }
    }
}
