//! Devices that are checked now and then, or waited for.
//!
//! For programs. The one rule: a wait ends, with the device or with a panic.

use alloc::sync::Arc;

use crate::{platform::CryptoDevice, task::executor, time};

/// How often a watched device is checked.
const WATCH_NS: u64 = 100_000_000;

/// Looks at `device` ten times a second while it has requests in flight, from a task of the calling
/// CPU: one that has died says nothing by itself. That keeps the timer armed, which counted
/// instructions do not bear, so whoever opens a device asks for it.
///
/// # Panics
///
/// If the CPU has no room for a task.
pub fn watch(device: &Arc<CryptoDevice>) {
    let device = Arc::downgrade(device);
    let watch = async move {
        loop {
            time::sleep_ns(WATCH_NS).await;
            let Some(device) = device.upgrade() else {
                return;
            };
            let in_flight = device.control_stats().in_flight + device.data_stats().in_flight;
            if in_flight > 0
                && device.ended().is_none()
                && let Err(error) = device.check()
            {
                log::error!("virtio-crypto: {error}");
            }
        }
    };
    match executor::spawn(watch) {
        Ok(task) => task.detach(),
        Err(full) => panic!("no room for a watch among {} tasks", full.max),
    }
}

/// Polls `device` until nothing is in flight and `sessions` sessions are taken.
///
/// # Panics
///
/// If that is not so within `limit_ns`.
pub fn wait_until_idle(device: &CryptoDevice, sessions: usize, limit_ns: u64) {
    let end_ns = time::now_ns() + limit_ns;
    loop {
        device.poll();
        let in_flight = device.control_stats().in_flight + device.data_stats().in_flight;
        let taken = device.sessions_taken();
        if in_flight == 0 && taken == sessions {
            return;
        }
        assert!(
            time::now_ns() < end_ns,
            "{in_flight} in flight, {taken} sessions, expected {sessions}"
        );
        executor::block_on(executor::yield_now());
    }
}
