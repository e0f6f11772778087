//! Adaptive halt polling: a CPU that has nothing to do polls a device's rings for a while before it
//! halts, where that makes its tasks cost less.
//!
//! Where CPU and device each have a core, polling ends a wait sooner, because nobody has to be
//! woken; where they share one, it keeps the device from working. Nobody tells the guest which it
//! is, so each CPU measures: it keeps to the way by which a task lately cost less time, waiting
//! and running together, and now and then tries both.
//!
//! While a CPU polls, the device sends no interrupts, not for what other CPUs wait for either: the
//! CPU that polls wakes them. So the one rule for tasks is to be short: one that computes between
//! two polls keeps everybody's answers waiting. Where that happened the CPU has interrupts sent
//! again before it runs on.

use alloc::sync::Arc;

use spin::{Mutex, Once};
use virtio_crypto::Poller;

use crate::{
    cpu,
    platform::{CryptoDevice, KernelPlatform},
    task::executor::{self, IdleHook},
    time,
};

/// How long a CPU polls before it halts after all.
const WINDOW_NS: u64 = 100_000;
/// What runs for longer than so many windows runs for long: others' answers wait for it.
const LONG_WINDOWS: u64 = 10;
/// Turns of a trial of one way.
const TRIAL: u32 = 16;
/// Turns that the better way is kept for before both are tried again, at first; twice as many each
/// time that the trials changed nothing.
const KEPT_AT_FIRST: u32 = 128;
/// Most turns that it is kept for.
const KEPT_AT_MOST: u32 = 4096;

/// What is polled.
struct Polled {
    device: Arc<CryptoDevice>,
    /// [`WINDOW_NS`] in ticks.
    window: u64,
}

static POLLED: Once<Polled> = Once::new();
/// By CPU. Taken by that CPU alone, and never while it runs something.
static IDLE: [Mutex<Idle>; cpu::MAX_CPUS] = [const { Mutex::new(Idle::new()) }; cpu::MAX_CPUS];

/// Lets CPUs with nothing to do poll `device`'s rings, as far as that makes their tasks cost less.
/// The first device that this is called with is the one.
///
/// From here on tasks must not wait by a way of their own, such as `virtio_crypto::block_on`: no
/// interrupt may come of what they wait for. By
/// [`executor::block_on`] they may.
pub fn enable(device: Arc<CryptoDevice>) {
    let window = u128::from(WINDOW_NS) * u128::from(time::tsc_hz()) / 1_000_000_000;
    POLLED.call_once(|| Polled {
        device,
        window: window as u64,
    });
    executor::set_idle(IdleHook { wait, run, leave });
}

/// How a CPU waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// It halts at once.
    Halt,
    /// It polls first.
    Poll,
}

/// What the turns at hand are for: a turn is a wait and what is run afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Try(Way),
    Keep(Way),
}

/// What turns have taken and done.
#[derive(Clone, Copy, Debug)]
pub struct Sum {
    /// Time, waiting and running.
    pub ticks: u64,
    /// Tasks that were run.
    pub tasks: u64,
}

impl Sum {
    const ZERO: Self = Self { ticks: 0, tasks: 0 };

    fn add(&mut self, turn: Self) {
        self.ticks += turn.ticks;
        self.tasks += turn.tasks;
    }

    /// Tells whether a task took distinctly less than in `other`: a tenth.
    fn is_better(self, other: Self) -> bool {
        let cost = |ticks: u64, tasks: u64| u128::from(ticks) * u128::from(tasks.max(1));
        cost(self.ticks, other.tasks) * 10 < cost(other.ticks, self.tasks) * 9
    }
}

/// Which way it is to be.
#[derive(Debug)]
pub struct Choice {
    phase: Phase,
    /// Turns until the next phase.
    left: u32,
    halted: Sum,
    polled: Sum,
    better: Way,
    kept: u32,
}

impl Choice {
    /// Begins to try.
    #[expect(clippy::new_without_default, reason = "it is no empty value")]
    pub const fn new() -> Self {
        Self {
            phase: Phase::Try(Way::Halt),
            left: TRIAL,
            halted: Sum::ZERO,
            polled: Sum::ZERO,
            better: Way::Halt,
            kept: KEPT_AT_FIRST,
        }
    }

    /// Returns the way of the next turn.
    pub fn way(&self) -> Way {
        let (Phase::Try(way) | Phase::Keep(way)) = self.phase;
        way
    }

    /// Takes note of a turn that went [`way`](Self::way).
    pub fn note(&mut self, turn: Sum) {
        match self.phase {
            Phase::Try(Way::Halt) => self.halted.add(turn),
            Phase::Try(Way::Poll) => self.polled.add(turn),
            Phase::Keep(_) => {}
        }
        self.left -= 1;
        if self.left > 0 {
            return;
        }
        (self.phase, self.left) = match self.phase {
            Phase::Try(Way::Halt) => (Phase::Try(Way::Poll), TRIAL),
            Phase::Try(Way::Poll) => {
                self.judge();
                (Phase::Keep(self.better), self.kept)
            }
            Phase::Keep(_) => {
                (self.halted, self.polled) = (Sum::ZERO, Sum::ZERO);
                (Phase::Try(Way::Halt), TRIAL)
            }
        };
    }

    fn judge(&mut self) {
        let better = if self.polled.is_better(self.halted) {
            Way::Poll
        } else {
            Way::Halt
        };
        self.kept = if better == self.better {
            (self.kept * 2).min(KEPT_AT_MOST)
        } else {
            KEPT_AT_FIRST
        };
        self.better = better;
    }
}

/// What one CPU has found out, and its way of polling.
struct Idle {
    choice: Choice,
    /// When the last wait was over, if it was timed.
    since: Option<u64>,
    /// The turn at hand.
    turn: Sum,
    /// What ran last ran for long.
    ran_long: bool,
    /// While tasks run, too, as long as the CPU keeps polling and they are short.
    poller: Option<Poller<KernelPlatform>>,
}

impl Idle {
    const fn new() -> Self {
        Self {
            choice: Choice::new(),
            since: None,
            turn: Sum::ZERO,
            ran_long: false,
            poller: None,
        }
    }

    fn wait(&mut self, polled: &Polled, busy: &dyn Fn() -> bool, sleep: &dyn Fn()) {
        let start = cpu::ticks();
        if let Some(since) = self.since {
            let ran_ticks = start.saturating_sub(since);
            self.ran_long = ran_ticks > LONG_WINDOWS * polled.window;
            self.turn.ticks += ran_ticks;
            self.choice.note(self.turn);
        }
        if self.choice.way() == Way::Halt || !self.poll(polled, busy, start + polled.window) {
            self.get_ready_to_halt(polled);
            sleep();
        }
        let end = cpu::ticks();
        self.since = Some(end);
        self.turn = Sum {
            // A wait for something that is far off says nothing of either way.
            ticks: end.saturating_sub(start).min(polled.window),
            tasks: 0,
        };
    }

    /// Polls until there is something to do; `false` when there was nothing until `end`.
    fn poll(&mut self, polled: &Polled, busy: &dyn Fn() -> bool, end: u64) -> bool {
        let poller = self.poller.get_or_insert_with(|| polled.device.poller());
        loop {
            // Notifies of what was put off, too, where this waits within `run`.
            poller.drain();
            if busy() {
                return true;
            }
            // Without `pause`, as `time::spin_ns` does.
            if cpu::ticks() > end {
                return false;
            }
        }
    }

    /// Asks for interrupts again, and notifies of what was put off. The CPU is about to halt: what
    /// came before that is drained here.
    fn get_ready_to_halt(&mut self, polled: &Polled) {
        match self.poller.take() {
            Some(poller) => drop(poller),
            None => polled.device.drain(),
        }
    }
}

fn idle() -> &'static Mutex<Idle> {
    &IDLE[cpu::number() as usize]
}

/// Waits until `busy` says that there is something to do, or for an interrupt: `sleep` does that,
/// unless it finds `busy`.
fn wait(busy: &dyn Fn() -> bool, sleep: &dyn Fn()) {
    match POLLED.get() {
        Some(polled) => idle().lock().wait(polled, busy, sleep),
        None => sleep(),
    }
}

/// Runs tasks, which share their kicks if there are several and the CPU polls for answers.
fn run(tasks: usize, run: &dyn Fn()) {
    // The lock is free again when the tasks run: one of them may wait by itself.
    let polls = {
        let mut idle = idle().lock();
        idle.turn.tasks += tasks as u64;
        if idle.ran_long {
            // Others' answers need not wait for that again.
            idle.poller = None;
        }
        idle.poller.is_some()
    };
    match POLLED.get() {
        Some(polled) if polls && tasks > 1 => polled.device.share_kicks(run),
        _ => run(),
    }
}

/// Polls no more.
fn leave() {
    idle().lock().poller = None;
}
