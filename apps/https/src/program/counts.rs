//! What is counted while the server runs.

use core::sync::atomic::{AtomicU64, Ordering};

use common::net::Network;
use https::pages::{Figures, Latency};
use kernel::{
    bench::measure::Histogram,
    cpu::{self, MAX_CPUS},
    crypto::CryptoDevice,
    memory::heap,
    smp, time,
};

/// A counter.
pub struct Count(AtomicU64);

impl Count {
    const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Adds one.
    pub fn add_one(&self) {
        self.add(1);
    }

    /// Adds some.
    pub fn add(&self, number: u64) {
        self.0.fetch_add(number, Ordering::Relaxed);
    }

    /// One less.
    pub fn take_one(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    /// Keeps the largest.
    pub fn at_least(&self, number: u64) {
        self.0.fetch_max(number, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How long something took.
pub struct Timing {
    histogram: Histogram,
    sum_ns: Count,
}

impl Timing {
    const fn new() -> Self {
        Self {
            histogram: Histogram::new(),
            sum_ns: Count::new(),
        }
    }

    /// Adds what has begun at `start_ns` and ends now.
    pub fn add_since(&self, start_ns: u64) {
        let took_ns = time::now_ns().saturating_sub(start_ns);
        self.histogram.add(took_ns);
        self.sum_ns.add(took_ns);
    }

    fn get(&self) -> Latency {
        let per_mille = |per_mille| self.histogram.percentile_ns(per_mille);
        Latency {
            count: self.histogram.count(),
            sum_ns: self.sum_ns.get(),
            p50_ns: per_mille(500),
            p90_ns: per_mille(900),
            p99_ns: per_mille(990),
            max_ns: self.histogram.max_ns(),
        }
    }
}

/// All counters.
pub struct Counts {
    pub connections_open: Count,
    pub connections: Count,
    pub timeouts: Count,
    /// By CPU.
    handshakes: [Count; MAX_CPUS],
    pub handshakes_resumed: Count,
    pub connections_failed: Count,
    pub requests: Count,
    pub requests_refused: Count,
    pub body_bytes: Count,
    pub signatures: Count,
    pub signatures_failed: Count,
    pub signatures_repeated: Count,
    pub most_in_flight: Count,
    pub recoveries: Count,
    pub handshake: Timing,
    pub signature: Timing,
}

/// Those of this program.
pub static COUNTS: Counts = Counts {
    connections_open: Count::new(),
    connections: Count::new(),
    timeouts: Count::new(),
    handshakes: [const { Count::new() }; MAX_CPUS],
    handshakes_resumed: Count::new(),
    connections_failed: Count::new(),
    requests: Count::new(),
    requests_refused: Count::new(),
    body_bytes: Count::new(),
    signatures: Count::new(),
    signatures_failed: Count::new(),
    signatures_repeated: Count::new(),
    most_in_flight: Count::new(),
    recoveries: Count::new(),
    handshake: Timing::new(),
    signature: Timing::new(),
};

impl Counts {
    /// One handshake more on this CPU.
    pub fn add_handshake(&self) {
        self.handshakes[cpu::number() as usize].add_one();
    }
}

/// Reads them all, and what the devices have counted.
pub fn figures(network: Network, device: Option<&CryptoDevice>) -> Figures {
    let net = network.stats();
    let queue = device.map(CryptoDevice::data_stats).unwrap_or_default();
    let interrupts = device
        .map(CryptoDevice::interrupt_stats)
        .unwrap_or_default();
    let handshakes = || {
        let by_cpu = COUNTS.handshakes.iter().map(Count::get);
        by_cpu.take(smp::online() as usize)
    };
    Figures {
        uptime_ms: time::now_ns() / 1_000_000,
        connections_open: COUNTS.connections_open.get(),
        connections: COUNTS.connections.get(),
        timeouts: COUNTS.timeouts.get(),
        handshakes: handshakes().sum(),
        handshakes_of_least_cpu: handshakes().min().unwrap_or(0),
        handshakes_resumed: COUNTS.handshakes_resumed.get(),
        connections_failed: COUNTS.connections_failed.get(),
        requests: COUNTS.requests.get(),
        requests_refused: COUNTS.requests_refused.get(),
        body_bytes: COUNTS.body_bytes.get(),
        signatures: COUNTS.signatures.get(),
        signatures_failed: COUNTS.signatures_failed.get(),
        signatures_repeated: COUNTS.signatures_repeated.get(),
        signatures_in_flight: queue.in_flight.into(),
        signatures_in_flight_max: COUNTS.most_in_flight.get(),
        device_requests: queue.completed,
        device_kicks: queue.kicks,
        device_interrupts_handled: interrupts.handled,
        device_interrupts_drained: interrupts.already_drained,
        device_interrupts_unhandled: interrupts.unhandled,
        device_recoveries: COUNTS.recoveries.get(),
        frames_in: net.frames_in,
        frames_out: net.frames_out,
        net_interrupts: net.interrupts,
        net_busy_ms: net.busy_ns / 1_000_000,
        heap_bytes: heap::used_bytes() as u64,
        handshake: COUNTS.handshake.get(),
        signature: COUNTS.signature.get(),
    }
}
