//! Those who look at the ring by themselves, so that no interrupt is asked for.

use super::{POLLED, Queue};
use crate::{Platform, sync::atomic::Ordering};

impl<P: Platform> Queue<P> {
    /// Takes note that no interrupt will come: whoever waits drains.
    pub(crate) fn set_polled(&self) {
        self.special.fetch_or(POLLED, Ordering::Relaxed);
    }

    /// Somebody looks at the ring from here on: asks for no interrupts until as many
    /// [`end_polling`](Self::end_polling).
    pub(crate) fn begin_polling(&self) {
        self.guarded.with(|guarded| {
            guarded.pollers += 1;
            guarded.ring.suppress_interrupts();
        });
    }

    /// One who looked at the ring leaves. After the last one the ring has to be drained once more: that
    /// asks for interrupts, and takes what came before it did.
    pub(crate) fn end_polling(&self) {
        self.guarded.with(|guarded| {
            guarded.pollers -= 1;
            if guarded.pollers == 0 {
                guarded.ring.allow_interrupts();
            }
        });
    }
}
