//! Resets the crypto device while it is used, on purpose.

use alloc::sync::Arc;

use async_task::Task;
use kernel::{command_line, crypto::CryptoDevice, println, task::executor, time};

use super::ending::{expect, fail};

/// How long the device is used between two resets.
const PAUSE_NS: u64 = 20_000_000;

/// A task that recovers the device.
pub struct Recovering(Option<Task<()>>);

/// Returns how often the word `recover=` asks for it.
pub fn asked() -> u64 {
    command_line::number_in("recover", 0, 0..=100)
}

/// Begins, so many times.
pub fn begin(device: &Arc<CryptoDevice>, times: u64) -> Recovering {
    if times == 0 {
        return Recovering(None);
    }
    let device = device.clone();
    let task = executor::spawn(async move {
        let mut in_flight = 0;
        for _ in 0..times {
            time::sleep_ns(PAUSE_NS).await;
            // No time to end: what is in flight fails.
            match device.recover(0) {
                Ok(report) => in_flight += report.in_flight,
                Err(error) => fail(format_args!("recovery: {error}")),
            }
        }
        println!("luks: recovered={times} in_flight={in_flight}");
    });
    Recovering(Some(expect(task.map_err(|_| "no room for a task"))))
}

impl Recovering {
    /// Waits for the last one.
    pub async fn end(self) {
        if let Some(task) = self.0 {
            task.await;
        }
    }
}
