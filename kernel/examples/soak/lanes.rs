//! Lanes: each begins one case after the other, and decides what becomes of it.

use alloc::{boxed::Box, sync::Arc, vec::Vec};
use core::{
    future::poll_fn,
    task::{Context, Poll, Waker},
};

use async_task::Task;
use kernel::{
    cpu,
    crypto::CryptoDevice,
    smp,
    time::{self, TimedOut},
};
use virtio_crypto::Error;

use crate::{
    SECOND_NS, cases,
    place::{BegunCase, Place},
    random::Random,
    spawn_on, tally,
};

/// Lanes of each CPU at most.
const MOST_LANES: usize = 5;
/// A case that takes longer waits for ever, or its wake was lost.
const LIMIT_NS: u64 = 60 * SECOND_NS;
/// How long a case runs at most before it is cancelled or cut.
const CUT_NS: usize = 20_000_000;
/// How long a lane waits for a device that has left or ended.
const PAUSE_NS: u64 = 2_000_000;

/// What becomes of a case.
#[derive(Clone, Copy, Debug)]
enum Fate {
    /// It is awaited.
    Awaited,
    /// Its task is cancelled after this time.
    Cancelled(u64),
    /// It is polled this many times and dropped.
    Dropped(usize),
    /// It is cut by a time limit.
    Cut(u64),
    /// It is polled this many times, and never again.
    Forgotten(usize),
}

impl Fate {
    fn any(random: &mut Random) -> Self {
        let soon = |random: &mut Random| random.below(CUT_NS) as u64;
        match random.below(40) {
            0..=4 => Self::Cancelled(soon(random)),
            5..=7 => Self::Dropped(1 + random.below(6)),
            8..=11 => Self::Cut(soon(random)),
            12 => Self::Forgotten(1 + random.below(4)),
            _ => Self::Awaited,
        }
    }
}

/// Starts lanes on every CPU.
pub fn start(places: &'static [Place], random: &mut Random, end_ns: u64) -> Vec<Task<()>> {
    let each = 1 + random.below(MOST_LANES) as u32;
    let lanes = (0..smp::online() * each).map(|number| {
        let lane = lane(places, Random::new(random.next()), end_ns);
        spawn_on(number % smp::online(), lane)
    });
    lanes.collect()
}

async fn lane(places: &'static [Place], mut random: Random, end_ns: u64) {
    while time::now_ns() < end_ns {
        let place = &places[random.below(places.len())];
        let calm_since = place.calm_since();
        let Some(device) = place.device() else {
            time::sleep_ns(PAUSE_NS).await;
            continue;
        };
        let (seed, fate) = (random.next(), Fate::any(&mut random));
        let start_ns = time::now_ns();
        let error = run(place, device, seed, fate).await.err();
        let took_ns = time::now_ns() - start_ns;
        assert!(
            took_ns < LIMIT_NS,
            "case {seed:#x}, {fate:?}, took {} ms: {error:?}",
            took_ns / 1_000_000
        );
        if let Some(error) = error {
            let is_explained = place.was_disturbed(calm_since) && is_of_trouble(error);
            assert!(is_explained, "case {seed:#x}, {fate:?}: {error}");
            tally::ENDED.add(1);
            time::sleep_ns(PAUSE_NS).await;
        }
    }
}

/// Tells whether an error can come of what is done to the device here.
fn is_of_trouble(error: Error) -> bool {
    matches!(
        error,
        Error::ShutDown | Error::QueueReset | Error::Broken(_) | Error::Resetting
    )
}

/// Runs a case until its fate comes.
async fn run(
    place: &'static Place,
    device: Arc<CryptoDevice>,
    seed: u64,
    fate: Fate,
) -> Result<(), Error> {
    let case = cases::run(device, &place.served, seed);
    match fate {
        Fate::Awaited => time::timeout(LIMIT_NS, case).await.unwrap_or(Ok(())),
        Fate::Cancelled(after_ns) => {
            let task = spawn_on(cpu::number(), case);
            time::sleep_ns(after_ns).await;
            match task.is_finished() {
                true => task.await,
                false => {
                    tally::DROPPED.add(1);
                    drop(task);
                    Ok(())
                }
            }
        }
        Fate::Cut(after_ns) => match time::timeout(after_ns, case).await {
            Ok(outcome) => outcome,
            Err(TimedOut) => {
                tally::TIMEOUTS.add(1);
                Ok(())
            }
        },
        Fate::Dropped(polls) => match poll_some(Box::pin(case), polls).await {
            Ok(outcome) => outcome,
            Err(case) => {
                tally::DROPPED.add(1);
                drop(case);
                Ok(())
            }
        },
        Fate::Forgotten(polls) => match poll_some(Box::pin(case), polls).await {
            Ok(outcome) => outcome,
            Err(case) => match place.forget(case) {
                Ok(()) => {
                    tally::FORGOTTEN.add(1);
                    Ok(())
                }
                Err(case) => time::timeout(LIMIT_NS, case).await.unwrap_or(Ok(())),
            },
        },
    }
}

/// Polls a case this many times, every second time by the task's waker; returns it if it is not
/// ready by then.
async fn poll_some(mut case: BegunCase, polls: usize) -> Result<Result<(), Error>, BegunCase> {
    for poll in 0..polls {
        let outcome = poll_fn(|context| {
            let mut nobody = Context::from_waker(Waker::noop());
            let context = match poll % 2 {
                0 => &mut nobody,
                _ => context,
            };
            Poll::Ready(case.as_mut().poll(context))
        });
        if let Poll::Ready(outcome) = outcome.await {
            return Ok(outcome);
        }
        time::sleep_ns(PAUSE_NS).await;
    }
    Err(case)
}
