//! Counts of what a device has done.
//!
//! For the line at its end, and for tests that compare them with a driver's. The one rule: counts
//! order nothing.

use std::{
    fmt::Write,
    sync::atomic::{AtomicU64, Ordering},
};

/// Counts.
#[derive(Debug)]
pub struct Stats {
    requests: Vec<AtomicU64>,
    kicks: Vec<AtomicU64>,
    messages: Vec<AtomicU64>,
    unready: AtomicU64,
    needs_reset: AtomicU64,
}

impl Stats {
    /// Counts nothing yet.
    pub fn new(queues: u16, vectors: u16) -> Self {
        let zeros = |count: u16| (0..count).map(|_| AtomicU64::new(0)).collect();
        Self {
            requests: zeros(queues),
            kicks: zeros(queues),
            messages: zeros(vectors),
            unready: AtomicU64::new(0),
            needs_reset: AtomicU64::new(0),
        }
    }

    /// Counts a request, and one that came although HW_READY was clear.
    pub fn count_request(&self, queue: u16, is_ready: bool) {
        count(&self.requests, queue);
        if !is_ready {
            self.unready.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub fn count_kick(&self, queue: u16) {
        count(&self.kicks, queue);
    }

    pub fn count_message(&self, vector: u16) {
        count(&self.messages, vector);
    }

    pub fn count_needs_reset(&self) {
        self.needs_reset.fetch_add(1, Ordering::Relaxed);
    }

    /// Says them in one line: by queue, the control queue last, and by vector.
    pub fn line(&self) -> String {
        let mut line = String::from("device:");
        let lists = [
            ("requests", &self.requests),
            ("kicks", &self.kicks),
            ("interrupts", &self.messages),
        ];
        for (name, counts) in lists {
            let counts: Vec<_> = counts.iter().map(|it| load(it).to_string()).collect();
            // A string takes all that is written to it.
            let _ = write!(line, " {name}={}", counts.join(","));
        }
        let (unready, needs_reset) = (load(&self.unready), load(&self.needs_reset));
        let _ = write!(line, " unready={unready} needs_reset={needs_reset}");
        line
    }
}

fn count(counts: &[AtomicU64], index: u16) {
    if let Some(counter) = counts.get(usize::from(index)) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

fn load(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}
