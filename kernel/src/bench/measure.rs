//! What the benchmarks measure with: the words that say how much, a histogram of latencies, the
//! time that CPUs were busy, and figures with decimals.
//!
//! The one rule: a word that makes no sense ends the run, so no figure comes of a default that
//! nobody asked for.

use alloc::{sync::Arc, vec::Vec};
use core::{
    fmt,
    ops::RangeInclusive,
    sync::atomic::{AtomicU64, Ordering},
};

use crate::{
    command_line,
    cpu::{self, usage},
    crypto::{CryptoDevice, DeviceOrNone, halt_polling},
    exit, println, smp, time,
};

/// Returns the numbers of the word `key=1,2,3`, or `default`; anything else ends the run.
pub fn numbers(key: &str, default: &[u64]) -> Vec<u64> {
    let Some(text) = command_line::value(key) else {
        return default.to_vec();
    };
    let number = |text: &str| match text.parse() {
        Ok(number) => number,
        Err(_) => exit::fail(format_args!("{key}=: `{text}` is not a number")),
    };
    text.split(',').map(number).collect()
}

/// Returns the number of the word `key=1`, or `default`; anything else ends the run.
pub fn number(key: &str, default: u64) -> u64 {
    numbers(key, &[default])[0]
}

/// Like [`numbers`], each of which has to be one of `range`.
pub fn numbers_in(key: &str, default: &[u64], range: RangeInclusive<u64>) -> Vec<u64> {
    let numbers = numbers(key, default);
    if let Some(number) = numbers.iter().find(|number| !range.contains(number)) {
        let (least, most) = range.into_inner();
        exit::fail(format_args!("{key}={number}: {least} to {most}"));
    }
    numbers
}

/// Returns how many milliseconds each measurement takes, by the word `ms=`.
pub fn duration_ms(default: u64) -> u64 {
    command_line::number_in("ms", default, 1..=600_000)
}

/// Returns the device, or ends the run.
pub fn expect_device(device: DeviceOrNone) -> Arc<CryptoDevice> {
    match device {
        Ok(Some(device)) => device,
        Ok(None) => exit::fail(format_args!("no virtio-crypto device")),
        Err(error) => exit::fail(format_args!("virtio-crypto: {error}")),
    }
}

/// Returns what went well, or ends the run.
pub fn expect<T, E: fmt::Display>(outcome: Result<T, E>) -> T {
    match outcome {
        Ok(value) => value,
        Err(error) => exit::fail(format_args!("virtio-crypto: {error}")),
    }
}

/// Lets CPUs with nothing to do wait as the word `idle=` says: `halt`, which is the default, or
/// `poll` for [halt polling](halt_polling) of `device`. Returns the word.
pub fn idle_by_word(device: &Arc<CryptoDevice>) -> &'static str {
    let name = command_line::choice("idle", &["halt", "poll"]);
    if name == "poll" {
        halt_polling::enable(device.clone());
    }
    name
}

/// A quotient with two decimals.
#[derive(Clone, Copy, Debug)]
pub struct Ratio(pub u64, pub u64);

impl fmt::Display for Ratio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hundredths = u128::from(self.0) * 100 / u128::from(self.1.max(1));
        write!(f, "{}.{:02}", hundredths / 100, hundredths % 100)
    }
}

/// Nanoseconds, printed as microseconds.
#[derive(Clone, Copy, Debug)]
pub struct Micros(pub u64);

impl fmt::Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ratio(self.0, 1000).fmt(f)
    }
}

/// Parts of each power of two.
const PARTS: usize = 8;
const BUCKETS: usize = 62 * PARTS;

/// How often each latency was seen, to an eighth of a power of two.
#[derive(Debug)]
pub struct Histogram {
    buckets: [AtomicU64; BUCKETS],
    max_ns: AtomicU64,
}

impl Histogram {
    /// Makes an empty one.
    #[expect(clippy::new_without_default, reason = "for a static")]
    pub const fn new() -> Self {
        Self {
            buckets: [const { AtomicU64::new(0) }; BUCKETS],
            max_ns: AtomicU64::new(0),
        }
    }

    /// Empties it.
    pub fn clear(&self) {
        for bucket in &self.buckets {
            bucket.store(0, Ordering::Relaxed);
        }
        self.max_ns.store(0, Ordering::Relaxed);
    }

    /// Adds one.
    pub fn add(&self, latency_ns: u64) {
        self.buckets[bucket(latency_ns)].fetch_add(1, Ordering::Relaxed);
        self.max_ns.fetch_max(latency_ns, Ordering::Relaxed);
    }

    /// Returns how many have been added.
    pub fn count(&self) -> u64 {
        let counts = self.buckets.iter();
        counts.map(|bucket| bucket.load(Ordering::Relaxed)).sum()
    }

    /// Returns the largest.
    pub fn max_ns(&self) -> u64 {
        self.max_ns.load(Ordering::Relaxed)
    }

    /// Returns what `per_mille` of a thousand do not exceed, rounded up to the bucket's end.
    pub fn percentile_ns(&self, per_mille: u64) -> u64 {
        let wanted = (self.count() * per_mille).div_ceil(1000);
        let mut seen = 0;
        for (index, bucket) in self.buckets.iter().enumerate() {
            seen += bucket.load(Ordering::Relaxed);
            if seen >= wanted {
                return end(index).min(self.max_ns());
            }
        }
        self.max_ns()
    }

    /// Returns how many there are from each power of two of microseconds on to the next; the first
    /// is everything below 2.
    pub fn by_power_us(&self) -> [u64; 64] {
        let mut by_power = [0; 64];
        for (index, bucket) in self.buckets.iter().enumerate() {
            let us = end(index) / 1000;
            let power = if us == 0 { 0 } else { us.ilog2() as usize };
            by_power[power] += bucket.load(Ordering::Relaxed);
        }
        by_power
    }

    /// Prints `from->to:count`, by powers of two of microseconds.
    pub fn log2_us(&self) -> impl fmt::Display + '_ {
        Log2(self)
    }
}

fn bucket(value: u64) -> usize {
    if value < PARTS as u64 {
        return value as usize;
    }
    let exponent = value.ilog2() as usize;
    (exponent - 2) * PARTS + (value >> (exponent - 3)) as usize % PARTS
}

/// The largest value of a bucket.
fn end(bucket: usize) -> u64 {
    if bucket < PARTS {
        return bucket as u64;
    }
    let exponent = bucket / PARTS + 2;
    let start = ((PARTS + bucket % PARTS) as u64) << (exponent - 3);
    start + ((1 << (exponent - 3)) - 1)
}

struct Log2<'h>(&'h Histogram);

impl fmt::Display for Log2<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (power, count) in self.0.by_power_us().iter().enumerate() {
            if *count > 0 {
                let from = if power == 0 { 0 } else { 1u64 << power };
                write!(f, "{separator}{from}->{}:{count}", (2u64 << power) - 1)?;
                separator = ",";
            }
        }
        Ok(())
    }
}

/// The counters of a device and of the CPUs at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Counts {
    /// Nanoseconds since boot.
    pub now_ns: u64,
    /// Counter ticks since boot.
    pub ticks: u64,
    /// Counter ticks that all CPUs together have slept.
    pub idle_ticks: u64,
    /// Requests on both queues.
    pub requests: u64,
    /// Doorbells rung.
    pub kicks: u64,
    /// Polls that found a request in flight.
    pub pending_polls: u64,
    /// Interrupts of the device.
    pub interrupts: u64,
    /// Allocations from the heap.
    pub allocations: u64,
}

impl Counts {
    /// Reads them.
    pub fn read(device: &CryptoDevice) -> Self {
        let queues = [device.control_stats(), device.data_stats()];
        let interrupts = device.interrupt_stats();
        Self {
            now_ns: time::now_ns(),
            ticks: cpu::ticks(),
            idle_ticks: usage::idle_ticks(),
            requests: queues.iter().map(|queue| queue.submitted).sum(),
            kicks: queues.iter().map(|queue| queue.kicks).sum(),
            pending_polls: queues.iter().map(|queue| queue.pending_polls).sum(),
            interrupts: interrupts.total(),
            allocations: crate::memory::heap::allocations(),
        }
    }

    /// Returns what has come since `before`.
    pub fn since(&self, before: &Self) -> Self {
        Self {
            now_ns: self.now_ns - before.now_ns,
            ticks: self.ticks - before.ticks,
            idle_ticks: self.idle_ticks - before.idle_ticks,
            requests: self.requests - before.requests,
            kicks: self.kicks - before.kicks,
            pending_polls: self.pending_polls - before.pending_polls,
            interrupts: self.interrupts - before.interrupts,
            allocations: self.allocations - before.allocations,
        }
    }

    /// Returns how busy the CPUs were, of 100 for each of them.
    pub fn cpu_percent(&self) -> u64 {
        let all = self.ticks * u64::from(smp::online());
        (all.saturating_sub(self.idle_ticks) * 100) / self.ticks.max(1)
    }
}

/// Tells the host, by the console, that the measured time begins or ends, or that there is
/// something to compare clocks by (`clock`), and what time it is here.
pub fn mark(what: &str) {
    println!("measure: {what} at_ns={}", time::now_ns());
}
