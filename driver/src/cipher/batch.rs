//! Many requests of one session, published together and awaited together.

use alloc::vec::Vec;
use core::{
    future::poll_fn,
    pin::{Pin, pin},
    task::{Context, Poll, ready},
};

use super::Cipher;
use crate::{
    Error, Failed, Platform,
    dma::DmaBuffer,
    queue::{Admission, Buffers, Deferred, INLINE, InFlight, Intent, List, Reserve, Reserved},
    request::{Body, check_answer, look_and_poll, publish},
};

/// One request of a batch.
struct Entry<'s, I, P: Platform> {
    iv: I,
    /// Here, unless the device may touch them.
    buffers: Buffers<P>,
    len_bytes: usize,
    in_flight: Option<InFlight<'s, P>>,
    /// How it ended.
    outcome: Option<Result<(), Error>>,
}

impl<P: Platform> Cipher<P> {
    /// Processes many buffers in place, each with an IV and a request of its own, without copying;
    /// requests that find no free slot wait for one. The results are in the order of the requests.
    ///
    /// All requests that are published in one poll share one kick: as many as there are slots, at
    /// first. Allocates for the batch, not for each request.
    ///
    /// ```no_run
    /// # use virtio_crypto::{Cipher, DmaBuffer, Error, Platform};
    /// # async fn example<P: Platform>(
    /// #     session: &Cipher<P>, first: DmaBuffer<P>, second: DmaBuffer<P>,
    /// # ) -> Result<(), Error> {
    /// let requests = vec![([1; 16], first), ([2; 16], second)];
    /// for result in session.process_batch(requests).await {
    ///     let buffer = result?;
    /// #   drop(buffer);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Each request has its own: those of [`process`](Self::process).
    ///
    /// # Cancellation
    ///
    /// Dropped, each request ends like a single one: those that the device has are finished for
    /// nobody, the others were never sent.
    pub async fn process_batch<I: AsRef<[u8]>>(
        &self,
        requests: Vec<(I, DmaBuffer<P>)>,
    ) -> Vec<Result<DmaBuffer<P>, Failed<DmaBuffer<P>>>> {
        let entry = |(iv, buffer): (I, DmaBuffer<P>)| Entry {
            outcome: self.check_lens(iv.as_ref(), buffer.len()).err().map(Err),
            iv,
            len_bytes: buffer.len(),
            buffers: Buffers::in_place(List::One(buffer)),
            in_flight: None,
        };
        let mut entries: Vec<_> = requests.into_iter().map(entry).collect();
        let mut progress = Progress::default();
        let mut line = pin!(None);
        poll_fn(|context| {
            look_and_poll(&self.session.link, context, |context| {
                let _deferred = Deferred::new(&self.session.link.data);
                self.advance(&mut entries, &mut progress, line.as_mut(), context)
            })
        })
        .await;
        let results = entries.into_iter().map(|entry| {
            let given = entry.buffers.source.and_then(List::into_one);
            Failed::judge(entry.outcome.unwrap_or(Err(Error::ShutDown)), given)
        });
        results.collect()
    }

    /// Sends what there are slots for, and takes what has been completed, in order: a device that
    /// answers in another makes later answers wait, but none that is waited for here.
    fn advance<'s, I: AsRef<[u8]>>(
        &'s self,
        entries: &mut [Entry<'s, I, P>],
        progress: &mut Progress,
        mut line: Pin<&mut Option<Reserve<'s, P>>>,
        context: &mut Context<'_>,
    ) -> Poll<()> {
        loop {
            while let Some(entry) = entries.get_mut(progress.sent) {
                if entry.outcome.is_none() {
                    match self.poll_slot(line.as_mut(), context) {
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
            // Unless slots have come free that others of this batch may have now, each of the two
            // that are waited for has this task's waker.
            if progress.sent == entries.len() || progress.done == before {
                return Poll::Pending;
            }
        }
    }

    fn poll_slot<'s>(
        &'s self,
        line: Pin<&mut Option<Reserve<'s, P>>>,
        context: &mut Context<'_>,
    ) -> Poll<Result<Reserved<'s, P>, Error>> {
        let queue = &self.session.link.data;
        if line.is_none()
            && let Some(reserved) = queue.reserve_at_once()
        {
            return Poll::Ready(Ok(reserved));
        }
        queue.poll_reserve(line, Admission::Wait, context)
    }

    fn send<'s, I: AsRef<[u8]>>(&'s self, entry: &mut Entry<'s, I, P>, reserved: Reserved<'s, P>) {
        let body = Body::Buffers {
            before: &[entry.iv.as_ref()],
            buffers: &mut entry.buffers,
            after: &[],
            result_len_bytes: 0,
        };
        let intent = Intent::Data(self.session.index);
        // Without a waker: this task is woken by the request that it looks at next.
        match publish(reserved, &self.head(entry.len_bytes), body, intent, None) {
            Ok(in_flight) => entry.in_flight = Some(in_flight),
            Err(error) => entry.outcome = Some(Err(error)),
        }
    }

    fn poll_entry<I: AsRef<[u8]>>(
        &self,
        entry: &mut Entry<'_, I, P>,
        context: &mut Context<'_>,
    ) -> Poll<()> {
        let Some(in_flight) = &mut entry.in_flight else {
            return Poll::Ready(());
        };
        let ended = ready!(in_flight.poll(context));
        if let Some(in_flight) = entry.in_flight.take() {
            entry.outcome = Some(ended.and_then(|()| {
                let status_at = INLINE + entry.iv.as_ref().len();
                let outcome = check_answer(&in_flight, status_at, entry.len_bytes);
                entry.buffers = in_flight.finish_with_buffers();
                outcome
            }));
        }
        Poll::Ready(())
    }
}

/// How many entries of a batch, from the first on, have been sent, and have ended.
#[derive(Debug, Default)]
struct Progress {
    sent: usize,
    done: usize,
}
