//! Workers that open and close sessions: the load of Linux commit 977231e8d4 ("virtio-crypto: wait
//! ctrl queue instead of busy polling"), for the benchmark and for the demonstration.
//!
//! The driver is the same in every [`Mode`]; its own lock is held for adding alone. What differs is
//! a lock of the workers' own around each request, and how they wait for its answer.

use alloc::{collections::VecDeque, sync::Arc, vec::Vec};
use core::{
    future::poll_fn,
    ops::ControlFlow,
    sync::atomic::{AtomicU64, Ordering},
    task::{Poll, Waker},
};

use virtio_crypto::{Cipher, CipherAlgorithm, Direction, Error, InterruptMode, sync::IrqMutex};

use crate::{
    bench::{
        load::{Load, Mark, Measured},
        measure,
    },
    crypto::{self, CryptoDevice},
    platform::KernelPlatform,
    task::executor,
    time,
};

const KEY: [u8; 16] = [7; 16];
/// Rounds after which a worker gives the CPU's other tasks a turn.
const TURN: u32 = 64;

/// What workers do with a lock of their own, and how they wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Held until the answer; spins on the ring.
    Poll,
    /// Held until the answer; sleeps until it is woken.
    HeldSleep,
    /// None; spins on the ring, the CPU's workers in turn. For a device without interrupts.
    ReleasedSpin,
    /// None; sleeps until it is woken.
    Wait,
}

impl Mode {
    fn holds(self) -> bool {
        matches!(self, Self::Poll | Self::HeldSleep)
    }

    /// Tells whether workers spin on the ring, and so need no interrupts.
    pub fn spins(self) -> bool {
        matches!(self, Self::Poll | Self::ReleasedSpin)
    }
}

/// The workers: how they work, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// How workers treat the queue.
    pub mode: Mode,
    /// How many there are. Worker *n* stays on CPU *n* modulo `cpus`.
    pub workers: u64,
    /// CPUs that they work on.
    pub cpus: u64,
    /// Sessions that a worker opens with one kick, and closes with one.
    pub batch: u64,
    /// How long they are counted.
    pub ms: u64,
    /// Called when that begins and when it ends.
    pub mark: Mark,
}

static LOAD: Load = Load::new();
static MAX_HOLD_NS: AtomicU64 = AtomicU64::new(0);

/// Returns the load of the last [`run`], with its latencies. One control request is one thing done.
pub fn load() -> &'static Load {
    &LOAD
}

/// The lock of [`Mode::Poll`]: a worker that waits for it spins, too. It is fair, as Linux's are:
/// without order one CPU takes it again and again, and another may wait for seconds.
static SPINLOCK: spin::mutex::TicketMutex<()> = spin::mutex::TicketMutex::new(());
/// The lock of [`Mode::HeldSleep`].
static QUEUE: SleepingLock = SleepingLock(IrqMutex::new(
    "line of workers",
    Line {
        next: 0,
        serving: 0,
        waiting: VecDeque::new(),
    },
));

/// A lock whose waiters sleep, first come first served.
struct SleepingLock(IrqMutex<KernelPlatform, Line>);

struct Line {
    next: u64,
    serving: u64,
    waiting: VecDeque<Waker>,
}

impl SleepingLock {
    async fn lock(&self) {
        let mut ticket = None;
        poll_fn(|context| {
            let mut waker = Some(context.waker().clone());
            let served = self.0.with(|line| match ticket {
                Some(ticket) => line.serving == ticket,
                None => {
                    // Number and place are taken under one lock, so a lower number stands before.
                    ticket = Some(line.next);
                    line.next += 1;
                    let served = line.serving == line.next - 1;
                    if !served {
                        line.waiting.extend(waker.take());
                    }
                    served
                }
            });
            drop(waker);
            if served {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }

    fn unlock(&self) {
        let next = self.0.with(|line| {
            line.serving += 1;
            line.waiting.pop_front()
        });
        if let Some(waker) = next {
            waker.wake();
        }
    }
}

/// A lock of the mode's own has been held since `start_ns`.
fn note_hold(start_ns: u64) {
    if LOAD.is_counted() {
        MAX_HOLD_NS.fetch_max(time::now_ns() - start_ns, Ordering::Relaxed);
    }
}

/// One control request, in the mode's way.
async fn request<T>(
    device: &CryptoDevice,
    mode: Mode,
    request: impl Future<Output = Result<T, Error>>,
) -> T {
    // Where the driver polls, it does so by itself.
    let drains = device.interrupt_mode() != InterruptMode::Polling;
    let start_ns = time::now_ns();
    let outcome = match mode {
        Mode::Wait | Mode::ReleasedSpin => request.await,
        Mode::HeldSleep => {
            QUEUE.lock().await;
            let held_ns = time::now_ns();
            let outcome = request.await;
            note_hold(held_ns);
            QUEUE.unlock();
            outcome
        }
        Mode::Poll => {
            let outcome = {
                let _guard = SPINLOCK.lock();
                let held_ns = time::now_ns();
                let outcome = virtio_crypto::block_on(request, |_| {
                    if drains {
                        device.drain();
                    }
                    ControlFlow::Continue(())
                });
                note_hold(held_ns);
                outcome
            };
            // The CPU's other workers have their turn between two requests.
            executor::yield_now().await;
            outcome.and_then(|outcome| outcome)
        }
    };
    LOAD.done(start_ns);
    measure::expect(outcome)
}

async fn worker(device: Arc<CryptoDevice>, mode: Mode, batch: usize) {
    let open = || Cipher::open(&device, CipherAlgorithm::AesCbc, Direction::Encrypt, &KEY);
    for round in 1u32.. {
        if LOAD.is_over() {
            break;
        }
        // With `ioeventfd=off` every answer is there at once, so a worker never sleeps by itself.
        if round.is_multiple_of(TURN) {
            executor::yield_now().await;
        }
        if batch == 1 {
            let session = request(&device, mode, open()).await;
            request(&device, mode, session.close()).await;
        } else {
            let opening = (0..batch).map(|_| request(&device, mode, open()));
            let sessions: Vec<_> = device.batch(crypto::join_all(opening)).await;
            let closing = sessions
                .into_iter()
                .map(|one| request(&device, mode, one.close()));
            device.batch(crypto::join_all(closing)).await;
        }
    }
}

/// Sets workers to work, and counts what they do.
///
/// Workers that spin on a device with interrupts ask it for none meanwhile, as Linux's control
/// queue had none.
pub async fn run(device: &Arc<CryptoDevice>, plan: Plan) -> Measured {
    MAX_HOLD_NS.store(0, Ordering::Relaxed);
    let room = VecDeque::with_capacity(plan.workers as usize);
    let old = QUEUE
        .0
        .with(|line| core::mem::replace(&mut line.waiting, room));
    drop(old);
    let tasks = (0..plan.workers).map(|number| {
        let cpu = (number % plan.cpus) as u32;
        (cpu, worker(device.clone(), plan.mode, plan.batch as usize))
    });
    let has_interrupts = device.interrupt_mode() != InterruptMode::Polling;
    let poller = (plan.mode.spins() && has_interrupts).then(|| device.poller());
    let measured = LOAD.run_marked(device, plan.ms, plan.mark, tasks).await;
    drop(poller);
    measured
}

/// Returns the longest that a lock was held in the last [`run`]: the workers' own, if the mode has
/// one, else the driver's.
pub fn max_hold_ns(mode: Mode, measured: &Measured) -> u64 {
    if mode.holds() {
        MAX_HOLD_NS.load(Ordering::Relaxed)
    } else {
        measured.max_masked_ns
    }
}
