//! The life of one request: wait for a slot, fill it, publish it, wait for its completion.
//!
//! # Cancellation
//!
//! Before the request is published, dropping its future gives the slot back and the buffers go
//! with the future. Afterwards the device has them: dropping the future leaves slot and buffers
//! behind as an orphan, which is emptied once the device has used it. Forgetting the future keeps
//! the slot for good and endangers nothing.

use core::{
    future::Future,
    ops::ControlFlow,
    pin::{Pin, pin},
    sync::atomic::{AtomicBool, Ordering},
    task::{Context, Poll, Waker, ready},
};

use alloc::{sync::Arc, task::Wake};

use pin_project_lite::pin_project;

use crate::{
    Error, Platform,
    dma::DmaBuffer,
    link::{Link, Which},
    queue::{
        ANSWER, ANSWER_LEN, Buffers, HEADER, HEADER_LEN, INLINE, INLINE_LEN, InFlight, Intent,
        Queue, Reserve, Reserved, Submission,
    },
    virtqueue::Segment,
};

pub(crate) use crate::queue::Admission;

/// Most payload bytes that travel in the slot's own memory.
pub(crate) const INLINE_PAYLOAD_LEN: usize = 512;

const _: () = assert!(16 + INLINE_PAYLOAD_LEN < INLINE_LEN);

/// What to send, beside the header.
#[derive(Debug)]
pub(crate) enum Body<'a, P: Platform> {
    /// A key after the header; the answer is a session id with a status.
    Control { key: &'a [u8] },
    /// An IV and a short payload after the header; the device writes over the payload.
    Inline { iv: &'a [u8], payload: &'a [u8] },
    /// An IV after the header; source and destination in buffers of their own, or one buffer that
    /// is both.
    Buffers {
        iv: &'a [u8],
        buffers: &'a mut Buffers<P>,
    },
}

/// Sends a request and waits for its completion.
///
/// On an error, buffers that the device never had are where they were; those that it may still
/// touch are gone.
#[inline]
pub(crate) fn transact<'l, 'b, P: Platform>(
    link: &'l Link<P>,
    which: Which,
    header: &'b [u8; HEADER_LEN],
    body: Body<'b, P>,
    intent: Intent,
    admission: Admission,
) -> Transact<'l, 'b, P> {
    Transact {
        link,
        queue: link.queue(which),
        unsent: Some((header, body)),
        intent,
        admission,
        reserve: None,
        in_flight: None,
    }
}

pin_project! {
    /// A request on its way. What [`transact`] returns; by hand, because every request comes
    /// through here, and mostly without a wait for a slot.
    #[derive(Debug)]
    #[must_use = "a future does nothing unless it is polled"]
    pub(crate) struct Transact<'l, 'b, P>
    where
        P: Platform,
    {
        link: &'l Link<P>,
        queue: &'l Queue<P>,
        // What to send, until it is.
        unsent: Option<(&'b [u8; HEADER_LEN], Body<'b, P>)>,
        intent: Intent,
        admission: Admission,
        // The wait for a slot, if there is one.
        #[pin]
        reserve: Option<Reserve<'l, P>>,
        in_flight: Option<InFlight<'l, P>>,
    }
}

impl<'l, P: Platform> Future for Transact<'l, '_, P> {
    type Output = Result<InFlight<'l, P>, Error>;

    #[inline(always)]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let link = self.link;
        look_and_poll(link, context, |context| self.advance(context))
    }
}

impl<'l, P: Platform> Transact<'l, '_, P> {
    #[inline(always)]
    fn advance(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Result<InFlight<'l, P>, Error>> {
        let mut this = self.project();
        if this.in_flight.is_none() {
            let at_once = if this.reserve.is_none() {
                this.queue.reserve_at_once()
            } else {
                None
            };
            let reserved = match at_once {
                Some(reserved) => reserved,
                None => ready!(this.queue.poll_reserve(
                    this.reserve.as_mut(),
                    *this.admission,
                    context
                ))?,
            };
            let Some((header, body)) = this.unsent.take() else {
                return Poll::Pending;
            };
            let waker = context.waker().clone();
            *this.in_flight = Some(publish(reserved, header, body, *this.intent, waker)?);
        }
        let Some(in_flight) = this.in_flight else {
            return Poll::Pending;
        };
        ready!(in_flight.poll(context))?;
        match this.in_flight.take() {
            Some(in_flight) => Poll::Ready(Ok(in_flight)),
            None => Poll::Pending,
        }
    }
}

/// Fills the slot's block and sends it.
#[inline(always)]
fn publish<'l, P: Platform>(
    reserved: Reserved<'l, P>,
    header: &[u8; HEADER_LEN],
    body: Body<'_, P>,
    intent: Intent,
    waker: Waker,
) -> Result<InFlight<'l, P>, Error> {
    let block = reserved.block();
    block.write(HEADER, header);
    // A status that no device means: an answer that was never written is not taken for one.
    const NO_ANSWER: u8 = 0xff;
    let waker = Some(waker);
    match body {
        Body::Control { key } => {
            block.write(ANSWER, &[NO_ANSWER; ANSWER_LEN]);
            block.write(INLINE, key);
            let segments = [
                block.readable(HEADER, HEADER_LEN + key.len()),
                block.writable(ANSWER, ANSWER_LEN),
            ];
            let inline_bytes = key.len() as u16;
            let buffers = &mut [None, None];
            let segments = &segments;
            reserved.publish(Submission {
                segments,
                inline_bytes,
                intent,
                buffers,
                waker,
            })
        }
        Body::Inline { iv, payload } => {
            let start = INLINE + iv.len();
            block.write(INLINE, iv);
            block.write(start, payload);
            block.write(start + payload.len(), &[NO_ANSWER]);
            let segments = [
                block.readable(HEADER, HEADER_LEN + iv.len() + payload.len()),
                // The destination lies over the source, and the status right behind it: one
                // descriptor for both. The device has read the source before it writes.
                block.writable(start, payload.len() + 1),
            ];
            let inline_bytes = (iv.len() + payload.len()) as u16;
            let buffers = &mut [None, None];
            let segments = &segments;
            reserved.publish(Submission {
                segments,
                inline_bytes,
                intent,
                buffers,
                waker,
            })
        }
        Body::Buffers { iv, buffers } => {
            block.write(INLINE, iv);
            block.write(ANSWER, &[NO_ANSWER]);
            let segment = |buffer: Option<&DmaBuffer<P>>, writable| Segment {
                bus_address: buffer.map_or(0, DmaBuffer::bus_address),
                len_bytes: buffer.map_or(0, |buffer| buffer.len()) as u32,
                writable,
            };
            let [source, destination] = &*buffers;
            let segments = [
                block.readable(HEADER, HEADER_LEN + iv.len()),
                segment(source.as_ref(), false),
                segment(destination.as_ref().or(source.as_ref()), true),
                block.writable(ANSWER, 1),
            ];
            let inline_bytes = iv.len() as u16;
            let segments = &segments;
            reserved.publish(Submission {
                segments,
                inline_bytes,
                intent,
                buffers,
                waker,
            })
        }
    }
}

/// Polls by `poll`; where no interrupt comes, drains before every look and asks to be polled again.
#[inline(always)]
pub(crate) fn look_and_poll<P: Platform, T>(
    link: &Link<P>,
    context: &mut Context<'_>,
    poll: impl FnOnce(&mut Context<'_>) -> Poll<T>,
) -> Poll<T> {
    let polled = link.is_polled();
    if polled {
        link.look();
    }
    let outcome = poll(context);
    if polled && outcome.is_pending() {
        context.waker().wake_by_ref();
    }
    outcome
}

/// Whether anything has happened since the last look: what the caller's way to idle asks.
#[derive(Debug, Default)]
pub struct Woken(AtomicBool);

impl Woken {
    /// Tells whether the request wants to be looked at again. A way to idle that sleeps asks with
    /// interrupts masked, right before it sleeps.
    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Release: pairs with the acquire of `is_set`.
        self.0.store(true, Ordering::Release);
    }
}

/// Runs a request to its end on the calling CPU, without an executor: the blocking form of every
/// operation of this crate.
///
/// Whenever the request is not done yet, `idle` is called: it may sleep until an interrupt (asking
/// [`Woken::is_set`] with interrupts masked first, and not if it is), yield or spin, and it may give
/// up by returning [`ControlFlow::Break`]. One small allocation a call.
///
/// # Errors
///
/// [`Error::GaveUp`] when `idle` gave up; the request is then cancelled like a dropped future.
pub fn block_on<F: Future>(
    future: F,
    mut idle: impl FnMut(&Woken) -> ControlFlow<()>,
) -> Result<F::Output, Error> {
    let mut future = pin!(future);
    let woken = Arc::new(Woken(AtomicBool::new(true)));
    let waker = Waker::from(woken.clone());
    let mut context = Context::from_waker(&waker);
    loop {
        // Acquire: pairs with the release in `wake_by_ref`.
        if woken.0.swap(false, Ordering::Acquire)
            && let Poll::Ready(output) = future.as_mut().poll(&mut context)
        {
            return Ok(output);
        }
        // Also when it is woken already: where the driver polls it always is, and may give up.
        if idle(&woken).is_break() {
            return Err(Error::GaveUp);
        }
    }
}
