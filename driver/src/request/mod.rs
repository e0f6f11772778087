//! The life of one request: wait for a slot, fill it, publish it, wait for its completion.
//!
//! # Cancellation
//!
//! Before the request is published, dropping its future gives the slot back and the buffers go
//! with the future. Afterwards the device has them: dropping the future leaves slot and buffers
//! behind as an orphan, which is emptied once the device has used it. Forgetting the future keeps
//! its slot for good, the one that it is handed if it is in the line, and endangers nothing: no other
//! slot, and no other caller's turn.

pub(crate) mod blocking;
pub(crate) mod join;
pub(crate) mod mode;
pub(crate) mod session;

use core::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
};

use arrayvec::ArrayVec;

use crate::{
    Error, Platform,
    dma::DmaBuffer,
    epoch::Epoch,
    queue::{
        ANSWER, ANSWER_LEN, Block, Buffers, Fields, INLINE, InFlight, Intent, MAX_SEGMENTS,
        NO_ANSWER, Queue, Reserved, Submission,
    },
    virtqueue::Segment,
    wire,
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

/// What to send behind the head.
#[derive(Debug)]
pub(crate) enum Body<'a, P: Platform> {
    /// A key or two; the answer is a session id with a status.
    Control {
        keys: &'a [&'a [u8]],
        /// In which the keys are, one behind the other, if the slot has no room for them.
        buffers: &'a mut Buffers<P>,
    },
    /// Everything in the slot's own memory. The device writes so many bytes and a status, from an
    /// offset on that may lie within the parts: it has read them before it writes. They end where the
    /// output does or before.
    Inline {
        parts: &'a [&'a [u8]],
        output_at: usize,
        output_len_bytes: usize,
        /// Of these, the last are a field of their own: a digest, a tag.
        result_len_bytes: usize,
    },
    /// A payload in buffers, between short parts in the slot's own memory. What the device writes
    /// beside the destination, and the status, come behind the short parts. Where the slot has no room
    /// for the parts, all of them and the result are spilled into `buffers` first
    /// ([`Buffers::spill`]).
    Buffers {
        before: &'a [&'a [u8]],
        buffers: &'a mut Buffers<P>,
        after: &'a [&'a [u8]],
        result_len_bytes: usize,
    },
}

/// Sends a request and waits for its completion, in steps that a caller in a hurry takes by itself:
/// what is borrowed between two waits then needs no place in its future.
///
/// On an error, buffers that the device never had are where they were; those that it may still
/// touch are gone.
#[inline]
pub(crate) async fn transact<'l, P: Platform>(
    epoch: &'l Epoch<P>,
    queue: &'l Queue<P>,
    head: &impl AsRef<[u8]>,
    body: Body<'_, P>,
    intent: Intent,
    admission: Admission,
) -> Result<InFlight<'l, P>, Error> {
    let reserved = match queue.reserve_at_once() {
        Some(reserved) => reserved,
        None => reserve_in_line(epoch, queue, admission).await?,
    };
    let waker = own_waker().await;
    let mut in_flight = publish(reserved, head, body, intent, Some(waker))?;
    complete(epoch, &mut in_flight).await?;
    Ok(in_flight)
}

/// Reserves a slot where [`Queue::reserve_at_once`](crate::queue::Queue::reserve_at_once) could
/// not: in the line, if the caller is willing to wait.
pub(crate) async fn reserve_in_line<'l, P: Platform>(
    epoch: &'l Epoch<P>,
    queue: &'l Queue<P>,
    admission: Admission,
) -> Result<Reserved<'l, P>, Error> {
    if admission == Admission::Try {
        return queue.try_reserve();
    }
    let mut reserve = pin!(queue.reserve());
    poll_fn(|context| {
        look(epoch);
        let outcome = reserve.as_mut().poll(context);
        look_again(epoch, context, outcome)
    })
    .await
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
        match self.in_flight.poll_plainly() {
            Some(outcome) => outcome,
            None => self.poll_specially(context),
        }
    }
}

impl<P: Platform> Complete<'_, '_, P> {
    /// Polls where the queue has ended, no interrupt comes, or a waker has to be left.
    #[cold]
    fn poll_specially(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        look(self.epoch);
        let outcome = self.in_flight.poll(context);
        look_again(self.epoch, context, outcome)
    }
}

/// Returns how long parts are together.
pub(crate) fn len_bytes(parts: &[&[u8]]) -> usize {
    parts.iter().map(|part| part.len()).sum()
}

/// Writes parts one after the other, from `start` of the inline bytes on; returns their length.
#[inline(always)]
fn write_inline(block: Block<'_>, start: usize, parts: &[&[u8]]) -> usize {
    let mut len_bytes = 0;
    for part in parts {
        block.write(INLINE + start + len_bytes, part);
        len_bytes += part.len();
    }
    len_bytes
}

/// Fills the slot's block and sends it; `waker` is that of the task that polls it next, at once.
///
/// # Errors
///
/// Those of [`Reserved::publish`], and [`Error::TooManyBuffers`]; the buffers are where they were.
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
            let inline = match buffers.sources() {
                [] => keys,
                _ => &[],
            };
            let keys_len_bytes = write_inline(block, 0, inline);
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
            let fields = |buffers: Option<&Buffers<P>>| {
                let apart = buffers.and_then(|buffers| buffers.sources().first());
                Fields::control(block, head.len(), keys.iter().map(|key| key.len()), apart)
            };
            let submission = Submission {
                inline_bytes: keys_len_bytes as u16,
                intent,
                buffers: Some(buffers),
                waker,
            };
            reserved.publish(&segments[..count], fields, submission)
        }
        Body::Inline {
            parts,
            output_at,
            output_len_bytes,
            result_len_bytes,
        } => {
            let parts_len_bytes = write_inline(block, 0, parts);
            let output = INLINE + output_at;
            let inline_bytes = output_at + output_len_bytes;
            debug_assert!(parts_len_bytes <= inline_bytes);
            block.write(INLINE + inline_bytes, &[NO_ANSWER]);
            let segments = [
                block.readable(start, head.len() + parts_len_bytes),
                // One descriptor for the output and the status right behind it.
                block.writable(output, output_len_bytes + 1),
            ];
            let fields = |_: Option<&Buffers<P>>| {
                let lens_bytes = [output_len_bytes - result_len_bytes, result_len_bytes];
                Fields::inline::<P>(block, head.len(), parts, output_at, lens_bytes)
            };
            let submission = Submission {
                inline_bytes: inline_bytes as u16,
                intent,
                buffers: None,
                waker,
            };
            reserved.publish(&segments, fields, submission)
        }
        Body::Buffers {
            before,
            buffers,
            after,
            result_len_bytes,
        } => {
            let parts = [before, after];
            let (before, after, inline_result_len_bytes) = match &buffers.spilled {
                None => (before, after, result_len_bytes),
                Some(_) => (&[][..], &[][..], 0),
            };
            let before_len_bytes = write_inline(block, 0, before);
            let after_len_bytes = write_inline(block, before_len_bytes, after);
            let output_at = before_len_bytes + after_len_bytes;
            let inline_bytes = output_at + inline_result_len_bytes;
            block.write(INLINE + inline_bytes, &[NO_ANSWER]);
            let (sources, destinations) = (buffers.sources(), buffers.destinations());
            let spilled = buffers.spilled.as_deref();
            let spilled_before = spilled.and_then(|spilled| spilled.before.as_ref());
            let spilled_after = spilled.and_then(|spilled| spilled.after.as_ref());
            let spilled_result = spilled.and_then(|spilled| spilled.result.as_ref());
            let spilled = [spilled_before, spilled_after, spilled_result];
            let descriptors = 2
                + sources.len()
                + usize::from(after_len_bytes > 0)
                + destinations.len()
                + spilled.into_iter().flatten().count();
            let max = reserved.max_segments();
            if descriptors > max {
                return Err(Error::TooManyBuffers { descriptors, max });
            }
            let mut segments = ArrayVec::<Segment, MAX_SEGMENTS>::new();
            segments.push(block.readable(start, head.len() + before_len_bytes));
            let readable = spilled_before.into_iter().chain(sources);
            let readable = readable.chain(spilled_after);
            segments.extend(readable.map(|buffer| segment(buffer, false)));
            if after_len_bytes > 0 {
                segments.push(block.readable(INLINE + before_len_bytes, after_len_bytes));
            }
            let writable = destinations.iter().chain(spilled_result);
            segments.extend(writable.map(|buffer| segment(buffer, true)));
            segments.push(block.writable(INLINE + output_at, inline_result_len_bytes + 1));
            let fields = |buffers: Option<&Buffers<P>>| {
                let none = Buffers::default();
                let buffers = buffers.unwrap_or(&none);
                Fields::buffers(block, head.len(), parts, result_len_bytes, buffers)
            };
            let submission = Submission {
                inline_bytes: inline_bytes as u16,
                intent,
                buffers: Some(buffers),
                waker,
            };
            reserved.publish(&segments, fields, submission)
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
#[inline(always)]
pub(crate) fn check_answer<P: Platform>(
    in_flight: &InFlight<'_, P>,
    status_at: usize,
    output_len_bytes: usize,
) -> Result<(), Error> {
    let written_bytes = in_flight.written_bytes();
    let expected_bytes = output_len_bytes as u32 + 1;
    debug_assert_eq!(status_at, in_flight.status_at());
    let mut status = [NO_ANSWER];
    in_flight.block().read(status_at, &mut status);
    if written_bytes >= expected_bytes && u32::from(status[0]) == wire::STATUS_OK {
        return Ok(());
    }
    Err(bad_answer(written_bytes, expected_bytes, status[0]))
}

/// Tells what is wrong with an answer.
#[cold]
fn bad_answer(written_bytes: u32, expected_bytes: u32, status: u8) -> Error {
    let refusal = wire::check_status(u32::from(status)).map_err(Error::Refused);
    match refusal {
        // Where nothing at all was written there is no status either.
        Err(refused) if written_bytes > 0 => refused,
        _ => Error::ShortAnswer {
            written_bytes,
            expected_bytes,
        },
    }
}

/// Like [`check_answer`], for an output whose length is up to the device; returns that length.
pub(crate) fn check_answer_up_to<P: Platform>(
    in_flight: &InFlight<'_, P>,
    status_at: usize,
    max_len_bytes: usize,
) -> Result<usize, Error> {
    check_answer(in_flight, status_at, 0)?;
    let len_bytes = in_flight.written_bytes().saturating_sub(1) as usize;
    Ok(len_bytes.min(max_len_bytes))
}

/// Drains before a request is polled, where no interrupt does it.
#[inline(always)]
pub(crate) fn look<P: Platform>(epoch: &Epoch<P>) {
    if epoch.is_polled() {
        epoch.busy_poll();
    }
}

/// Returns `outcome`; where no interrupt comes, a request that is pending asks to be polled again.
#[inline(always)]
pub(crate) fn look_again<P: Platform, T>(
    epoch: &Epoch<P>,
    context: &Context<'_>,
    outcome: Poll<T>,
) -> Poll<T> {
    if outcome.is_pending() && epoch.is_polled() {
        context.waker().wake_by_ref();
    }
    outcome
}
