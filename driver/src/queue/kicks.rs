//! Sections in which a CPU puts off its kicks: see `deferral`.

use super::{
    Locked, Queue,
    deferral::{Place, Section, learn_cpus},
    guarded::Guarded,
};
use crate::Platform;

impl<P: Platform> Queue<P> {
    /// Puts off kicks of the CPU in `place` until as many [`resume_kicks`](Self::resume_kicks).
    pub(crate) fn defer_kicks(&self, place: Place) {
        learn_cpus::<P>();
        self.with_current(|_, locked| locked.guarded.deferring.begin(place));
    }

    /// Ends a section, and makes up for the kicks that it put off with one.
    pub(crate) fn resume_kicks(&self, place: Place) {
        let (queue, kick) = self.with_current(|_, Locked { guarded, .. }| {
            guarded.deferring.end(place);
            guarded.decide_deferred_kick()
        });
        if kick {
            queue.ring_doorbell();
        }
    }

    /// Notifies the device of what this CPU has put off so far.
    pub(crate) fn notify_deferred(&self) {
        let kick = self.with(|guarded| {
            let section = guarded.deferring.section_here::<P>();
            section != Section::None && guarded.decide_deferred_kick()
        });
        if kick {
            self.ring_doorbell();
        }
    }

    /// Notifies the device likewise, if the caller is about to wait within the section.
    pub(crate) fn notify_before_wait(&self) {
        let kick = self.with(Guarded::decide_kick_before_wait);
        if kick {
            self.ring_doorbell();
        }
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
