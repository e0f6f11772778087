//! Kicks put off, so that many requests share one.
//!
//! Each CPU puts off its own kicks, within a section. What another CPU sends meanwhile is notified
//! at once, and that kick covers all that is published by then. Every section ends with a kick of
//! its own if there is anything to notify of, so sections of several CPUs cannot delay a kick for
//! ever.
//!
//! A kernel that polls the ring within a section waits for what its CPU has put off, too, and so
//! notifies first. A future that drains when it is polled does not: the futures that are polled
//! with it are still to come.
//!
//! The one rule: nobody waits for what has been put off. A task that blocks within a section
//! ([`begin_wait`]) does not come to the section's end. So from there on the section puts nothing
//! off, and a task in it that waits for a slot or an answer notifies first.

use core::sync::atomic::{AtomicU32, Ordering};

use spin::Once;

use crate::Platform;

/// How many CPUs are told apart. Those whose numbers leave the same remainder share a place.
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

/// How the kernel numbers its CPUs; known from the first section on. Before that nobody waits
/// within one.
static CPU: Once<fn() -> u32> = Once::new();
/// How many waits have begun in each place since.
static WAITS: [AtomicU32; PLACES as usize] = [const { AtomicU32::new(0) }; PLACES as usize];

/// Says that the calling CPU is about to wait until something has been answered. A kernel whose
/// executor has a way to block of its own calls this before each such wait.
/// [`block_on`](crate::block_on) calls it itself.
///
/// Within [`Device::share_kicks`](crate::Device::share_kicks) or
/// [`Device::batch`](crate::Device::batch), the section then puts off no more kicks: the waiting
/// CPU would not come to its end.
pub fn begin_wait() {
    if let Some(cpu) = CPU.get() {
        // Relaxed: read on the same CPU.
        WAITS[(cpu() % PLACES) as usize].fetch_add(1, Ordering::Relaxed);
    }
}

/// Learns how the kernel numbers its CPUs. Before a queue's lock is taken.
pub(super) fn learn_cpus<P: Platform>() {
    CPU.call_once(|| P::cpu);
}

impl Deferring {
    pub(super) fn new() -> Self {
        Self {
            places: 0,
            sections: [0; PLACES as usize],
            waits: [0; PLACES as usize],
        }
    }

    /// Begins a section in `place`, within others that there are.
    pub(super) fn begin(&mut self, place: Place) {
        let at = place.0 as usize;
        if self.sections[at] == 0 {
            self.places |= place.bit();
            self.waits[at] = WAITS[at].load(Ordering::Relaxed);
        }
        self.sections[at] += 1;
    }

    /// Ends a section in `place`.
    pub(super) fn end(&mut self, place: Place) {
        let sections = &mut self.sections[place.0 as usize];
        *sections -= 1;
        if *sections == 0 {
            self.places &= !place.bit();
        }
    }

    /// Tells whether the calling CPU puts off its kicks. Under the lock, where it stays the same
    /// CPU.
    #[inline(always)]
    pub(super) fn is_here<P: Platform>(&self) -> bool {
        self.section_here::<P>() == Section::PutsOff
    }

    /// Returns what section the calling CPU is in. Under the lock, too.
    #[inline(always)]
    pub(super) fn section_here<P: Platform>(&self) -> Section {
        match self.places {
            0 => Section::None,
            _ => self.section_in(Place::here::<P>()),
        }
    }

    fn section_in(&self, place: Place) -> Section {
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
pub(super) enum Section {
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
