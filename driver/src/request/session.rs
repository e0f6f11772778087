//! Sessions: created and destroyed on the control queue.
//!
//! For the services, each of which holds one. The one rule: a session ends by itself when its value
//! is dropped, without waiting.

use alloc::sync::Arc;
use core::future::{Future, poll_fn};

use crate::{
    Error, Platform,
    epoch::Epoch,
    queue::{Buffers, CloseWatch, InFlight, SessionIndex},
    request::exchange::{Admission, complete, own_waker, poll_driven, reserve},
    wire::SessionParameters,
};

/// A session of the device. Dropping it ends it, without waiting, as soon as none of its requests
/// is in flight.
#[derive(Debug)]
pub(crate) struct Session<P: Platform> {
    pub(crate) epoch: Arc<Epoch<P>>,
    /// [`NO_SESSION`] once it is closed.
    pub(crate) index: SessionIndex,
}

/// Behind every place of a session.
const NO_SESSION: SessionIndex = SessionIndex(u16::MAX);

impl<P: Platform> Session<P> {
    /// Creates a session with these parameters, whose key is `keys`, one after the other.
    ///
    /// # Cancellation
    ///
    /// If the future is dropped before the device has answered, the *destroy* of the session takes
    /// the slot of its *create* as soon as the device gives it an id.
    #[expect(
        clippy::manual_async_fn,
        reason = "an `async fn` would move its arguments once more"
    )]
    pub(crate) fn create(
        epoch: Arc<Epoch<P>>,
        parameters: &SessionParameters,
        keys: &[&[u8]; 2],
    ) -> impl Future<Output = Result<Self, Error>> {
        async move {
            let index = {
                let waker = own_waker().await;
                let mut created = match epoch.control.create_fast(parameters, keys, waker) {
                    Some(created) => created,
                    None => submit_create(&epoch, parameters, keys).await?,
                };
                complete(&epoch, &mut created).await?;
                created.take_session()?
            };
            Ok(Self { epoch, index })
        }
    }

    /// Returns the id that the device gave.
    #[inline]
    pub(crate) fn id(&self) -> u64 {
        self.epoch.sessions.id(self.index)
    }

    /// Returns the session's place to a caller that is about to close it. Dropping the value then
    /// ends nothing any more.
    pub(crate) fn give_up_use(&mut self) -> SessionIndex {
        core::mem::replace(&mut self.index, NO_SESSION)
    }
}

/// Sends the *create* where the fast path does not go: waits for a slot, and finds memory for a
/// long key.
async fn submit_create<'l, P: Platform>(
    epoch: &'l Epoch<P>,
    parameters: &SessionParameters,
    keys: &[&[u8]; 2],
) -> Result<InFlight<'l, P>, Error> {
    let mut buffers = Buffers::of_keys(keys)?;
    let reserved = reserve(epoch, &epoch.control, Admission::Wait).await?;
    let waker = own_waker().await;
    let head = parameters.encode(epoch.sessions.form());
    let opcode = parameters.destroy_opcode();
    reserved.submit_create(head.as_ref(), keys, &mut buffers, opcode, Some(waker))
}

/// Waits for the end of a session whose *destroy* could not be sent at once.
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
        if self.index != NO_SESSION {
            self.abandon();
        }
    }
}

impl<P: Platform> Session<P> {
    /// Leaves the session to end by itself.
    #[cold]
    fn abandon(&self) {
        self.epoch.control.leave_session(self.index);
    }
}
