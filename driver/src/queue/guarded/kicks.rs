//! Whether to notify the device.

use super::Guarded;
use crate::{Platform, queue::deferral::Section};

impl<P: Platform> Guarded<P> {
    /// Decides whether to notify the device, unless this CPU has put that off. On a closed queue no
    /// CPU has, since whoever waits for its end may be the one.
    #[inline]
    pub(in crate::queue) fn decide_kick(&mut self) -> bool {
        let deferred = self.deferring.is_here::<P>() && self.closed.is_none();
        !deferred && self.decide_kick_now()
    }

    #[inline]
    pub(in crate::queue) fn decide_kick_now(&mut self) -> bool {
        let kick = self.ring.decide_kick();
        self.stats.kicks += u64::from(kick);
        kick
    }

    /// Decides whether to notify the device of what has been put off. It never does where the queue
    /// has ended, and the device with it, nor while the hardware is not ready.
    pub(in crate::queue) fn decide_deferred_kick(&mut self) -> bool {
        self.sends && self.decide_kick_now()
    }

    /// Decides whether the calling CPU, which is about to wait for an answer or a slot, has to
    /// notify the device of what it has put off until it began to.
    #[inline]
    pub(in crate::queue) fn kicks_before_wait(&mut self) -> bool {
        self.deferring.section_here::<P>() == Section::Waits && self.decide_deferred_kick()
    }
}
