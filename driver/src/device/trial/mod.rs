//! Which data queues of a device are served: a device may have more than it serves.
//!
//! QEMU's `cryptodev-vhost-user` advertises as many as it was told and serves the first one alone;
//! a request on another is refused, or never answered. So where a device has several, each gets a
//! small request before anybody else has the device. The request is known to be right, since
//! another queue has served it, so a queue that does not serve it does not work.
//!
//! The one rule: all of it is bounded in time, and done by busy polling, without interrupts.

mod sample;

use alloc::{sync::Arc, vec::Vec};
use core::{
    future::Future,
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
};

pub(crate) use self::sample::Sample;
use self::sample::finish;
use crate::{
    Platform, deadline::Deadline, epoch::Epoch, heap::room_for, request::session::Session,
};

/// Finds out which data queues are served, by their positions; `None` where nothing can be told:
/// the device opens no session, or no queue serves, or its hardware goes or comes meanwhile, or it
/// has ended.
///
/// A queue that stays silent keeps its request, and with it the session, until the reset.
pub(crate) fn served_queues<P: Platform>(
    epoch: &Arc<Epoch<P>>,
    limit_ns: u64,
) -> Option<Vec<usize>> {
    epoch.begin_polling();
    let served = try_samples(epoch, &mut Deadline::after::<P>(limit_ns));
    epoch.end_polling();
    served
}

fn try_samples<P: Platform>(epoch: &Arc<Epoch<P>>, deadline: &mut Deadline) -> Option<Vec<usize>> {
    for sample in Sample::of(epoch.capabilities.advertised()) {
        let (parameters, keys) = (sample.parameters(), [sample.key(), &[]]);
        let mut open = pin!(Session::create(epoch.clone(), &parameters, &keys));
        // Dropped without an answer; should that come yet, the session is ended by the queue.
        let Ok(session) = drain_until(epoch, deadline, || poll_once(open.as_mut())).ok()? else {
            continue;
        };
        let served = ask_all(epoch, sample, &session, deadline)?;
        drop(session);
        // Its *destroy*; where a queue is silent there is none.
        let _ = drain_until(epoch, deadline, || match epoch.control.is_busy() {
            true => Poll::Pending,
            false => Poll::Ready(()),
        });
        if !served.is_empty() {
            return Some(served);
        }
    }
    None
}

/// Asks every data queue at once; returns the positions of those that served.
fn ask_all<P: Platform>(
    epoch: &Arc<Epoch<P>>,
    sample: Sample,
    session: &Session<P>,
    deadline: &mut Deadline,
) -> Option<Vec<usize>> {
    let mut asked = room_for(epoch.data.len()).ok()?;
    asked.extend(
        epoch
            .data
            .iter()
            .map(|queue| sample.send(session, queue).ok()),
    );
    let mut served = room_for(epoch.data.len()).ok()?;
    let drained = drain_until(epoch, deadline, || {
        let mut all = Poll::Ready(());
        for (position, place) in asked.iter_mut().enumerate() {
            let Some(in_flight) = place else { continue };
            match in_flight.poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Pending => all = Poll::Pending,
                Poll::Ready(Err(_)) => *place = None,
                Poll::Ready(Ok(())) => {
                    let answered = place.take();
                    if answered.is_some_and(|answered| finish(answered).is_ok()) {
                        served.push(position);
                    }
                }
            }
        }
        all
    });
    match drained {
        Ok(()) | Err(Over::Time) => Some(served),
        // A queue that has not served may have had no time to.
        Err(Over::Changed) => None,
    }
}

/// Why the rings were drained no longer.
enum Over {
    /// The time is up.
    Time,
    /// The device has ended, or its hardware has gone or come.
    Changed,
}

fn poll_once<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Drains the rings until `poll` is ready.
fn drain_until<P: Platform, T>(
    epoch: &Epoch<P>,
    deadline: &mut Deadline,
    mut poll: impl FnMut() -> Poll<T>,
) -> Result<T, Over> {
    loop {
        if let Poll::Ready(outcome) = poll() {
            return Ok(outcome);
        }
        epoch.drain();
        if epoch.check_presence() || epoch.control.ended().is_some() {
            return Err(Over::Changed);
        }
        if deadline.is_over::<P>() {
            return Err(Over::Time);
        }
        core::hint::spin_loop();
    }
}
