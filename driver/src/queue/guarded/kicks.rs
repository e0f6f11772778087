//! Whether to kick: asked after a request has become available.
//!
//! The one rule: the decision is made under the queue's lock, and the doorbell is rung without it.

use super::Guarded;
use crate::{Platform, queue::deferral::Section};

impl<P: Platform> Guarded<P> {
    /// Tells whether this CPU puts off its kicks now: not on a closed queue, since a caller that
    /// waits for its end may be within the section.
    #[inline(always)]
    pub(super) fn puts_kicks_off(&self) -> bool {
        self.deferring.is_here::<P>() && self.closed.is_none()
    }

    /// Decides whether to notify the device, whatever has been put off, and counts the kick.
    #[inline]
    pub(in crate::queue) fn decide_kick_now(&mut self) -> bool {
        let kick = self.available.decide_kick();
        self.stats.kicks += u64::from(kick);
        kick
    }

    /// Decides whether to notify the device of what has been put off. Never where the queue has
    /// ended, or while the hardware is not ready.
    pub(in crate::queue) fn decide_deferred_kick(&mut self) -> bool {
        self.sends && self.decide_kick_now()
    }

    /// Decides whether to notify the device before the calling CPU waits for an answer or a slot:
    /// it has begun to wait within a section, and may have put kicks off before.
    #[inline]
    pub(in crate::queue) fn decide_kick_before_wait(&mut self) -> bool {
        self.deferring.section_here::<P>() == Section::Waits && self.decide_deferred_kick()
    }
}
