//! What has been done so far, and the line that says so.

use core::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
};

use kernel::{crypto, println, sync::SpinLock, time};

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

/// Prints what is known of interrupts that nothing accounts for: which they were, what the queues
/// have published and are owed, and what was done to the devices before.
pub fn tell_unhandled(places: &[Place]) {
    let ms = |ns: u64| ns / 1_000_000;
    for one in crypto::unhandled() {
        let is_its = |place: &&Place| place.device().is_some_and(|device| one.is_of(&device));
        // None for one that has left.
        let device = places.iter().find(is_its).map(|place| place.number);
        println!(
            "soak: unhandled: device={device:?} entry={} cpu={} at {} ms",
            one.entry.0,
            one.cpu,
            ms(one.at_ns)
        );
    }
    for place in places {
        let Some(device) = place.device() else {
            continue;
        };
        let number = place.number;
        println!("soak: device={number} {:?}", device.interrupt_stats());
        for queue in 0..device.data_queues() {
            let stats = device.data_queue_stats(queue);
            println!("soak: device={number} queue={queue} {stats:?}");
        }
        println!("soak: device={number} control {:?}", device.control_stats());
    }
    let history = HISTORY.with(|history| *history);
    for (at_ns, device, what) in history.into_iter().flatten() {
        println!("soak: {what} device={device} at {} ms", ms(at_ns));
    }
}

/// What was done to devices lately: when it began, to which, and what.
type Done = Option<(u64, usize, &'static str)>;
static HISTORY: SpinLock<[Done; 24]> = SpinLock::new("history", [None; 24]);

/// Takes note that something begins to be done to a device, until the first interrupt that nothing
/// accounts for.
pub fn note(device: usize, what: &'static str) {
    if crypto::unhandled().next().is_some() {
        return;
    }
    let now_ns = time::now_ns();
    HISTORY.with(|history| {
        history.rotate_left(1);
        if let Some(last) = history.last_mut() {
            *last = Some((now_ns, device, what));
        }
    });
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
