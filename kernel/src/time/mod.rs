//! The clock (the TSC) and the timer (the local APIC's), whose rates
//! [`mod@calibration`] finds out.
//!
//! For tasks that sleep, for time limits and for the watchdog. The one rule: there is no tick, the
//! timer is armed for the earliest deadline, if there is one.

pub mod calibration;
pub mod references;

use alloc::vec::Vec;
use core::{
    future::Future,
    pin::Pin,
    sync::atomic::{AtomicU64, Ordering},
    task::{Context, Poll, Waker},
};

use spin::Once;
use x86_64::instructions::interrupts::without_interrupts;

use crate::{
    bus::acpi::Tables,
    cpu, exit,
    interrupts::{apic, idt},
    sync::SpinLock,
    time::{
        calibration::{Calibration, NoClock},
        references::Counter,
    },
};

const NS_PER_S: u64 = 1_000_000_000;

static BOOT_TSC: AtomicU64 = AtomicU64::new(0);
/// Nanoseconds of a TSC tick, times 2^32; 0 before `init`.
static NS_PER_TICK: AtomicU64 = AtomicU64::new(0);
static TIMER_HZ: AtomicU64 = AtomicU64::new(0);
static CALIBRATION: Once<Calibration> = Once::new();

struct Timers {
    sleepers: Vec<Sleeper>,
    /// The next sleeper's number.
    next: u64,
    watchdog_ns: Option<u64>,
}

/// A task that sleeps.
struct Sleeper {
    deadline_ns: u64,
    number: u64,
    waker: Waker,
}

static TIMERS: SpinLock<Timers> = SpinLock::new(
    "timers",
    Timers {
        sleepers: Vec::new(),
        next: 0,
        watchdog_ns: None,
    },
);

/// Returns nanoseconds since boot.
#[inline]
pub fn now_ns() -> u64 {
    let ticks = cpu::ticks().wrapping_sub(BOOT_TSC.load(Ordering::Relaxed));
    let scaled = u128::from(ticks) * u128::from(NS_PER_TICK.load(Ordering::Relaxed));
    (scaled >> 32) as u64
}

/// Lets `duration_ns` pass.
///
/// Without `pause`: under TCG that takes QEMU's global lock, which the device works under.
pub fn spin_ns(duration_ns: u64) {
    let end_ns = now_ns().saturating_add(duration_ns);
    while now_ns() < end_ns {}
}

/// Returns the rate of the TSC.
pub fn tsc_hz() -> u64 {
    match NS_PER_TICK.load(Ordering::Relaxed) {
        0 => 0,
        scale => (u128::from(NS_PER_S) << 32).div_ceil(u128::from(scale)) as u64,
    }
}

/// Finds out both rates, and takes over the timer, with room for so many sleepers at one time; one
/// more is woken at once and has to try again.
///
/// # Errors
///
/// [`NoClock`] when there is nothing to go by.
pub fn init(tables: &Tables, max_sleepers: usize) -> Result<(), NoClock> {
    let counters = Counter::all(tables);
    let found = without_interrupts(|| calibration::calibrate(counters))?;
    BOOT_TSC.store(cpu::ticks(), Ordering::Relaxed);
    let ns_per_tick = (u128::from(NS_PER_S) << 32) / u128::from(found.tsc_hz.max(1));
    NS_PER_TICK.store(ns_per_tick as u64, Ordering::Relaxed);
    TIMER_HZ.store(found.timer_hz, Ordering::Relaxed);
    CALIBRATION.call_once(|| found);
    let room = Vec::with_capacity(max_sleepers);
    TIMERS.with(|timers| timers.sleepers = room);
    idt::set_handler(apic::TIMER_VECTOR, on_timer);
    idt::set_handler(apic::ERROR_VECTOR, |_| {
        log::error!("local APIC errors {:#x}", apic::take_errors());
    });
    Ok(())
}

/// Returns what the clock goes by.
pub fn calibration() -> Option<&'static Calibration> {
    CALIBRATION.get()
}

/// Arms the timer for `deadline_ns`, or stops it.
fn arm(deadline_ns: Option<u64>) {
    let Some(deadline_ns) = deadline_ns else {
        return apic::start_timer(0);
    };
    let delay_ns = deadline_ns.saturating_sub(now_ns());
    let ticks = u128::from(delay_ns) * u128::from(TIMER_HZ.load(Ordering::Relaxed));
    // A deadline beyond the timer's reach comes in several goes.
    let count = (ticks / u128::from(NS_PER_S)).clamp(1, u128::from(u32::MAX)) as u32;
    apic::start_timer(count);
}

impl Timers {
    fn earliest(&self) -> Option<u64> {
        let sleepers = self.sleepers.iter().map(|sleeper| sleeper.deadline_ns);
        sleepers.chain(self.watchdog_ns).min()
    }
}

fn on_timer(_vector: u8) {
    let now_ns = now_ns();
    let watchdog = TIMERS.with(|timers| timers.watchdog_ns.is_some_and(|at_ns| at_ns <= now_ns));
    if watchdog {
        exit::fail(format_args!("no end in time, says the watchdog"));
    }
    loop {
        // One at a time: woken without the lock, and nothing is allocated to collect them.
        let due = TIMERS.with(|timers| {
            let due = timers
                .sleepers
                .iter()
                .position(|sleeper| sleeper.deadline_ns <= now_ns);
            due.map(|position| timers.sleepers.swap_remove(position))
        });
        match due {
            Some(sleeper) => sleeper.waker.wake(),
            None => break,
        }
    }
    arm(TIMERS.with(|timers| timers.earliest()));
}

/// Sets or stops the watchdog: at `deadline_ns` the run ends as failed.
pub fn set_watchdog(deadline_ns: Option<u64>) {
    let earliest = TIMERS.with(|timers| {
        timers.watchdog_ns = deadline_ns;
        timers.earliest()
    });
    without_interrupts(|| arm(earliest));
}

/// Waits until a time.
///
/// # Cancellation
///
/// Dropped, nothing is woken at that time.
#[derive(Debug)]
pub struct Sleep {
    deadline_ns: u64,
    /// Its number among the sleepers, once it is one of them.
    number: Option<u64>,
}

/// Waits for `duration_ns`.
pub fn sleep_ns(duration_ns: u64) -> Sleep {
    Sleep {
        deadline_ns: now_ns().saturating_add(duration_ns),
        number: None,
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if now_ns() >= self.deadline_ns {
            return Poll::Ready(());
        }
        let mut waker = Some(context.waker().clone());
        if let Some(number) = self.number {
            // Another task may have come to wait; the waker kept before is dropped without the
            // lock.
            let is_kept = TIMERS.with(|timers| {
                let mut sleepers = timers.sleepers.iter_mut();
                let own = sleepers.find(|sleeper| sleeper.number == number);
                match (own, &mut waker) {
                    (Some(own), Some(waker)) => {
                        core::mem::swap(&mut own.waker, waker);
                        true
                    }
                    _ => false,
                }
            });
            if is_kept {
                return Poll::Pending;
            }
            // Woken by a CPU whose clock is a little ahead of this one's: it goes to sleep once
            // more.
        }
        let deadline_ns = self.deadline_ns;
        let (number, earliest) = TIMERS.with(|timers| {
            let number = timers.next;
            if timers.sleepers.len() < timers.sleepers.capacity()
                && let Some(waker) = waker.take()
            {
                timers.next += 1;
                timers.sleepers.push(Sleeper {
                    deadline_ns,
                    number,
                    waker,
                });
            }
            (number, timers.earliest())
        });
        match waker {
            Some(waker) => waker.wake(),
            None => {
                self.number = Some(number);
                without_interrupts(|| arm(earliest));
            }
        }
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        let Some(number) = self.number else { return };
        // The timer is left as it is: it finds nobody, and is armed for the next one then.
        let sleeper = TIMERS.with(|timers| {
            let mut sleepers = timers.sleepers.iter();
            let position = sleepers.position(|sleeper| sleeper.number == number);
            position.map(|position| timers.sleepers.swap_remove(position))
        });
        // Its waker is dropped without the lock: it may be the last of its task.
        drop(sleeper);
    }
}

/// The time was up first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimedOut;

/// Runs `future` for at most `duration_ns`, then drops it.
///
/// # Errors
///
/// [`TimedOut`] when the time was up first.
pub async fn timeout<F: Future>(duration_ns: u64, future: F) -> Result<F::Output, TimedOut> {
    let mut future = core::pin::pin!(future);
    let mut sleep = sleep_ns(duration_ns);
    core::future::poll_fn(|context| {
        if let Poll::Ready(output) = future.as_mut().poll(context) {
            return Poll::Ready(Ok(output));
        }
        Pin::new(&mut sleep).poll(context).map(|()| Err(TimedOut))
    })
    .await
}
