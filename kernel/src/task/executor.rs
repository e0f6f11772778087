//! Runs tasks: a bounded queue a CPU, and a sleep that no wake falls through.
//!
//! A task is queued at most once, so a queue with room for every live task never fails to take a
//! wake; one task too many is refused when it is spawned.
//!
//! For programs, on every CPU. The one rule: a task stays on its CPU, is not preempted and should
//! be short.

use alloc::{boxed::Box, sync::Arc, task::Wake};
use core::{
    future::{Future, poll_fn},
    pin::pin,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence},
    task::{Context, Poll, Waker},
};

use async_task::{Runnable, Task};
use crossbeam_queue::ArrayQueue;
use spin::Once;
use x86_64::instructions::interrupts as hardware;

use crate::{
    command_line,
    cpu::{self, usage},
    interrupts::{apic, idt},
};

/// Most live tasks of a CPU, unless the command line says how many.
const MAX_TASKS: u64 = 1024;

/// Returns how many live tasks a CPU has room for, by the word `tasks=`.
pub fn max_tasks() -> usize {
    command_line::number_in("tasks", MAX_TASKS, 16..=1 << 20) as usize
}

struct Executor {
    ready: ArrayQueue<Runnable>,
    live: AtomicUsize,
    /// The CPU sleeps, or is about to: another CPU that gives it work has to wake it.
    sleeping: AtomicBool,
    cpu: u32,
}

static EXECUTORS: [Once<Box<Executor>>; cpu::MAX_CPUS] = [const { Once::new() }; cpu::MAX_CPUS];

/// Makes the calling CPU's executor.
pub(crate) fn prepare() {
    EXECUTORS[cpu::number() as usize].call_once(|| {
        idt::set_handler(apic::WAKE_VECTOR, |_| ());
        Box::new(Executor {
            ready: ArrayQueue::new(max_tasks()),
            live: AtomicUsize::new(0),
            sleeping: AtomicBool::new(false),
            cpu: cpu::number(),
        })
    });
}

/// What a CPU does besides sleeping when it has nothing to run, for a room above that knows of
/// something.
#[derive(Clone, Copy, Debug)]
pub struct IdleHook {
    /// Waits until the first function says that there is something to do, or for an interrupt, by
    /// the second, which does not sleep if the first says so.
    pub wait: fn(busy: &dyn Fn() -> bool, sleep: &dyn Fn()),
    /// Runs so many tasks by the function.
    pub run: fn(tasks: usize, run: &dyn Fn()),
    /// Ends what [`wait`](Self::wait) keeps up between waits: the CPU goes on with no task.
    pub leave: fn(),
}

static IDLE: Once<IdleHook> = Once::new();
static BEFORE_WAIT: Once<fn()> = Once::new();

/// Has every CPU wait and run tasks by `hook`. The first one that is set stays.
pub fn set_idle(hook: IdleHook) {
    IDLE.call_once(|| hook);
}

/// Has `before_wait` called before a [`block_on`] waits. The first one that is set stays.
pub fn set_before_wait(before_wait: fn()) {
    BEFORE_WAIT.call_once(|| before_wait);
}

fn of(cpu: u32) -> Option<&'static Executor> {
    EXECUTORS
        .get(cpu as usize)?
        .get()
        .map(|executor| &**executor)
}

fn here() -> &'static Executor {
    match of(cpu::number()) {
        Some(executor) => executor,
        None => panic!("CPU {} has no executor yet", cpu::number()),
    }
}

impl Executor {
    /// Ends the CPU's sleep, if it sleeps. What it is to do has been left for it by now.
    #[inline]
    fn notify(&self) {
        // What a CPU leaves for itself it sees, and the interrupt in which it does ends its sleep.
        if self.cpu == cpu::number() {
            return;
        }
        // Full barrier between leaving something and looking whether the CPU sleeps; pairs with the
        // one in `sleep`, between saying so and looking whether there is something.
        fence(Ordering::SeqCst);
        if self.sleeping.load(Ordering::Relaxed) {
            apic::wake(self.cpu);
        }
    }

    /// Runs so many tasks that are ready, each once.
    fn run_round(&self, tasks: usize) {
        for _ in 0..tasks {
            let Some(runnable) = self.ready.pop() else {
                break;
            };
            runnable.run();
        }
    }

    /// Sleeps until an interrupt, unless `busy` says that there is something to do.
    #[inline]
    fn sleep(&self, busy: impl Fn() -> bool) {
        // With interrupts masked nothing can come between the last look and the sleep, and the CPU
        // takes no interrupt before `hlt` has begun: `sti` takes effect one instruction later.
        hardware::disable();
        self.sleeping.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        if busy() {
            hardware::enable();
        } else {
            usage::fall_asleep();
            hardware::enable_and_hlt();
        }
        self.sleeping.store(false, Ordering::Relaxed);
    }
}

/// The CPU has as many tasks as it has room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooManyTasks {
    /// How many that is.
    pub max: usize,
}

/// Counts a task for as long as its future lives.
struct Live(&'static Executor);

impl Drop for Live {
    fn drop(&mut self) {
        self.0.live.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Starts a task on the calling CPU. Dropping what this returns cancels the task.
///
/// # Errors
///
/// [`TooManyTasks`] when there is no room for one more; `future` is dropped.
pub fn spawn<F>(future: F) -> Result<Task<F::Output>, TooManyTasks>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    spawn_with(here(), future)
}

/// Starts a task on CPU `cpu`, where it stays. Dropping what this returns cancels the task.
///
/// # Errors
///
/// [`TooManyTasks`] when there is no room for one more, or no such CPU (with room for none);
/// `future` is dropped.
pub fn spawn_on<F>(cpu: u32, future: F) -> Result<Task<F::Output>, TooManyTasks>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    spawn_with(of(cpu).ok_or(TooManyTasks { max: 0 })?, future)
}

fn spawn_with<F>(executor: &'static Executor, future: F) -> Result<Task<F::Output>, TooManyTasks>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let take = |live| (live < executor.ready.capacity()).then_some(live + 1);
    let taken = executor
        .live
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take);
    taken.map_err(|max| TooManyTasks { max })?;
    let live = Live(executor);
    let future = async move {
        let _live = live;
        future.await
    };
    // A queued task counts as live until its future is gone, and a task is queued once at most.
    let schedule = |runnable| {
        assert!(
            executor.ready.push(runnable).is_ok(),
            "the run queue has room for every task"
        );
        executor.notify();
    };
    let (runnable, task) = async_task::spawn(future, schedule);
    runnable.schedule();
    Ok(task)
}

/// Gives other tasks a turn.
pub async fn yield_now() {
    let mut yielded = false;
    poll_fn(|context| {
        if core::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Whether the future of a [`block_on`] wants to be polled, and by which CPU.
struct Woken(AtomicBool, &'static Executor);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Release: pairs with the acquire in `block_on`.
        self.0.store(true, Ordering::Release);
        self.1.notify();
    }
}

/// Runs `future` to its end on the calling CPU, with the CPU's tasks beside it, and waits when
/// there is nothing to do, as the [`IdleHook`] has it. Interrupts are enabled meanwhile.
pub fn block_on<F: Future>(future: F) -> F::Output {
    if let Some(before_wait) = BEFORE_WAIT.get() {
        before_wait();
    }
    let mut future = pin!(future);
    let executor = here();
    let woken = Arc::new(Woken(AtomicBool::new(true), executor));
    let waker = Waker::from(woken.clone());
    let mut context = Context::from_waker(&waker);
    hardware::enable();
    loop {
        if woken.0.swap(false, Ordering::Acquire)
            && let Poll::Ready(output) = future.as_mut().poll(&mut context)
        {
            // Whatever the caller does next, interrupts come again.
            if let Some(hook) = IDLE.get() {
                (hook.leave)();
            }
            return output;
        }
        let busy = || woken.0.load(Ordering::Acquire) || !executor.ready.is_empty();
        match IDLE.get() {
            Some(hook) => (hook.wait)(&busy, &|| executor.sleep(busy)),
            None => executor.sleep(busy),
        }
        // One round: what these tasks wake waits for the next, after the future had its turn.
        if !executor.ready.is_empty() {
            let tasks = executor.ready.len();
            match IDLE.get() {
                Some(hook) => (hook.run)(tasks, &|| executor.run_round(tasks)),
                None => executor.run_round(tasks),
            }
        }
    }
}
