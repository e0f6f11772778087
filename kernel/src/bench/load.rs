//! What the benchmarks put on a device: tasks that do the same thing again and again, counted for a
//! time.
//!
//! For the benchmarks and the demonstration. The one rule: nothing counts before the tasks have
//! come up, nor after the end has been told.

use alloc::vec::Vec;
use core::{
    future::Future,
    sync::atomic::{AtomicBool, Ordering},
};

use crate::{
    bench::measure::{self, Counts, Histogram},
    cpu::usage,
    crypto::CryptoDevice,
    exit,
    task::executor,
    time,
};

/// Tasks come up for this long before they are counted.
const WARM_UP_NS: u64 = 50_000_000;

/// Called when the measured time begins (`begin`) and when it ends (`end`).
pub type Mark = fn(&str);

/// A load, for a static.
#[derive(Debug)]
pub struct Load {
    /// How long each thing took that was done while they were counted.
    pub latencies: Histogram,
    is_counted: AtomicBool,
    is_over: AtomicBool,
}

/// What happened while they were counted.
#[derive(Clone, Copy, Debug)]
pub struct Measured {
    /// By the device and the CPUs.
    pub counts: Counts,
    /// The longest that one of the driver's locks kept interrupts masked.
    pub max_masked_ns: u64,
    /// Things done a second.
    pub per_s: u64,
}

impl Load {
    /// Makes one.
    #[expect(clippy::new_without_default, reason = "for a static")]
    pub const fn new() -> Self {
        Self {
            latencies: Histogram::new(),
            is_counted: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
        }
    }

    /// Tells a task to end.
    pub fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    /// Tells whether what is done now counts.
    pub fn is_counted(&self) -> bool {
        self.is_counted.load(Ordering::Relaxed)
    }

    /// Counts something that began at `start_ns` and is done.
    pub fn done(&self, start_ns: u64) {
        if self.is_counted() {
            self.latencies.add(time::now_ns() - start_ns);
        }
    }

    /// Runs tasks on their CPUs until [`is_over`](Self::is_over) and counts them for `ms`
    /// milliseconds. The mark is told when that begins and ends.
    pub async fn run<F>(
        &self,
        device: &CryptoDevice,
        ms: u64,
        tasks: impl Iterator<Item = (u32, F)>,
    ) -> Measured
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.run_marked(device, ms, measure::mark, tasks).await
    }

    /// Like [`run`](Self::run), and calls `mark` when the measured time begins and ends.
    pub async fn run_marked<F>(
        &self,
        device: &CryptoDevice,
        ms: u64,
        mark: Mark,
        tasks: impl Iterator<Item = (u32, F)>,
    ) -> Measured
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.latencies.clear();
        self.is_over.store(false, Ordering::Relaxed);
        let tasks: Vec<_> = tasks
            .map(|(cpu, task)| executor::spawn_on(cpu, task))
            .collect();

        time::sleep_ns(WARM_UP_NS).await;
        mark("begin");
        usage::take_max_masked_ticks();
        let before = Counts::read(device);
        self.is_counted.store(true, Ordering::Relaxed);
        time::sleep_ns(ms * 1_000_000).await;
        self.is_counted.store(false, Ordering::Relaxed);
        let counts = Counts::read(device).since(&before);
        let max_masked_ticks = u128::from(usage::take_max_masked_ticks());
        mark("end");

        self.is_over.store(true, Ordering::Relaxed);
        let count = tasks.len();
        for task in tasks {
            match task {
                Ok(task) => task.await,
                Err(error) => exit::fail(format_args!("{count} tasks: {error:?}")),
            }
        }
        let done = u128::from(self.latencies.count());
        Measured {
            counts,
            max_masked_ns: (max_masked_ticks * 1_000_000_000 / u128::from(time::tsc_hz().max(1)))
                as u64,
            per_s: (done * 1_000_000_000 / u128::from(counts.now_ns.max(1))) as u64,
        }
    }
}
