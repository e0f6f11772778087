//! What CPUs spend their time on: asleep, or with interrupts masked by one of the driver's locks.
//!
//! Only with the feature `usage`, which reads the clock on every sleep and every lock. Without it
//! nothing is counted and every figure is 0.

use core::sync::atomic::{AtomicU64, Ordering};

use crate::cpu;

const ON: bool = cfg!(feature = "usage");

/// One CPU's, in ticks of its counter.
struct Usage {
    /// When it went to sleep; 0 while it is awake.
    asleep_since: AtomicU64,
    slept: AtomicU64,
    masked_since: AtomicU64,
}

static USAGE: [Usage; cpu::MAX_CPUS] = [const {
    Usage {
        asleep_since: AtomicU64::new(0),
        slept: AtomicU64::new(0),
        masked_since: AtomicU64::new(0),
    }
}; cpu::MAX_CPUS];

static MAX_MASKED: AtomicU64 = AtomicU64::new(0);

#[inline]
fn here() -> &'static Usage {
    &USAGE[cpu::number() as usize]
}

/// The calling CPU goes to sleep.
#[inline]
pub(crate) fn fall_asleep() {
    if ON {
        here().asleep_since.store(cpu::ticks(), Ordering::Relaxed);
    }
}

/// The calling CPU is awake: at the first interrupt, whose handler is no sleep.
#[inline]
pub(crate) fn wake_up() {
    if ON {
        // Relaxed: only this CPU writes either.
        let usage = here();
        let since = usage.asleep_since.swap(0, Ordering::Relaxed);
        if since != 0 {
            let slept = cpu::ticks().saturating_sub(since);
            usage.slept.fetch_add(slept, Ordering::Relaxed);
        }
    }
}

/// A lock of the driver's masks interrupts on the calling CPU.
#[inline]
pub(crate) fn mask() {
    if ON {
        here().masked_since.store(cpu::ticks(), Ordering::Relaxed);
    }
}

/// The lock is released, and interrupts are about to be as they were.
#[inline]
pub(crate) fn unmask() {
    if ON {
        let since = here().masked_since.load(Ordering::Relaxed);
        let masked = cpu::ticks().saturating_sub(since);
        MAX_MASKED.fetch_max(masked, Ordering::Relaxed);
    }
}

/// Returns how many counter ticks all CPUs together have slept so far.
pub fn idle_ticks() -> u64 {
    let slept = |usage: &Usage| {
        // A sleep that ends between the two is left out until the next look.
        let now = match usage.asleep_since.load(Ordering::Relaxed) {
            0 => 0,
            since => cpu::ticks().saturating_sub(since),
        };
        usage.slept.load(Ordering::Relaxed) + now
    };
    USAGE.iter().map(slept).sum()
}

/// Returns the longest time since the last call that one of the driver's locks kept interrupts
/// masked, waiting for the lock included, in counter ticks.
pub fn take_max_masked_ticks() -> u64 {
    MAX_MASKED.swap(0, Ordering::Relaxed)
}
