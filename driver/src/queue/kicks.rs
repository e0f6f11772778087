//! Kicks put off, so that many requests share one.
//!
//! Each CPU puts off its own: what another one sends meanwhile is notified at once, and takes along what
//! has been published by then. Every section ends with a kick of its own, unless there is nothing to
//! notify of, so that sections of several CPUs cannot keep each other from it. A CPU whose kernel looks at
//! the ring within a section waits, for what it has put off too, and so notifies first; a future that is
//! polled and looks does not, since the others that are polled with it are still to come.
//!
//! Who blocks within a section ([`begin_wait`]) keeps it from its end. From there on nothing is put off in
//! it, and whoever then waits for a slot or an answer notifies first.

use core::sync::atomic::{AtomicU32, Ordering};

use spin::Once;

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
    /// [`WAITS`] of each place when the outermost section began.
    waits: [u32; PLACES as usize],
}

/// How the kernel numbers its CPUs, from the first section on: before it nobody waits within one.
static CPU: Once<fn() -> u32> = Once::new();
/// How many waits have begun in each place since.
static WAITS: [AtomicU32; PLACES as usize] = [const { AtomicU32::new(0) }; PLACES as usize];

/// Says that the calling CPU is about to wait until something has been answered, within whatever it is doing:
/// for kernels whose executors have a way to block of their own, before each such wait.
/// [`block_on`](crate::block_on) says so itself.
///
/// Where it happens within [`Device::share_kicks`](crate::Device::share_kicks) or
/// [`Device::batch`](crate::Device::batch) the section puts off no more kicks: nobody would come to its end.
pub fn begin_wait() {
    if let Some(cpu) = CPU.get() {
        // Relaxed: read on the same CPU.
        WAITS[(cpu() % PLACES) as usize].fetch_add(1, Ordering::Relaxed);
    }
}

impl Deferring {
    pub(super) fn new() -> Self {
        Self {
            places: 0,
            sections: [0; PLACES as usize],
            waits: [0; PLACES as usize],
        }
    }

    /// Tells whether the calling CPU does. Under the lock, where it stays the same CPU.
    #[inline(always)]
    pub(super) fn is_here<P: Platform>(&self) -> bool {
        self.places != 0 && self.is_in(Place::here::<P>()) == Section::PutsOff
    }

    fn is_in(&self, place: Place) -> Section {
        let at = place.0 as usize;
        if self.places & place.bit() == 0 {
            Section::None
        } else if WAITS[at].load(Ordering::Relaxed) == self.waits[at] {
            Section::PutsOff
        } else {
            Section::Waits
        }
    }
}

/// Whether a place has a section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Section {
    None,
    PutsOff,
    /// One within which somebody waits, or has waited.
    Waits,
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
        CPU.call_once(|| P::cpu);
        self.guarded.with(|guarded| {
            let (deferring, at) = (&mut guarded.deferring, place.0 as usize);
            if deferring.sections[at] == 0 {
                deferring.places |= place.bit();
                deferring.waits[at] = WAITS[at].load(Ordering::Relaxed);
            }
            deferring.sections[at] += 1;
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
        let kick = self.guarded.with(|guarded| {
            let deferring = &guarded.deferring;
            let here =
                deferring.places != 0 && deferring.is_in(Place::here::<P>()) != Section::None;
            here && guarded.decide_deferred_kick()
        });
        if kick {
            self.doorbell.ring();
        }
    }

    /// The same, if the caller is about to wait within the section.
    pub(crate) fn notify_before_wait(&self) {
        let kick = self.guarded.with(Guarded::kicks_before_wait);
        if kick {
            self.doorbell.ring();
        }
    }
}

impl<P: Platform> Guarded<P> {
    /// Decides whether to notify the device of what has been put off; never where the queue has ended, and
    /// the device with it, nor while the hardware is not ready.
    pub(super) fn decide_deferred_kick(&mut self) -> bool {
        self.sends && self.decide_kick_now()
    }

    /// Decides whether the calling CPU, which is about to wait for an answer or a slot, has to notify the
    /// device of what it has put off until it began to.
    #[inline]
    pub(super) fn kicks_before_wait(&mut self) -> bool {
        self.deferring.places != 0
            && self.deferring.is_in(Place::here::<P>()) == Section::Waits
            && self.decide_deferred_kick()
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
