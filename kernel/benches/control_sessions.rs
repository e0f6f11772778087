//! How fast workers open and close sessions, by what they do with the control queue's lock and how
//! they wait: the experiment of Linux commit 977231e8d4 ("virtio-crypto: wait ctrl queue instead of
//! busy polling").
//!
//! | mode | a lock of the workers' own, around each request | waiting |
//! |---|---|---|
//! | `poll` | held until the answer | spins on the ring: as Linux did before |
//! | `held-sleep` | held until the answer | sleeps until it is woken |
//! | `released-spin` | none | spins on the ring, the CPU's workers in turn |
//! | `wait` | none | sleeps until it is woken: as this driver does |
//!
//! The driver is the same in all of them; its own lock is held for adding alone. A worker is a
//! task, and worker *n* stays on CPU *n* modulo their number, or modulo `cpus=`. An operation is one
//! control request. With `batch=` a worker opens so many sessions with one kick, then closes them with
//! one. With `idle=poll` CPUs look at the rings before they sleep, where that helps.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::{collections::VecDeque, sync::Arc, vec::Vec};
use core::{
    future::poll_fn,
    ops::ControlFlow,
    sync::atomic::{AtomicU64, Ordering},
    task::{Poll, Waker},
};

use kernel::{
    bench::{
        load::{Load, Measured},
        measure::{self, Micros, Ratio},
    },
    command_line,
    crypto::{self, CryptoDevice, Reach, Wiring, idle},
    exit::{ExitCode, exit},
    platform::KernelPlatform,
    println, smp,
    task::executor,
    testing, time,
};
use virtio_crypto::{Cipher, CipherAlgorithm, Direction, Error, Options, sync::IrqMutex};

kernel::entry!(main);

const WORDS: &[&str] = &["mode=", "workers=", "batch=", "cpus=", "idle=", "ms="];
const KEY: [u8; 16] = [7; 16];
/// Sessions that QEMU has room for.
const MAX_SESSIONS: u64 = 256;
/// Rounds after which a worker gives the CPU's other tasks a turn.
const TURN: u32 = 64;

/// How workers treat the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Poll,
    HeldSleep,
    ReleasedSpin,
    Wait,
}

impl Mode {
    fn of_command_line() -> (Self, &'static str) {
        let name = measure::choice("mode", &["wait", "poll", "held-sleep", "released-spin"]);
        let mode = match name {
            "poll" => Self::Poll,
            "held-sleep" => Self::HeldSleep,
            "released-spin" => Self::ReleasedSpin,
            _ => Self::Wait,
        };
        (mode, name)
    }

    fn holds(self) -> bool {
        matches!(self, Self::Poll | Self::HeldSleep)
    }

    fn spins(self) -> bool {
        matches!(self, Self::Poll | Self::ReleasedSpin)
    }
}

static LOAD: Load = Load::new();
static MAX_HOLD_NS: AtomicU64 = AtomicU64::new(0);

/// The lock of `poll`: whoever waits for it spins, too. A fair one, as Linux's are: without order one
/// CPU takes it again and again, and another may wait for seconds.
static SPINLOCK: spin::mutex::TicketMutex<()> = spin::mutex::TicketMutex::new(());
/// The lock of `held-sleep`.
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
                    // Number and place are taken in one go: who has a lower number stands before.
                    // There is room for every worker, so nothing is allocated here.
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
async fn request<T>(mode: Mode, request: impl Future<Output = Result<T, Error>>) -> T {
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
                let outcome = virtio_crypto::block_on(request, |_| ControlFlow::Continue(()));
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
            let session = request(mode, open()).await;
            request(mode, session.close()).await;
        } else {
            let opening = (0..batch).map(|_| request(mode, open()));
            let sessions: Vec<_> = device.batch(executor::join_all(opening)).await;
            let closing = sessions.into_iter().map(|one| request(mode, one.close()));
            device.batch(executor::join_all(closing)).await;
        }
    }
}

/// What one line is about.
#[derive(Clone, Copy)]
struct Case {
    mode: Mode,
    name: &'static str,
    idle: &'static str,
    cpus: u64,
    batch: u64,
}

async fn run(device: &Arc<CryptoDevice>, case: Case, workers: u64) {
    let Case {
        mode,
        name,
        idle,
        cpus,
        batch,
    } = case;
    let vcpus = smp::online();
    MAX_HOLD_NS.store(0, Ordering::Relaxed);
    let room = VecDeque::with_capacity(workers as usize);
    let old = QUEUE
        .0
        .with(|line| core::mem::replace(&mut line.waiting, room));
    drop(old);
    let tasks = (0..workers).map(|number| {
        let cpu = (number % cpus) as u32;
        (cpu, worker(device.clone(), mode, batch as usize))
    });
    let ms = measure::duration_ms(1000);
    let Measured {
        counts,
        max_masked_ns,
        per_s,
    } = LOAD.run(device, ms, tasks).await;
    let hold_ns = if mode.holds() {
        MAX_HOLD_NS.load(Ordering::Relaxed)
    } else {
        max_masked_ns
    };
    println!(
        "bench: name=control-sessions impl=virtio-crypto mode={name} workers={workers} \
         vcpus={vcpus} cpus={cpus} batch={batch} idle={idle} ops_per_s={per_s} guest_cpu_percent={} p50_us={} p99_us={} \
         p999_us={} max_us={} max_lock_hold_us={} kicks_per_op={} interrupts_per_op={} \
         pending_polls_per_op={}",
        counts.cpu_percent(),
        Micros(LOAD.latencies.percentile_ns(500)),
        Micros(LOAD.latencies.percentile_ns(990)),
        Micros(LOAD.latencies.percentile_ns(999)),
        Micros(LOAD.latencies.max_ns()),
        Micros(hold_ns),
        Ratio(counts.kicks, counts.requests),
        Ratio(counts.interrupts, counts.requests),
        Ratio(counts.pending_polls, counts.requests),
    );
    println!(
        "histogram: name=control-sessions mode={name} workers={workers} vcpus={vcpus} \
         batch={batch} idle={idle} us={}",
        LOAD.latencies.log2_us(),
    );
}

fn main() -> ! {
    command_line::expect(WORDS);
    let (mode, name) = Mode::of_command_line();
    smp::expect_all();
    let wiring = if mode.spins() {
        Wiring::Polling
    } else {
        Wiring::Best
    };
    let options = Options::default();
    let device = measure::expect_device(crypto::open_crypto(0, Reach::Pci, wiring, options));
    if mode == Mode::Poll && command_line::value("idle") == Some("poll") {
        testing::give_up(format_args!("mode=poll waits inside a task: no idle=poll"));
    }
    let vcpus = u64::from(smp::online());
    let case = Case {
        mode,
        name,
        idle: idle::by_command_line(&device),
        cpus: measure::number_in("cpus", vcpus, 1..=vcpus),
        batch: measure::number_in("batch", 1, 1..=MAX_SESSIONS),
    };
    for workers in measure::numbers_in("workers", &[1, 2, 4, 8, 64], 1..=MAX_SESSIONS) {
        executor::block_on(run(&device, case, workers));
    }
    println!("bench: pass");
    exit(ExitCode::Success);
}
