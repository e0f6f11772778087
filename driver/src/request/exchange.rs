//! One exchange with the device: a request, and its answer.
//!
//! ```text
//! reserve    a slot, first come first served            Queue::reserve
//! submit     its parts, and ring the doorbell           Reserved::submit
//! complete   wait until the device has used it          InFlight::poll
//! finish     check, read, give the slot back            InFlight::check, read_output, finish
//! ```
//!
//! [`exchange`] goes all that way for everybody who sends one request. Who has many in flight at a
//! time takes the same steps for each of them.
//!
//! Beside it stands the fast path, [`exchange_short`]: the same exchange for the short requests that
//! most are, of which the first two steps are one hold of the queue's lock.

use core::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
};

use crate::{
    Error, Platform,
    epoch::Epoch,
    queue::{Body, InFlight, Inline, Queue, Reserved, SessionIndex},
    wire::REQUEST_LEN,
};

/// Most payload bytes that travel in the slot's own memory.
pub(crate) const INLINE_PAYLOAD_LEN: usize = 512;

/// What happens when no slot is free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// Wait in line.
    Wait,
    /// [`Error::QueueFull`].
    Try,
}

/// Sends a request, of `session` if it uses one, and waits until the device has used it.
///
/// On an error, buffers that the device never had are where they were; those that it may still
/// touch are gone.
///
/// # Errors
///
/// Those of the queue; [`Error::TooManyBuffers`].
///
/// # Cancellation
///
/// Dropped, the device finishes the request for nobody.
#[inline]
pub(crate) async fn exchange<'l, P: Platform>(
    epoch: &'l Epoch<P>,
    queue: &'l Queue<P>,
    session: Option<SessionIndex>,
    head: &impl AsRef<[u8]>,
    body: Body<'_, P>,
    admission: Admission,
) -> Result<InFlight<'l, P>, Error> {
    let reserved = reserve(epoch, queue, admission).await?;
    let waker = own_waker().await;
    let mut in_flight = reserved.submit(head.as_ref(), body, session, Some(waker))?;
    complete(epoch, &mut in_flight).await?;
    Ok(in_flight)
}

/// THE FAST PATH: sends `data` behind an IV, in a request whose output takes its place, and waits for
/// the answer. IV and data are [`INLINE_PAYLOAD_LEN`] long at most, and a block.
///
/// Short data goes from a free slot to the ring in one hold of the queue's lock
/// ([`Queue::submit_fast`](crate::queue::Queue::submit_fast)); other data, and any that something is
/// in the way of, takes the steps of [`exchange`].
///
/// # Errors
///
/// Those of [`exchange`] and of the device; `data` is unchanged then.
///
/// # Cancellation
///
/// That of [`exchange`]; `data` is unchanged.
#[inline]
pub(crate) async fn exchange_short<P: Platform>(
    epoch: &Epoch<P>,
    session: SessionIndex,
    head: impl Fn() -> [u8; REQUEST_LEN],
    iv: &[u8],
    data: &mut [u8],
) -> Result<(), Error> {
    let queue = epoch.data_queue();
    let waker = own_waker().await;
    let sent = queue.submit_fast(session, &head(), [iv, data], waker);
    let mut in_flight = match sent {
        Some(in_flight) => in_flight,
        None => {
            let reserved = reserve(epoch, queue, Admission::Wait).await?;
            let waker = own_waker().await;
            let parts = [iv, &*data];
            let body = Body::Inline(
                Inline::new(&parts, 1, data.len(), 0).expect("short data has room in a slot"),
            );
            reserved.submit(&head(), body, Some(session), Some(waker))?
        }
    };
    complete(epoch, &mut in_flight).await?;
    if let Err(error) = in_flight.check() {
        return Err(in_flight.refuse(error));
    }
    in_flight.read_output(0, data);
    in_flight.finish();
    Ok(())
}

/// Reserves a slot: at once if one is free, else in the line if the caller is willing to wait.
#[inline(always)]
pub(crate) async fn reserve<'l, P: Platform>(
    epoch: &'l Epoch<P>,
    queue: &'l Queue<P>,
    admission: Admission,
) -> Result<Reserved<'l, P>, Error> {
    match queue.reserve_fast() {
        Some(reserved) => Ok(reserved),
        None => reserve_in_line(epoch, queue, admission).await,
    }
}

async fn reserve_in_line<'l, P: Platform>(
    epoch: &'l Epoch<P>,
    queue: &'l Queue<P>,
    admission: Admission,
) -> Result<Reserved<'l, P>, Error> {
    if admission == Admission::Try {
        return queue.try_reserve();
    }
    let mut reserve = pin!(queue.reserve());
    poll_fn(|context| poll_driven(epoch, context, |context| reserve.as_mut().poll(context))).await
}

/// Returns the waker of the task at hand, to be left with what it sends.
#[inline(always)]
pub(crate) fn own_waker() -> impl Future<Output = Waker> {
    poll_fn(|context| Poll::Ready(context.waker().clone()))
}

/// Waits until the device has used a request.
#[inline(always)]
pub(crate) fn complete<'f, 'l, P: Platform>(
    epoch: &'l Epoch<P>,
    in_flight: &'f mut InFlight<'l, P>,
) -> Complete<'f, 'l, P> {
    Complete { epoch, in_flight }
}

/// What [`complete`] returns.
#[derive(Debug)]
#[must_use = "a future does nothing unless it is polled"]
pub(crate) struct Complete<'f, 'l, P: Platform> {
    epoch: &'l Epoch<P>,
    in_flight: &'f mut InFlight<'l, P>,
}

impl<P: Platform> Future for Complete<'_, '_, P> {
    type Output = Result<(), Error>;

    #[inline(always)]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.in_flight.poll_fast() {
            Some(outcome) => outcome,
            None => self.poll_slowly(context),
        }
    }
}

impl<P: Platform> Complete<'_, '_, P> {
    /// Polls where the queue has ended, no interrupt comes, or a waker has to be left.
    #[cold]
    fn poll_slowly(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let Self { epoch, in_flight } = self;
        poll_driven(epoch, context, |context| in_flight.poll(context))
    }
}

/// Polls something that a drain makes ready. Where no interrupt drains, this does, before the poll;
/// what is still pending then asks to be polled again.
#[inline(always)]
pub(crate) fn poll_driven<P: Platform, T>(
    epoch: &Epoch<P>,
    context: &mut Context<'_>,
    poll: impl FnOnce(&mut Context<'_>) -> Poll<T>,
) -> Poll<T> {
    if epoch.is_polled() {
        epoch.busy_poll();
    }
    let outcome = poll(context);
    if outcome.is_pending() && epoch.is_polled() {
        context.waker().wake_by_ref();
    }
    outcome
}
