//! What there is of a disk: waiting for a free slot, and for an answer.
//!
//! The one rule: wakers and buffers are dropped, and tasks woken, without the disk's lock.

use core::{
    future::{Future, poll_fn},
    pin::Pin,
    task::{Context, Poll, Waker},
};

use crossbeam_queue::ArrayQueue;
use kernel::sync::SpinLock;

use super::{
    error::{Buffer, Failed},
    ring::{Kind, NotSent, Ring},
};

/// What there is of a disk.
pub struct Inner {
    pub ring: SpinLock<Ring>,
    /// Tasks that wait for a free slot. Each time one is freed all of them are woken, so none
    /// depends on another.
    pub waiting: ArrayQueue<Waker>,
    pub sectors: u64,
    pub is_read_only: bool,
    pub has_flush: bool,
}

impl Inner {
    /// Wakes whoever waits for a slot.
    pub fn wake_waiting(&self) {
        // As many as there are now: one that wakes may wait again.
        for _ in 0..self.waiting.len() {
            if let Some(waker) = self.waiting.pop() {
                waker.wake();
            }
        }
    }
}

/// Sends a request as soon as there is a slot for it.
///
/// If the future is dropped, the request was not sent.
pub async fn send(
    disk: &'static Inner,
    kind: Kind,
    first_sector: u64,
    mut buffer: Option<Buffer>,
) -> Result<InFlight, Failed> {
    poll_fn(|context| {
        let mut is_in_line = false;
        loop {
            while let Some(forgotten) = disk.ring.with(|ring| ring.take_forgotten()) {
                drop(forgotten);
            }
            let given = buffer.take();
            match disk.ring.with(|ring| ring.send(kind, first_sector, given)) {
                Ok(slot) => {
                    let slot = Some(slot);
                    return Poll::Ready(Ok(InFlight { disk, slot }));
                }
                Err((NotSent::Because(error), buffer)) => {
                    return Poll::Ready(Err(Failed { error, buffer }));
                }
                Err((NotSent::NoSlot, back)) => buffer = back,
            }
            // Once more in the line: a slot may have come free before.
            if is_in_line {
                return Poll::Pending;
            }
            is_in_line = true;
            if let Err(waker) = disk.waiting.push(context.waker().clone()) {
                waker.wake();
            }
        }
    })
    .await
}

/// Waits for the answer of a request.
///
/// If it is dropped, the device finishes the request for nobody, and its buffer is freed then.
pub struct InFlight {
    disk: &'static Inner,
    /// `None` once the answer is there.
    slot: Option<usize>,
}

impl Future for InFlight {
    type Output = Result<Option<Buffer>, Failed>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(slot) = self.slot else {
            unreachable!("polled after its end");
        };
        let waker = context.waker().clone();
        let (answer, _to_drop) = self.disk.ring.with(|ring| ring.poll(slot, waker));
        let Poll::Ready((outcome, buffer)) = answer else {
            return Poll::Pending;
        };
        self.slot = None;
        self.disk.wake_waiting();
        Poll::Ready(match outcome {
            Ok(()) => Ok(buffer),
            Err(error) => Err(Failed { error, buffer }),
        })
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if let Some(slot) = self.slot.take() {
            let _to_drop = self.disk.ring.with(|ring| ring.forget(slot));
            self.disk.wake_waiting();
        }
    }
}
