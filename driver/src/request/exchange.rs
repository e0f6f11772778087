//! One exchange with the device: a request, and its answer.
//!
//! ```text
//! reserve    a slot, first come first served            Queue::reserve
//! submit     its parts, and ring the doorbell           Reserved::submit
//! complete   wait until the device has used it          InFlight::poll
//! finish     check, read, give the slot back            InFlight::check, read_output, finish
//! ```
//!
//! [`exchange`] takes all these steps for one request. A caller with many requests in flight takes
//! the same steps for each.
//!
//! # The fast path
//!
//! Most requests are short, and find a free slot. [`Queue::submit_fast`] and [`Queue::create_fast`]
//! take the first two steps in one hold of the queue's lock, or none of them; [`complete`] and
//! [`InFlight::finish_in_place`] are the rest. `Cipher::process_slice`, `Session::create` and
//! `Mode::close` take these steps in their own bodies, since a future inside a future costs some
//! forty instructions a request.

use core::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
};

use crate::{
    Error, Platform,
    epoch::Epoch,
    queue::{Body, Ended, InFlight, Inline, Queue, Reserved, SessionIndex},
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
/// If the future is dropped, the device finishes the request for nobody.
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

/// Sends `data` behind an IV, in the slot's own memory, and puts the output in its place: for what
/// does not go by the fast path. The slot has to have room for both.
///
/// # Errors
///
/// Those of [`exchange`] and of the device; `data` is unchanged then.
///
/// # Cancellation
///
/// That of [`exchange`]; `data` is unchanged.
pub(crate) async fn exchange_in_place<P: Platform>(
    epoch: &Epoch<P>,
    session: SessionIndex,
    head: &impl AsRef<[u8]>,
    iv: &[u8],
    data: &mut [u8],
) -> Result<(), Error> {
    let in_flight = {
        let parts = [iv, &*data];
        let inline = Inline::new(&parts, 1, data.len(), 0);
        let body = Body::Inline(inline.expect("short data has room in a slot"));
        let queue = epoch.data_queue();
        exchange(epoch, queue, Some(session), head, body, Admission::Wait).await?
    };
    in_flight.finish_in_place(data)
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
    let mut queue = queue;
    loop {
        let outcome = match admission {
            Admission::Try => queue.try_reserve(),
            Admission::Wait => {
                let mut reserve = pin!(queue.reserve());
                poll_fn(|context| {
                    poll_driven(epoch, context, |context| reserve.as_mut().poll(context))
                })
                .await
            }
        };
        match outcome {
            // Nothing was sent: the queue in its place has slots.
            Err(Error::QueueReset) if queue.is_replaced() => queue = queue.current(),
            outcome => return outcome,
        }
    }
}

/// Returns the waker of the calling task, to be left with the request that it sends.
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

impl<'l, P: Platform> Future for Complete<'_, 'l, P> {
    type Output = Result<(), Ended<'l, P>>;

    #[inline(always)]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.in_flight.poll_fast() {
            Some(outcome) => outcome,
            None => self.poll_slowly(context),
        }
    }
}

impl<'l, P: Platform> Complete<'_, 'l, P> {
    /// Polls where the queue has ended, no interrupt comes, or a waker has to be left.
    #[cold]
    #[inline(never)]
    fn poll_slowly(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Ended<'l, P>>> {
        let Self { epoch, in_flight } = self;
        poll_driven(epoch, context, |context| in_flight.poll(context))
    }
}

/// Polls something that a drain makes ready. If no interrupt drains, this does, before the poll,
/// and asks to be polled again if the outcome is still pending.
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
