//! Kicks put off, so that many requests share one.
//!
//! Each CPU puts off its own: what another one sends meanwhile is notified at once, and takes along what
//! has been published by then. Every section ends with a kick of its own, unless there is nothing to
//! notify of, so that sections of several CPUs cannot keep each other from it. A CPU whose kernel looks at
//! the ring within a section waits, for what it has put off too, and so notifies first; a future that is
//! polled and looks does not, since the others that are polled with it are still to come.

use super::{Queue, state::Guarded};
use crate::Platform;

/// CPUs that are told apart; those whose numbers leave the same remainder put off together.
const PLACES: u32 = 64;

/// Which CPUs put off their kicks.
#[derive(Debug)]
pub(super) struct Deferring {
    /// A bit for each place with a section in it.
    places: u64,
    /// How many sections there are in each place: they may be one inside the other.
    sections: [u32; PLACES as usize],
}

impl Deferring {
    pub(super) fn new() -> Self {
        Self {
            places: 0,
            sections: [0; PLACES as usize],
        }
    }

    /// Tells whether the calling CPU does. Under the lock, where it stays the same CPU.
    #[inline(always)]
    pub(super) fn is_here<P: Platform>(&self) -> bool {
        self.places != 0 && self.places & Place::here::<P>().bit() != 0
    }
}

/// Where a section was begun.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place(u32);

impl Place {
    /// Returns that of the calling CPU.
    pub(crate) fn here<P: Platform>() -> Self {
        Self(P::cpu() % PLACES)
    }

    fn bit(self) -> u64 {
        1 << self.0
    }
}

impl<P: Platform> Queue<P> {
    /// Puts off kicks of the CPU in `place` until as many [`resume_kicks`](Self::resume_kicks).
    pub(crate) fn defer_kicks(&self, place: Place) {
        self.guarded.with(|guarded| {
            guarded.deferring.places |= place.bit();
            guarded.deferring.sections[place.0 as usize] += 1;
        });
    }

    /// Makes up for the kicks put off, with one.
    pub(crate) fn resume_kicks(&self, place: Place) {
        let kick = self.guarded.with(|guarded| {
            let sections = &mut guarded.deferring.sections[place.0 as usize];
            *sections -= 1;
            if *sections == 0 {
                guarded.deferring.places &= !place.bit();
            }
            guarded.decide_deferred_kick()
        });
        if kick {
            self.doorbell.ring();
        }
    }

    /// Notifies the device of what this CPU has put off so far.
    pub(crate) fn notify_deferred(&self) {
        let kick = self
            .guarded
            .with(|guarded| guarded.deferring.is_here::<P>() && guarded.decide_deferred_kick());
        if kick {
            self.doorbell.ring();
        }
    }
}

impl<P: Platform> Guarded<P> {
    /// Decides whether to notify the device of what has been put off; never where the queue has ended, and
    /// the device with it.
    pub(super) fn decide_deferred_kick(&mut self) -> bool {
        self.ended.is_none() && self.decide_kick_now()
    }
}

/// While one of these lives, the queue's kicks of this CPU are put off.
#[derive(Debug)]
pub(crate) struct Deferred<'q, P: Platform> {
    queue: &'q Queue<P>,
    place: Place,
}

impl<'q, P: Platform> Deferred<'q, P> {
    pub(crate) fn new(queue: &'q Queue<P>) -> Self {
        let place = Place::here::<P>();
        queue.defer_kicks(place);
        Self { queue, place }
    }
}

impl<P: Platform> Drop for Deferred<'_, P> {
    fn drop(&mut self) {
        self.queue.resume_kicks(self.place);
    }
}
