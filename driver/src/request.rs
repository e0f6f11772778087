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

use arrayvec::ArrayVec;
use pin_project_lite::pin_project;

use crate::{
    Error, Platform,
    dma::DmaBuffer,
    link::{Link, Which},
    queue::{
        ANSWER, ANSWER_LEN, Block, Buffers, INLINE, InFlight, Intent, MAX_SEGMENTS, Queue, Reserve,
        Reserved, Submission,
    },
    virtqueue::Segment,
    wire,
};

pub(crate) use crate::queue::Admission;

/// Most payload bytes that travel in the slot's own memory.
pub(crate) const INLINE_PAYLOAD_LEN: usize = 512;

/// What to send behind the head.
#[derive(Debug)]
pub(crate) enum Body<'a, P: Platform> {
    /// A key or two; the answer is a session id with a status.
    Control {
        keys: &'a [&'a [u8]],
        /// In which the keys are, if the slot has no room for them; `keys` is empty then.
        buffers: &'a mut Buffers<P>,
    },
    /// Everything in the slot's own memory. The device writes so many bytes and a status, from an
    /// offset on that may lie within the parts: it has read them before it writes.
    Inline {
        parts: &'a [&'a [u8]],
        output_at: usize,
        output_len_bytes: usize,
    },
    /// A payload in buffers, between short parts in the slot's own memory. What the device writes
    /// beside the destination, and the status, come behind the short parts.
    Buffers {
        before: &'a [&'a [u8]],
        buffers: &'a mut Buffers<P>,
        after: &'a [u8],
        result_len_bytes: usize,
    },
}

/// Sends a request and waits for its completion.
///
/// On an error, buffers that the device never had are where they were; those that it may still
/// touch are gone.
#[inline]
pub(crate) fn transact<'l, 'b, P: Platform, H: AsRef<[u8]>>(
    link: &'l Link<P>,
    which: Which,
    head: &'b H,
    body: Body<'b, P>,
    intent: Intent,
    admission: Admission,
) -> Transact<'l, 'b, P, H> {
    Transact {
        link,
        queue: link.queue(which),
        unsent: Some((head, body)),
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
    pub(crate) struct Transact<'l, 'b, P, H>
    where
        P: Platform,
    {
        link: &'l Link<P>,
        queue: &'l Queue<P>,
        // What to send, until it is.
        unsent: Option<(&'b H, Body<'b, P>)>,
        intent: Intent,
        admission: Admission,
        // The wait for a slot, if there is one.
        #[pin]
        reserve: Option<Reserve<'l, P>>,
        in_flight: Option<InFlight<'l, P>>,
    }
}

impl<'l, P: Platform, H: AsRef<[u8]>> Future for Transact<'l, '_, P, H> {
    type Output = Result<InFlight<'l, P>, Error>;

    #[inline(always)]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let link = self.link;
        look_and_poll(link, context, |context| self.advance(context))
    }
}

impl<'l, P: Platform, H: AsRef<[u8]>> Transact<'l, '_, P, H> {
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
            let Some((head, body)) = this.unsent.take() else {
                return Poll::Pending;
            };
            let waker = Some(context.waker().clone());
            *this.in_flight = Some(publish(reserved, head, body, *this.intent, waker)?);
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

/// A status that no device means: an answer that was never written is not taken for one.
const NO_ANSWER: u8 = 0xff;

/// Writes parts one after the other, from the start of the inline bytes on; returns their length.
#[inline(always)]
fn write_inline(block: Block<'_>, parts: &[&[u8]]) -> usize {
    let mut len_bytes = 0;
    for part in parts {
        block.write(INLINE + len_bytes, part);
        len_bytes += part.len();
    }
    len_bytes
}

/// Fills the slot's block and sends it; `waker` is that of the task that polls it next, at once.
#[inline(always)]
pub(crate) fn publish<'l, P: Platform>(
    reserved: Reserved<'l, P>,
    head: &impl AsRef<[u8]>,
    body: Body<'_, P>,
    intent: Intent,
    waker: Option<Waker>,
) -> Result<InFlight<'l, P>, Error> {
    let block = reserved.block();
    let head = head.as_ref();
    let start = block.write_head(head);
    match body {
        Body::Control { keys, buffers } => {
            block.write(ANSWER, &[NO_ANSWER; ANSWER_LEN]);
            let keys_len_bytes = write_inline(block, keys);
            let answer = block.writable(ANSWER, ANSWER_LEN);
            let mut segments = [
                block.readable(start, head.len() + keys_len_bytes),
                answer,
                answer,
            ];
            let count = match buffers.sources() {
                [] => 2,
                [keys, ..] => {
                    segments[1] = segment(keys, false);
                    3
                }
            };
            reserved.publish(Submission {
                segments: &segments[..count],
                inline_bytes: keys_len_bytes as u16,
                intent,
                buffers,
                waker,
            })
        }
        Body::Inline {
            parts,
            output_at,
            output_len_bytes,
        } => {
            let parts_len_bytes = write_inline(block, parts);
            let output = INLINE + output_at;
            block.write(output + output_len_bytes, &[NO_ANSWER]);
            let segments = [
                block.readable(start, head.len() + parts_len_bytes),
                // One descriptor for the output and the status right behind it.
                block.writable(output, output_len_bytes + 1),
            ];
            reserved.publish(Submission {
                segments: &segments,
                inline_bytes: parts_len_bytes.max(output_at + output_len_bytes) as u16,
                intent,
                buffers: &mut Buffers::default(),
                waker,
            })
        }
        Body::Buffers {
            before,
            buffers,
            after,
            result_len_bytes,
        } => {
            let before_len_bytes = write_inline(block, before);
            let output_at = before_len_bytes + after.len();
            block.write(INLINE + before_len_bytes, after);
            block.write(INLINE + output_at + result_len_bytes, &[NO_ANSWER]);
            let (sources, destinations) = (buffers.sources(), buffers.destinations());
            let descriptors =
                2 + sources.len() + usize::from(!after.is_empty()) + destinations.len();
            let max = reserved.max_segments();
            if descriptors > max {
                block.wipe_inline(output_at);
                return Err(Error::TooManyBuffers { descriptors, max });
            }
            let mut segments = ArrayVec::<Segment, MAX_SEGMENTS>::new();
            segments.push(block.readable(start, head.len() + before_len_bytes));
            segments.extend(sources.iter().map(|buffer| segment(buffer, false)));
            if !after.is_empty() {
                segments.push(block.readable(INLINE + before_len_bytes, after.len()));
            }
            segments.extend(destinations.iter().map(|buffer| segment(buffer, true)));
            segments.push(block.writable(INLINE + output_at, result_len_bytes + 1));
            reserved.publish(Submission {
                segments: &segments,
                inline_bytes: (output_at + result_len_bytes) as u16,
                intent,
                buffers,
                waker,
            })
        }
    }
}

#[inline]
fn segment<P: Platform>(buffer: &DmaBuffer<P>, writable: bool) -> Segment {
    Segment {
        bus_address: buffer.bus_address(),
        len_bytes: buffer.len() as u32,
        writable,
    }
}

/// Judges an answer of `output_len_bytes` bytes and a status, which lies at `status_at` in the slot's
/// block: whether there is one, its status, then whether all of it was written. On an error nothing
/// of the output counts.
#[inline]
pub(crate) fn check_answer<P: Platform>(
    in_flight: &InFlight<'_, P>,
    status_at: usize,
    output_len_bytes: usize,
) -> Result<(), Error> {
    let written_bytes = in_flight.written_bytes();
    let expected_bytes = output_len_bytes as u32 + 1;
    let short = Error::ShortAnswer {
        written_bytes,
        expected_bytes,
    };
    // Nothing at all was written, so no status either.
    if written_bytes == 0 {
        return Err(short);
    }
    let mut status = [NO_ANSWER];
    in_flight.block().read(status_at, &mut status);
    wire::check_status(u32::from(status[0])).map_err(Error::Refused)?;
    if written_bytes < expected_bytes {
        return Err(short);
    }
    Ok(())
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
