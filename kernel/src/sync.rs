//! The kernel's lock: a spinlock that masks interrupts on the CPU that holds it.
//!
//! For what several CPUs change, or a CPU and its own interrupt handlers: the console, memory, the
//! sleepers. Closures instead of guards keep a lock from living across an `await`.
//!
//! *One at a time*, the one rule: a CPU that holds a lock takes no other, so there is no order to
//! get wrong. Builds with debug assertions check it, also for a lock of the driver's (`bar`). What
//! handlers look at without a lock is [`Shown`].
//!
//! # Invariant
//!
//! *Exclusive*: from the compare-exchange that replaces `NOBODY` in `holder` to the store that
//! puts it back, one closure runs, and only it reaches `value`. Interrupts stay masked meanwhile,
//! so no handler of the same CPU comes between. A panic in the closure ends the run.
#![expect(unsafe_code, reason = "the inside of the lock, and of what is shown")]

mod shown;

use core::{
    cell::UnsafeCell,
    fmt,
    hint::spin_loop,
    sync::atomic::{AtomicU32, Ordering},
};

use x86_64::instructions::interrupts::without_interrupts;

pub use self::shown::Shown;
use crate::cpu;

/// No CPU holds the lock.
const NOBODY: u32 = u32::MAX;

/// A spinlock that masks local interrupts while it is held.
pub struct SpinLock<T> {
    name: &'static str,
    /// The number of the CPU that holds it, or [`NOBODY`].
    holder: AtomicU32,
    value: UnsafeCell<T>,
}

// SAFETY: *Exclusive*, so that sharing the lock lends the value to one CPU after the other.
unsafe impl<T: Send> Sync for SpinLock<T> {}

impl<T> SpinLock<T> {
    /// Makes a free lock around `value`; `name` is what a report calls it.
    pub const fn new(name: &'static str, value: T) -> Self {
        Self {
            name,
            holder: AtomicU32::new(NOBODY),
            value: UnsafeCell::new(value),
        }
    }

    /// Runs `f` on the value, with local interrupts masked and every other CPU kept out.
    ///
    /// # Panics
    ///
    /// If the calling CPU already holds this lock; with debug assertions, if it holds any.
    #[inline]
    pub fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        without_interrupts(|| {
            let cpu = cpu::number();
            if !self.try_take(cpu) {
                self.take_when_free(cpu);
            }
            check::begin_hold(cpu, self.name);
            // SAFETY: *Exclusive*: this CPU has just put its number into `holder`.
            let result = f(unsafe { &mut *self.value.get() });
            check::end_hold(cpu);
            self.release();
            result
        })
    }

    /// Runs `f` on the value if the lock comes free within `tries` looks; else returns `None`.
    ///
    /// For a caller that must go on whatever holds the lock, such as the printer of a panic; it may
    /// hold another lock.
    pub fn try_with<R>(&self, tries: u32, f: impl FnOnce(&mut T) -> R) -> Option<R> {
        without_interrupts(|| {
            let cpu = cpu::number();
            for _ in 0..tries {
                if self.try_take(cpu) {
                    // SAFETY: *Exclusive*: this CPU has just put its number into `holder`.
                    let result = f(unsafe { &mut *self.value.get() });
                    self.release();
                    return Some(result);
                }
                spin_loop();
            }
            None
        })
    }

    #[inline]
    fn try_take(&self, cpu: u32) -> bool {
        // Acquire: pairs with the release in `release`.
        self.holder
            .compare_exchange(NOBODY, cpu, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
    }

    #[cold]
    fn take_when_free(&self, cpu: u32) {
        while !self.try_take(cpu) {
            // A CPU sees its own stores in order, so it reads its own number here only if it holds
            // the lock; any other number means that somebody else will release it.
            if self.holder.load(Ordering::Relaxed) == cpu {
                panic!("lock `{}` taken twice on CPU {cpu}", self.name);
            }
            spin_loop();
        }
    }

    #[inline]
    fn release(&self) {
        // Release: pairs with the acquire in `try_take`.
        self.holder.store(NOBODY, Ordering::Release);
    }
}

impl<T> fmt::Debug for SpinLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SpinLock")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Bars the calling CPU from every lock of the kernel's until [`unbar`], as far as that is checked:
/// it takes a lock of the driver's, under which it allocates, frees and logs nothing.
#[inline]
pub(crate) fn bar() {
    check::bar();
}

/// Ends what [`bar`] began.
#[inline]
pub(crate) fn unbar() {
    check::unbar();
}

/// Checks *One at a time*.
#[cfg(debug_assertions)]
mod check {
    use super::{AtomicU32, Ordering};
    use crate::cpu::{self, MAX_CPUS};

    /// How many locks of the driver's each CPU holds, and [`HELD`] if it holds one of the kernel's.
    /// Relaxed: only the CPU itself touches its own, with interrupts masked.
    static HOLDS: [AtomicU32; MAX_CPUS] = [const { AtomicU32::new(0) }; MAX_CPUS];
    const HELD: u32 = 1 << 31;

    pub(super) fn begin_hold(cpu: u32, name: &str) {
        let holds = HOLDS[cpu as usize].fetch_or(HELD, Ordering::Relaxed);
        assert!(
            holds == 0,
            "lock `{name}` taken while CPU {cpu} holds another"
        );
    }

    pub(super) fn end_hold(cpu: u32) {
        HOLDS[cpu as usize].fetch_and(!HELD, Ordering::Relaxed);
    }

    pub(super) fn bar() {
        let cpu = cpu::number();
        let holds = HOLDS[cpu as usize].fetch_add(1, Ordering::Relaxed);
        assert!(
            holds & HELD == 0,
            "a lock of the driver's taken while CPU {cpu} holds one of the kernel's"
        );
    }

    pub(super) fn unbar() {
        HOLDS[cpu::number() as usize].fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(not(debug_assertions))]
mod check {
    #[inline]
    pub(super) fn begin_hold(_cpu: u32, _name: &str) {}
    #[inline]
    pub(super) fn end_hold(_cpu: u32) {}
    #[inline]
    pub(super) fn bar() {}
    #[inline]
    pub(super) fn unbar() {}
}
