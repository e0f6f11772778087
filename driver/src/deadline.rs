//! A time limit that ends, whatever the clock does.

use crate::Platform;

/// So many looks at a clock that does not go forward end the wait: seconds where each look reads a
/// register too, and many times what a coarse clock takes to its next tick.
const MAX_LOOKS: u32 = if cfg!(test) { 1 << 14 } else { 1 << 22 };

/// When somebody who looks again and again stops waiting.
#[derive(Debug)]
pub(crate) struct Deadline {
    start_ns: u64,
    limit_ns: u64,
    /// The latest time seen.
    last_ns: u64,
    /// Looks since then.
    looks: u32,
}

impl Deadline {
    /// Begins to wait for `limit_ns` at most.
    pub(crate) fn after<P: Platform>(limit_ns: u64) -> Self {
        let start_ns = P::now_ns();
        Self {
            start_ns,
            limit_ns,
            last_ns: start_ns,
            looks: 0,
        }
    }

    /// Tells whether the time is up.
    pub(crate) fn is_over<P: Platform>(&mut self) -> bool {
        let now_ns = P::now_ns();
        if now_ns > self.last_ns && self.looks < MAX_LOOKS {
            self.last_ns = now_ns;
            self.looks = 0;
        } else {
            self.looks = self.looks.saturating_add(1);
        }
        self.looks >= MAX_LOOKS || self.waited_ns() >= self.limit_ns
    }

    /// Waits for `more_ns` from now on at least.
    pub(crate) fn extend(&mut self, more_ns: u64) {
        self.limit_ns = self.limit_ns.max(self.waited_ns().saturating_add(more_ns));
        self.looks = 0;
    }

    /// Returns how long it has been, by the clock.
    pub(crate) fn waited_ns(&self) -> u64 {
        self.last_ns - self.start_ns
    }
}
