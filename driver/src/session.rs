//! Sessions: created and destroyed on the control queue.

use alloc::sync::Arc;
use core::future::poll_fn;

use crate::{
    Error, Platform,
    link::{Link, Which},
    queue::{Intent, SessionIndex},
    request::{Admission, Body, look_and_poll, transact},
    wire::REQUEST_LEN,
};

/// A session of the device. Dropping it ends it, without waiting, as soon as none of its requests
/// is in flight.
#[derive(Debug)]
pub(crate) struct Session<P: Platform> {
    pub(crate) link: Arc<Link<P>>,
    pub(crate) index: SessionIndex,
    /// Until it is closed.
    is_held: bool,
}

impl<P: Platform> Session<P> {
    /// Creates a session: `header` and `key` are what the device is sent, `destroy_opcode` is what
    /// will end it.
    ///
    /// # Cancellation
    ///
    /// Dropped before the device has answered, the session ends in the slot of its own beginning
    /// as soon as the device gives it an id.
    pub(crate) async fn create(
        link: Arc<Link<P>>,
        header: [u8; REQUEST_LEN],
        key: &[u8],
        destroy_opcode: u32,
    ) -> Result<Self, Error> {
        let intent = Intent::Create { destroy_opcode };
        let body = Body::Control { key };
        let sent = transact(
            &link,
            Which::Control,
            &header,
            body,
            intent,
            Admission::Wait,
        )
        .await;
        let index = sent?.take_session()?;
        Ok(Self {
            link,
            index,
            is_held: true,
        })
    }

    /// Returns the id that the device gave.
    #[inline]
    pub(crate) fn id(&self) -> u64 {
        self.link.sessions.id(self.index)
    }

    /// Ends the session and waits for the device's answer.
    ///
    /// # Cancellation
    ///
    /// Dropped, the session ends all the same.
    pub(crate) async fn close(mut self) -> Result<(), Error> {
        // From here on its end is the queue's affair.
        self.is_held = false;
        let (link, index) = (&*self.link, self.index);
        let mut closing = None;
        poll_fn(|context| {
            look_and_poll(link, context, |context| {
                let closing = closing
                    .get_or_insert_with(|| link.control.close_session(index, context.waker()));
                closing.poll(context)
            })
        })
        .await
    }
}

impl<P: Platform> Drop for Session<P> {
    fn drop(&mut self) {
        if self.is_held && self.link.sessions.release_held(self.index) {
            self.link.control.destroy(self.index);
        }
    }
}
