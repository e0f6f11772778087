//! Runs tasks: a bounded queue a CPU, and a sleep that no wake falls through.
//!
//! A task is queued at most once, so a queue with room for every live task never fails to take a
//! wake; one task too many is refused when it is spawned.

use alloc::{boxed::Box, sync::Arc, task::Wake, vec::Vec};
use core::{
    future::{Future, poll_fn},
    pin::pin,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    task::{Context, Poll, Waker},
};

use async_task::{Runnable, Task};
use crossbeam_queue::ArrayQueue;
use spin::Once;
use x86_64::instructions::interrupts;

use crate::cpu;

/// Most live tasks of a CPU.
pub const MAX_TASKS: usize = 1024;

struct Executor {
    ready: ArrayQueue<Runnable>,
    live: AtomicUsize,
}

static EXECUTORS: [Once<Box<Executor>>; cpu::MAX_CPUS] = [const { Once::new() }; cpu::MAX_CPUS];

fn here() -> &'static Executor {
    EXECUTORS[cpu::number() as usize].call_once(|| {
        Box::new(Executor {
            ready: ArrayQueue::new(MAX_TASKS),
            live: AtomicUsize::new(0),
        })
    })
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
    let executor = here();
    let take = |live| (live < MAX_TASKS).then_some(live + 1);
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
    };
    let (runnable, task) = async_task::spawn(future, schedule);
    runnable.schedule();
    Ok(task)
}

/// Awaits all of `futures` side by side, in one task, and returns their outputs in order.
pub async fn join_all<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut futures: Vec<_> = futures
        .into_iter()
        .map(|future| Some(Box::pin(future)))
        .collect();
    let mut outputs: Vec<_> = futures.iter().map(|_| None).collect();
    poll_fn(|context| {
        let mut pending = false;
        for (place, output) in futures.iter_mut().zip(&mut outputs) {
            let Some(future) = place else { continue };
            match future.as_mut().poll(context) {
                Poll::Ready(ready) => {
                    *output = Some(ready);
                    *place = None;
                }
                Poll::Pending => pending = true,
            }
        }
        if pending {
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    })
    .await;
    outputs.into_iter().flatten().collect()
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

/// Whether the future of a [`block_on`] wants to be polled.
struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Release: pairs with the acquire in `block_on`.
        self.0.store(true, Ordering::Release);
    }
}

/// Runs `future` to its end on the calling CPU, with the CPU's tasks beside it, and sleeps when
/// there is nothing to do. Interrupts are enabled meanwhile.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let woken = Arc::new(Woken(AtomicBool::new(true)));
    let waker = Waker::from(woken.clone());
    let mut context = Context::from_waker(&waker);
    let executor = here();
    interrupts::enable();
    loop {
        if woken.0.swap(false, Ordering::Acquire)
            && let Poll::Ready(output) = future.as_mut().poll(&mut context)
        {
            return output;
        }
        // One round: what these tasks wake waits for the next, after the future had its turn.
        for _ in 0..executor.ready.len() {
            let Some(runnable) = executor.ready.pop() else {
                break;
            };
            runnable.run();
        }
        // With interrupts masked nothing can come between the last look and the sleep, and the
        // CPU takes no interrupt before `hlt` has begun: `sti` takes effect one instruction later.
        interrupts::disable();
        if woken.0.load(Ordering::Acquire) || !executor.ready.is_empty() {
            interrupts::enable();
        } else {
            interrupts::enable_and_hlt();
        }
    }
}
