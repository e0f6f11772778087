//! Load: a thousand callers wait for the slots of one queue. How long each waits, in which order
//! they are served, and how often each is.
//!
//! # Order
//!
//! A caller has *joined* the line when the first poll of its request has returned. It is *served*
//! when a slot is handed to it, which wakes it. The slot is handed over by a caller on some CPU,
//! within a poll of that one's. So what is known for certain is this: one that had joined before
//! another began to, and that was woken within a poll that began after the other was woken, was
//! served later than that one. Such a pair is an inversion, and there may be none. What cannot be
//! told apart is counted as unclear: both were woken by CPUs at work at the same moment.

use alloc::{sync::Arc, task::Wake, vec::Vec};
use core::{
    future::poll_fn,
    pin::pin,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    task::{Context, Poll, Waker},
};

use kernel::{
    bench::measure::Histogram,
    cpu,
    crypto::{self, CryptoDevice},
    exit,
    platform::KernelPlatform,
    println, smp,
    task::executor,
    time,
};
use spin::Once;
use virtio_crypto::{Cipher, CipherAlgorithm, Direction};

use crate::{SECOND_NS, case, oracle, place::Place, spawn_on, tally};

/// Callers. Each is a task; every CPU has its share of them.
const CALLERS: u32 = 1024;
const KEY: [u8; 16] = [0x3c; 16];
const IV: [u8; 16] = [0x71; 16];
const LEN_BYTES: usize = 64;
/// Nobody waits longer.
const LIMIT_NS: u64 = 60 * SECOND_NS;

/// Orders what happens, on whatever CPU.
static CLOCK: AtomicU64 = AtomicU64::new(1);
/// The latest time at which any of those served so far began to join.
static LAST_SERVED: AtomicU64 = AtomicU64::new(0);
/// By CPU: what [`LAST_SERVED`] was when the poll began that is going on there.
static AT_POLL: [AtomicU64; cpu::MAX_CPUS] = [const { AtomicU64::new(0) }; cpu::MAX_CPUS];
static WAITS: Histogram = Histogram::new();
static SERVED: AtomicU64 = AtomicU64::new(0);
/// Of these, those that had to wait for a slot.
static QUEUED: AtomicU64 = AtomicU64::new(0);
static INVERSIONS: AtomicU64 = AtomicU64::new(0);
static UNCLEAR: AtomicU64 = AtomicU64::new(0);

fn tick() -> u64 {
    CLOCK.fetch_add(1, Ordering::SeqCst)
}

/// A request's place in the line, as far as its caller can know it: what wakes the caller's task.
/// Each request has its own, since a wake of the one before may come late.
struct Turn {
    task: Waker,
    /// When it began to join, and when it had.
    joins_at: u64,
    joined_at: AtomicU64,
    /// It has been woken since then.
    is_woken: AtomicBool,
    /// Whom it was certainly, or perhaps, served behind: when they began to join.
    certainly_behind: AtomicU64,
    perhaps_behind: AtomicU64,
}

impl Wake for Turn {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.is_woken.swap(true, Ordering::SeqCst) {
            let at_poll = AT_POLL[cpu::number() as usize].load(Ordering::SeqCst);
            let last = LAST_SERVED.fetch_max(self.joins_at, Ordering::SeqCst);
            self.certainly_behind.store(at_poll, Ordering::SeqCst);
            self.perhaps_behind.store(last, Ordering::SeqCst);
        }
        self.task.wake_by_ref();
    }
}

impl Turn {
    /// Polls a request of the calling task's to its end, and judges when it was served.
    async fn serve<T>(request: impl Future<Output = T>) -> T {
        let turn = Arc::new(Self {
            task: own_waker().await,
            joins_at: tick(),
            joined_at: AtomicU64::new(u64::MAX),
            is_woken: AtomicBool::new(false),
            certainly_behind: AtomicU64::new(0),
            perhaps_behind: AtomicU64::new(0),
        });
        let waker = Waker::from(turn.clone());
        let mut request = pin!(request);
        let (mut is_first, mut was_woken) = (true, false);
        poll_fn(|_| {
            let last = LAST_SERVED.load(Ordering::SeqCst);
            AT_POLL[cpu::number() as usize].store(last, Ordering::SeqCst);
            let is_woken = turn.is_woken.load(Ordering::SeqCst);
            let outcome = request.as_mut().poll(&mut Context::from_waker(&waker));
            if is_first {
                is_first = false;
                turn.joined_at.store(tick(), Ordering::SeqCst);
            } else if is_woken && !was_woken && outcome.is_pending() {
                // What woke it was a slot, and no answer.
                turn.judge();
            }
            was_woken |= is_woken;
            outcome
        })
        .await
    }

    fn judge(&self) {
        let joined_at = self.joined_at.load(Ordering::SeqCst);
        QUEUED.fetch_add(1, Ordering::Relaxed);
        if self.certainly_behind.load(Ordering::SeqCst) > joined_at {
            INVERSIONS.fetch_add(1, Ordering::Relaxed);
        } else if self.perhaps_behind.load(Ordering::SeqCst) > joined_at {
            UNCLEAR.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Returns the waker of the task that asks.
async fn own_waker() -> Waker {
    poll_fn(|context| Poll::Ready(context.waker().clone())).await
}

/// What every request has to give.
fn expected() -> &'static [u8] {
    static EXPECTED: Once<Vec<u8>> = Once::new();
    EXPECTED.call_once(|| {
        let mut data = Vec::from([0; LEN_BYTES]);
        let (algorithm, direction) = (CipherAlgorithm::AesCbc, Direction::Encrypt);
        oracle::transform(algorithm, direction, &KEY, &IV, &mut data);
        data
    })
}

/// Asks again and again. Returns how often it was served.
async fn call(session: Arc<Cipher<KernelPlatform>>, end_ns: u64) -> u64 {
    let mut served = 0;
    while time::now_ns() < end_ns {
        let start_ns = time::now_ns();
        let mut data = [0; LEN_BYTES];
        let outcome = Turn::serve(session.process_slice(&IV, &mut data)).await;
        assert_eq!(outcome, Ok(()));
        case::check("load", &data, expected());
        let waited_ns = time::now_ns() - start_ns;
        assert!(waited_ns < LIMIT_NS, "a caller waited {waited_ns} ns");
        WAITS.add(waited_ns);
        SERVED.fetch_add(1, Ordering::Relaxed);
        served += 1;
    }
    served
}

fn tell(what: &str, device: &CryptoDevice) {
    let us = |ns: u64| ns / 1000;
    println!(
        "{what} callers={CALLERS} requests={} queued={} inversions={} unclear={} \
         wait_us_50={} wait_us_90={} wait_us_99={} wait_us_99_9={} wait_us_longest={} \
         in_flight={} unhandled={}",
        SERVED.load(Ordering::Relaxed),
        QUEUED.load(Ordering::Relaxed),
        INVERSIONS.load(Ordering::Relaxed),
        UNCLEAR.load(Ordering::Relaxed),
        us(WAITS.percentile_ns(500)),
        us(WAITS.percentile_ns(900)),
        us(WAITS.percentile_ns(990)),
        us(WAITS.percentile_ns(999)),
        us(WAITS.max_ns()),
        device.data_stats().in_flight,
        device.interrupt_stats().unhandled,
    );
}

/// Has the callers wait for the slots of a device until the time is up, and judges how they fared.
pub fn run(place: &Place, end_ns: u64) {
    let Some(device) = place.device() else {
        exit::fail(format_args!("no device"));
    };
    let (algorithm, direction) = (CipherAlgorithm::AesCbc, Direction::Encrypt);
    let open = Cipher::open(&device, algorithm, direction, &KEY);
    let session = match executor::block_on(open) {
        Ok(session) => Arc::new(session),
        Err(error) => exit::fail(format_args!("a session: {error}")),
    };
    println!(
        "soak: load queues={} cpus={}",
        device.data_queues(),
        smp::online()
    );
    let calls: Vec<_> = (0..CALLERS)
        .map(|caller| {
            let call = call(session.clone(), end_ns);
            spawn_on(caller % smp::online(), call)
        })
        .collect();
    executor::block_on(tally::tell_until(end_ns, || tell("soak: load", &device)));
    let served = executor::block_on(crypto::join_all(calls));
    drop(session);
    crypto::wait_until_idle(&device, 0, LIMIT_NS);

    let least = served.iter().copied().min().unwrap_or(0);
    let most = served.iter().copied().max().unwrap_or(0);
    let inversions = INVERSIONS.load(Ordering::Relaxed);
    if inversions > 0 {
        exit::fail(format_args!(
            "expected callers to be served in the order in which they joined, got {inversions} \
             inversions"
        ));
    }
    // Between two turns a caller waits for its CPU, which the host may not run.
    if 3 * least < most {
        exit::fail(format_args!(
            "expected callers to be served about equally often, got {least} to {most} times"
        ));
    }
    let unhandled = device.interrupt_stats().unhandled;
    if unhandled > 0 || QUEUED.load(Ordering::Relaxed) == 0 {
        exit::fail(format_args!(
            "{unhandled} unhandled interrupts, or nobody waited"
        ));
    }
    println!("soak: load served_least={least} served_most={most}");
    tell("soak: load pass", &device);
    println!("soak: pass");
}
