//! Sessions: created and destroyed on the control queue.

use alloc::sync::Arc;
use core::future::{Future, poll_fn};

use crate::{
    Error, Platform,
    epoch::Epoch,
    queue::{Buffers, CloseWatch, SessionIndex},
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
    /// Dropped before the device has answered, the session ends in the slot of its own beginning
    /// as soon as the device gives it an id.
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

    /// Returns the session's place to the caller, who is about to close it: dropping the value ends
    /// nothing any more.
    pub(crate) fn give_up_use(&mut self) -> SessionIndex {
        core::mem::replace(&mut self.index, NO_SESSION)
    }
}

/// Creates a session where the fast path does not go: waits for a slot, and finds memory for a long
/// key.
async fn submit_create<'l, P: Platform>(
    epoch: &'l Epoch<P>,
    parameters: &SessionParameters,
    keys: &[&[u8]; 2],
) -> Result<crate::queue::InFlight<'l, P>, Error> {
    let mut buffers = Buffers::of_keys(keys)?;
    let reserved = reserve(epoch, &epoch.control, Admission::Wait).await?;
    let waker = own_waker().await;
    let head = parameters.encode(epoch.sessions.form());
    let opcode = parameters.destroy_opcode();
    reserved.submit_create(head.as_ref(), keys, &mut buffers, opcode, Some(waker))
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
        if self.index != NO_SESSION {
            self.let_go();
        }
    }
}

impl<P: Platform> Session<P> {
    /// Leaves the session to end by itself.
    #[cold]
    fn let_go(&self) {
        if self.epoch.sessions.release_held(self.index) {
            self.epoch.control.destroy_unused([self.index]);
        }
    }
}
