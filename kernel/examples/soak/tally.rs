//! What has been done so far, and the line that says so.

use core::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};

use kernel::{println, time};

use crate::{SECOND_NS, place::Place};

/// How often the run says how far it has come.
const PROGRESS_NS: u64 = 5 * SECOND_NS;

/// A counter.
pub struct Count(AtomicU64);

impl Count {
    /// Makes one of nothing.
    pub const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Adds to it.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// Returns it.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

macro_rules! counts {
    ($($(#[doc = $doc:literal])* $name:ident $label:literal),* $(,)?) => {
        $($(#[doc = $doc])* pub static $name: Count = Count::new();)*
        const ALL: &[(&str, &Count)] = &[$(($label, &$name)),*];
    };
}

counts! {
    /// Requests that were answered, and whose answer was right.
    REQUESTS "requests",
    /// Bytes of data in them.
    BYTES "bytes",
    /// Sessions that were opened.
    SESSIONS "sessions",
    /// Requests without a session.
    STATELESS "stateless",
    /// Recoveries.
    RECOVERIES "recoveries",
    /// Of these, those with requests in flight.
    FORCED "forced",
    /// Queues that were reset by themselves.
    QUEUE_RESETS "queue_resets",
    /// Times that the device asked for a reset, or its hardware was away.
    AILMENTS "ailments",
    /// Devices that left.
    UNPLUGS "unplugs",
    /// Of these, those that were pulled out without a word.
    PULLED "pulled",
    /// Vectors that moved.
    MOVES "moves",
    /// Times that somebody polled.
    POLLERS "pollers",
    /// Cases that were dropped.
    DROPPED "dropped",
    /// Cases that were never polled again.
    FORGOTTEN "forgotten",
    /// Cases that a time limit cut.
    TIMEOUTS "timeouts",
    /// Cases that ended with an error that the trouble explains.
    ENDED "ended",
}

/// Unhandled interrupts of devices that have left.
pub static UNHANDLED_BEFORE: Count = Count::new();

/// Returns the interrupts that nothing accounts for, of every device that was there.
pub fn unhandled(places: &[Place]) -> u64 {
    let devices = places.iter().filter_map(Place::device);
    let now: u64 = devices
        .map(|device| device.interrupt_stats().unhandled)
        .sum();
    UNHANDLED_BEFORE.get() + now
}

/// Prints the closing line.
pub fn tell_end(
    places: &[Place],
    rounds: u32,
    beginning: impl fmt::Display,
    end: impl fmt::Display,
) {
    println!(
        "soak: pass {All}unhandled={} rounds={rounds} beginning: {beginning} end: {end}",
        unhandled(places)
    );
}

/// Has `tell` say every few seconds how far the run has come, until its end.
pub async fn tell_until(end_ns: u64, tell: impl Fn()) {
    loop {
        let left_ns = end_ns.saturating_sub(time::now_ns());
        if left_ns == 0 {
            return;
        }
        time::sleep_ns(left_ns.min(PROGRESS_NS)).await;
        tell();
    }
}

/// Prints how far the run has come.
pub fn tell_progress(places: &[Place]) {
    let s = time::now_ns() / SECOND_NS;
    println!("soak: {s} s {All}unhandled={}", unhandled(places));
}

struct All;

impl fmt::Display for All {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        ALL.iter()
            .try_for_each(|(label, count)| write!(f, "{label}={count} "))
    }
}
