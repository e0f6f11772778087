//! Many requests of one session, sent together and awaited together.
//!
//! The one rule: each request has a result of its own, in the order of the requests.

use alloc::vec::Vec;
use core::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    task::{Context, Poll, ready},
};

use super::{
    Cipher,
    chaining::{Iv, iv_of},
};
use crate::{
    Error, Platform,
    dma::DmaBuffer,
    error::Failed,
    heap::room_for,
    queue::{Body, Buffers, Deferred, InFlight, List, Queue, Reserve, Reserved},
    request::{exchange::poll_driven, mode::Mode},
};

/// One request of a batch.
pub(super) struct Entry<'s, P: Platform> {
    pub(super) iv: Iv,
    /// Here, unless the device may touch them.
    pub(super) buffers: Buffers<P>,
    len_bytes: usize,
    in_flight: Option<InFlight<'s, P>>,
    /// How it ended.
    pub(super) outcome: Option<Result<(), Error>>,
}

impl<P: Platform> Entry<'_, P> {
    /// A request about a buffer, in place.
    pub(super) fn new(iv: Iv, buffer: DmaBuffer<P>) -> Self {
        Self {
            iv,
            len_bytes: buffer.len(),
            buffers: Buffers::in_place(List::One(buffer)),
            in_flight: None,
            outcome: None,
        }
    }

    /// Returns the data, before it is sent and after it is answered.
    pub(super) fn data(&self) -> &[u8] {
        self.buffers.sources().first().map_or(&[], |buffer| buffer)
    }

    fn into_buffer(self) -> Option<DmaBuffer<P>> {
        self.buffers.source.and_then(List::into_one)
    }
}

/// Puts the parts of one whole together again, with the outcome of their requests. If one has
/// failed, the whole has, and what came of the others is wiped: half an answer is none.
pub(super) fn rejoin<P: Platform>(
    mut entries: Vec<Entry<'_, P>>,
) -> Result<DmaBuffer<P>, Failed<DmaBuffer<P>>> {
    let outcome = all_or_nothing(&mut entries);
    let parts = entries.into_iter().map(Entry::into_buffer);
    Failed::give_back(outcome, DmaBuffer::rejoin(parts))
}

/// Returns the first error of requests about the parts of one whole, and then wipes what came of
/// the others.
pub(super) fn all_or_nothing<P: Platform>(entries: &mut [Entry<'_, P>]) -> Result<(), Error> {
    let outcomes = entries.iter().filter_map(|entry| entry.outcome);
    let outcome = outcomes.fold(Ok(()), Result::and);
    if outcome.is_err() {
        let done = entries
            .iter_mut()
            .filter(|entry| entry.outcome == Some(Ok(())));
        done.for_each(|entry| entry.buffers.wipe_destinations());
    }
    outcome
}

impl<P: Platform> Cipher<P> {
    /// Processes many buffers in place, each with an IV and a request of its own, without copying;
    /// requests that find no free slot wait for one. The results are in the order of the requests.
    ///
    /// All requests that are sent in one poll share one kick: as many as there are slots, at first.
    /// Allocates for the batch, not for each request. Each IV is asked for its bytes once, before
    /// anything is sent, and they are copied.
    ///
    /// ```no_run
    /// # use virtio_crypto::{Cipher, DmaBuffer, Error, Platform};
    /// # async fn example<P: Platform>(
    /// #     session: &Cipher<P>, first: DmaBuffer<P>, second: DmaBuffer<P>,
    /// # ) -> Result<(), Error> {
    /// let requests = vec![([1; 16], first), ([2; 16], second)];
    /// for result in session.process_batch(requests).await? {
    ///     let buffer = result?;
    /// #   drop(buffer);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::OutOfMemory`], with the requests, of which none was sent. Else each request has its
    /// own: those of [`process`](Self::process).
    ///
    /// # Cancellation
    ///
    /// If the future is dropped, each request ends like a single one: those that the device has are
    /// finished for nobody, the others were never sent.
    pub async fn process_batch<I: AsRef<[u8]>>(
        &self,
        requests: Vec<(I, DmaBuffer<P>)>,
    ) -> Result<Vec<Result<DmaBuffer<P>, Failed<DmaBuffer<P>>>>, Failed<Vec<(I, DmaBuffer<P>)>>>
    {
        let count = requests.len();
        let room = room_for(count).and_then(|entries| Ok((entries, room_for(count)?)));
        let (mut entries, mut results) = match room {
            Ok(room) => room,
            Err(error) => {
                let returned = Some(requests);
                return Err(Failed { error, returned });
            }
        };
        entries.extend(requests.into_iter().map(|(iv, buffer)| {
            // Asked once, before there is anything to lose: the caller's code may answer something
            // else the next time, panic, or call the driver again.
            let iv = iv.as_ref();
            let outcome = self.check_lens(iv, buffer.len()).err().map(Err);
            let entry = Entry::new(iv_of(iv), buffer);
            Entry { outcome, ..entry }
        }));
        self.process_entries(&mut entries).await;
        results.extend(entries.into_iter().map(|entry| {
            let outcome = entry.outcome.unwrap_or(Err(Error::ShutDown));
            Failed::give_back(outcome, entry.into_buffer())
        }));
        Ok(results)
    }

    /// Sends all entries that have not failed yet, and waits until each has ended.
    pub(super) async fn process_entries<'s>(&'s self, entries: &mut [Entry<'s, P>]) {
        let mut progress = Progress::default();
        let epoch = &**self.mode.epoch();
        // One queue for all, wherever the task goes meanwhile.
        let queue = epoch.data_queue();
        let mut line = pin!(None);
        poll_fn(|context| {
            poll_driven(epoch, context, |context| {
                let _deferred = Deferred::new(queue);
                self.advance(queue, entries, &mut progress, line.as_mut(), context)
            })
        })
        .await;
    }

    /// Sends what there are slots for, and takes completions in the order of the requests. A device
    /// that completes in another order makes later ones wait, but none that is waited for here.
    fn advance<'s>(
        &'s self,
        queue: &'s Queue<P>,
        entries: &mut [Entry<'s, P>],
        progress: &mut Progress,
        mut line: Pin<&mut Option<Reserve<'s, P>>>,
        context: &mut Context<'_>,
    ) -> Poll<()> {
        loop {
            while let Some(entry) = entries.get_mut(progress.sent) {
                if entry.outcome.is_none() {
                    match poll_slot(queue, line.as_mut(), context) {
                        Poll::Ready(Ok(reserved)) => self.send(entry, reserved),
                        Poll::Ready(Err(error)) => entry.outcome = Some(Err(error)),
                        Poll::Pending => break,
                    }
                }
                progress.sent += 1;
            }
            let before = progress.done;
            while let Some(entry) = entries.get_mut(progress.done)
                && progress.done < progress.sent
                && self.poll_entry(entry, context).is_ready()
            {
                progress.done += 1;
            }
            if progress.done == entries.len() {
                return Poll::Ready(());
            }
            // This task's waker is in place by now, with the slot and the request that are waited
            // for, unless slots have come free that others of this batch may have now.
            if progress.sent == entries.len() || progress.done == before {
                return Poll::Pending;
            }
        }
    }

    fn send<'s>(&'s self, entry: &mut Entry<'s, P>, reserved: Reserved<'s, P>) {
        let iv = &entry.iv[..];
        let buffers = &mut entry.buffers;
        let before = [self.mode.key(), iv];
        let body = Body::Buffers {
            before: &before,
            buffers,
            after: &[],
            result_len_bytes: 0,
        };
        // Without a waker: the request that this task polls next wakes it.
        let sent = match &self.mode {
            Mode::Session(session) => {
                let head = self.head(session.id(), entry.len_bytes);
                reserved.submit(&head, body, Some(session.index), None)
            }
            Mode::Stateless(stateless) => {
                let head = self.stateless_message(stateless, iv, entry.len_bytes).head;
                reserved.submit(head.as_ref(), body, None, None)
            }
        };
        match sent {
            Ok(in_flight) => entry.in_flight = Some(in_flight),
            Err(error) => entry.outcome = Some(Err(error)),
        }
    }

    fn poll_entry(&self, entry: &mut Entry<'_, P>, context: &mut Context<'_>) -> Poll<()> {
        let Some(in_flight) = &mut entry.in_flight else {
            return Poll::Ready(());
        };
        let ended = ready!(in_flight.poll(context));
        if let Some(in_flight) = entry.in_flight.take() {
            entry.outcome = Some(ended.map_err(Error::from).and_then(|()| {
                let outcome = in_flight.check();
                in_flight.finish_with_buffers(outcome, &mut entry.buffers, &mut [])
            }));
        }
        Poll::Ready(())
    }
}

/// Takes a slot, or a place in the line for one.
fn poll_slot<'s, P: Platform>(
    queue: &'s Queue<P>,
    mut line: Pin<&mut Option<Reserve<'s, P>>>,
    context: &mut Context<'_>,
) -> Poll<Result<Reserved<'s, P>, Error>> {
    loop {
        if line.is_none() {
            let queue = queue.current();
            if let Some(reserved) = queue.reserve_fast() {
                return Poll::Ready(Ok(reserved));
            }
            line.set(Some(queue.reserve()));
        }
        let Some(waiting) = line.as_mut().as_pin_mut() else {
            return Poll::Pending;
        };
        let reserved = ready!(waiting.poll(context));
        line.set(None);
        // Nothing was sent: the queue in its place has slots.
        let is_replaced = queue.is_replaced();
        if !is_replaced || !matches!(reserved, Err(Error::QueueReset)) {
            return Poll::Ready(reserved);
        }
    }
}

/// How many entries of a batch, from the first on, have been sent, and have ended.
#[derive(Debug, Default)]
struct Progress {
    sent: usize,
    done: usize,
}
