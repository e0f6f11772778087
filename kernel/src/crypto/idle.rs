//! What a CPU does that has nothing to do: it sleeps until an interrupt, or first looks at a
//! device's rings for a while.
//!
//! Where CPU and device each have a core, looking ends a wait sooner, because nobody has to be
//! woken; where they share one, it keeps the device from working. Which it is nobody tells the
//! guest, so each CPU measures: it keeps to the way by which a task lately cost less time, waiting
//! and running together, and now and then tries both.
//!
//! While a CPU looks the device sends no interrupts, not for what other CPUs wait for either: they
//! are woken by the one that looks. So tasks have to be short: one that computes between two looks
//! keeps everybody's answers waiting. Where that happened the CPU has interrupts sent again before
//! it runs on.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};

use spin::{Mutex, Once};
use virtio_crypto::Poller;

use crate::{bench::measure, cpu, crypto::CryptoDevice, platform::KernelPlatform, time};

/// How long a CPU looks before it sleeps after all.
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

static DEVICE: Once<Arc<CryptoDevice>> = Once::new();
/// [`WINDOW_NS`] in ticks; 0 until there is a device to look at.
static WINDOW_TICKS: AtomicU64 = AtomicU64::new(0);

/// Lets CPUs with nothing to do look at `device`'s rings, as far as that makes their tasks cost
/// less. The first device that this is called with is the one.
///
/// From here on tasks must not wait by a way of their own, such as `virtio_crypto::block_on`: no
/// interrupt may come of what they wait for. By
/// [`executor::block_on`](crate::task::executor::block_on) they may.
pub fn look_at(device: Arc<CryptoDevice>) {
    let ticks = u128::from(WINDOW_NS) * u128::from(time::tsc_hz()) / 1_000_000_000;
    DEVICE.call_once(|| device);
    WINDOW_TICKS.store(ticks as u64, Ordering::Relaxed);
}

/// Does as the word `idle=` says: `halt`, which is the default, or `poll`, to
/// [`look_at`] `device`. Returns the word.
pub fn by_command_line(device: &Arc<CryptoDevice>) -> &'static str {
    let name = measure::choice("idle", &["halt", "poll"]);
    if name == "poll" {
        look_at(device.clone());
    }
    name
}

/// How a CPU waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// It sleeps at once.
    Sleep,
    /// It looks first.
    Look,
}

/// What the turns at hand are for: a turn is a wait and what is run afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Try(Way),
    Keep(Way),
}

/// What turns have taken and done.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sum {
    /// Time, waiting and running.
    pub ticks: u64,
    /// Tasks that were run.
    pub tasks: u64,
}

impl Sum {
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
    slept: Sum,
    looked: Sum,
    better: Way,
    kept: u32,
}

impl Choice {
    /// Begins to try.
    #[expect(clippy::new_without_default, reason = "it is no empty value")]
    pub fn new() -> Self {
        Self {
            phase: Phase::Try(Way::Sleep),
            left: TRIAL,
            slept: Sum::default(),
            looked: Sum::default(),
            better: Way::Sleep,
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
            Phase::Try(Way::Sleep) => self.slept.add(turn),
            Phase::Try(Way::Look) => self.looked.add(turn),
            Phase::Keep(_) => {}
        }
        self.left -= 1;
        if self.left > 0 {
            return;
        }
        (self.phase, self.left) = match self.phase {
            Phase::Try(Way::Sleep) => (Phase::Try(Way::Look), TRIAL),
            Phase::Try(Way::Look) => {
                self.judge();
                (Phase::Keep(self.better), self.kept)
            }
            Phase::Keep(_) => {
                (self.slept, self.looked) = (Sum::default(), Sum::default());
                (Phase::Try(Way::Sleep), TRIAL)
            }
        };
    }

    fn judge(&mut self) {
        let better = if self.looked.is_better(self.slept) {
            Way::Look
        } else {
            Way::Sleep
        };
        self.kept = if better == self.better {
            (self.kept * 2).min(KEPT_AT_MOST)
        } else {
            KEPT_AT_FIRST
        };
        self.better = better;
    }
}

/// What one CPU has found out, and its way of looking.
#[derive(Debug)]
pub(crate) struct Idle {
    choice: Choice,
    /// When the last wait was over, if it was timed.
    since: Option<u64>,
    /// The turn at hand.
    turn: Sum,
    /// What ran last ran for long.
    ran_long: bool,
    /// While tasks run, too, as long as it keeps looking and they are short.
    poller: Option<Poller<KernelPlatform>>,
}

impl Idle {
    pub(crate) fn new() -> Self {
        Self {
            choice: Choice::new(),
            since: None,
            turn: Sum::default(),
            ran_long: false,
            poller: None,
        }
    }

    fn wait(&mut self, window: u64, busy: impl Fn() -> bool, sleep: impl FnOnce()) {
        let start = cpu::ticks();
        if let Some(since) = self.since {
            let ran_ticks = start.saturating_sub(since);
            self.ran_long = ran_ticks > LONG_WINDOWS * window;
            self.turn.ticks += ran_ticks;
            self.choice.note(self.turn);
        }
        if self.choice.way() == Way::Sleep || !self.look(busy, start + window) {
            self.get_ready_to_sleep();
            sleep();
        }
        let end = cpu::ticks();
        self.since = Some(end);
        self.turn = Sum {
            // A wait for something that is far off says nothing of either way.
            ticks: end.saturating_sub(start).min(window),
            tasks: 0,
        };
    }

    /// Looks until there is something to do; `false` when there was nothing until `end`.
    fn look(&mut self, busy: impl Fn() -> bool, end: u64) -> bool {
        if self.poller.is_none() {
            self.poller = DEVICE.get().map(|device| device.poller());
        }
        let Some(poller) = &self.poller else {
            return false;
        };
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

    /// Asks for interrupts again, and notifies of what was put off. What has come before is found
    /// by who is about to sleep.
    fn get_ready_to_sleep(&mut self) {
        match self.poller.take() {
            Some(poller) => drop(poller),
            None => {
                if let Some(device) = DEVICE.get() {
                    device.drain();
                }
            }
        }
    }
}

/// Waits until `busy` says that there is something to do, or for an interrupt: `sleep` does that,
/// unless it finds `busy`.
#[inline]
pub(crate) fn wait(idle: &Mutex<Idle>, busy: impl Fn() -> bool, sleep: impl FnOnce()) {
    match WINDOW_TICKS.load(Ordering::Relaxed) {
        0 => sleep(),
        window => idle.lock().wait(window, busy, sleep),
    }
}

/// Runs tasks, which share their kicks if there are several and the CPU looks for answers.
#[inline]
pub(crate) fn run(idle: &Mutex<Idle>, tasks: usize, run: impl FnOnce()) {
    if WINDOW_TICKS.load(Ordering::Relaxed) == 0 {
        return run();
    }
    // The lock is free again when the tasks run: one of them may wait by itself.
    let looks = {
        let mut idle = idle.lock();
        idle.turn.tasks += tasks as u64;
        if idle.ran_long {
            // Others' answers need not wait for that again.
            idle.poller = None;
        }
        idle.poller.is_some()
    };
    match DEVICE.get() {
        Some(device) if looks && tasks > 1 => device.share_kicks(run),
        _ => run(),
    }
}

/// Looks no more.
#[inline]
pub(crate) fn leave(idle: &Mutex<Idle>) {
    if WINDOW_TICKS.load(Ordering::Relaxed) != 0 {
        idle.lock().poller = None;
    }
}
