//! A time limit for loops that read registers or rings.
//!
//! The one rule: it ends, whatever the clock does.

use crate::Platform;

/// So many readings of a clock that does not go forward end the wait: seconds where a register is
/// read each time, too, and many times what a coarse clock takes to its next tick.
const MAX_READINGS: u32 = if cfg!(any(fuzzed, test)) {
    1 << 14
} else {
    1 << 22
};

/// When a loop stops waiting.
#[derive(Debug)]
pub(crate) struct Deadline {
    start_ns: u64,
    limit_ns: u64,
    /// The latest time seen.
    last_ns: u64,
    /// Readings since then.
    readings: u32,
}

impl Deadline {
    /// Begins to wait for `limit_ns` at most.
    pub(crate) fn after<P: Platform>(limit_ns: u64) -> Self {
        let start_ns = P::now_ns();
        Self {
            start_ns,
            limit_ns,
            last_ns: start_ns,
            readings: 0,
        }
    }

    /// Tells whether the time is up.
    pub(crate) fn is_over<P: Platform>(&mut self) -> bool {
        let now_ns = P::now_ns();
        if now_ns > self.last_ns && self.readings < MAX_READINGS {
            self.last_ns = now_ns;
            self.readings = 0;
        } else {
            self.readings = self.readings.saturating_add(1);
        }
        self.readings >= MAX_READINGS || self.waited_ns() >= self.limit_ns
    }

    /// Waits for `more_ns` from now on at least.
    pub(crate) fn extend(&mut self, more_ns: u64) {
        self.limit_ns = self.limit_ns.max(self.waited_ns().saturating_add(more_ns));
        self.readings = 0;
    }

    /// Returns how long it has been, by the clock.
    pub(crate) fn waited_ns(&self) -> u64 {
        self.last_ns - self.start_ns
    }
}
