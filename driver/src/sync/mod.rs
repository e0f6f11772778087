//! The interrupt-disabling lock, what interrupt handlers read without it, and the atomics that both
//! are tested with.
//!
//! # Invariant
//!
//! *Owner*: the CPU that holds an [`IrqMutex`] has local interrupts masked, so no handler on the
//! same CPU can come between taking and releasing it. Closures instead of guards keep a lock from
//! living across an `await`.
//!
//! Under a lock of the driver there is no wake, no allocation, no free, no logging and no access
//! to device registers: it is held for a bounded number of instructions, and nothing that runs
//! under it can come back to it.
//!
//! *One at a time*: a CPU that holds one of these locks takes no other, so there is no order to get
//! wrong. Builds with debug assertions check it.
#![expect(
    unsafe_code,
    reason = "the lock's inside, and interrupts put back to what they were"
)]

mod current;
mod inner;
mod steps;

use core::{fmt, marker::PhantomData};

use self::inner::{Inner, InnerGuard, spin_loop};
pub(crate) use self::{current::Current, steps::run_all};
use crate::Platform;

#[cfg(not(loom))]
pub(crate) use core::sync::atomic;
#[cfg(loom)]
pub(crate) use loom::sync::atomic;

/// Which CPUs hold a lock, where that is checked: the first so many.
#[cfg(all(debug_assertions, not(loom)))]
static HOLDS: [atomic::AtomicBool; 256] = [const { atomic::AtomicBool::new(false) }; 256];

/// Checks *One at a time*.
#[inline]
fn begin_hold(cpu: u32, name: &'static str) {
    #[cfg(all(debug_assertions, not(loom)))]
    if let Some(holds) = HOLDS.get(cpu as usize) {
        // Relaxed: only this CPU touches it.
        let already = holds.swap(true, atomic::Ordering::Relaxed);
        assert!(
            !already,
            "lock `{name}` taken while CPU {cpu} holds another"
        );
    }
    let _ = (cpu, name);
}

#[inline]
fn end_hold(cpu: u32) {
    #[cfg(all(debug_assertions, not(loom)))]
    if let Some(holds) = HOLDS.get(cpu as usize) {
        holds.store(false, atomic::Ordering::Relaxed);
    }
    let _ = cpu;
}

/// Masks local interrupts for as long as it lives.
struct Masked<P: Platform> {
    were_enabled: bool,
    /// Bound to one CPU: neither sent nor shared.
    _platform: PhantomData<(P, *const ())>,
}

impl<P: Platform> Masked<P> {
    fn new() -> Self {
        Self {
            were_enabled: P::mask_interrupts(),
            _platform: PhantomData,
        }
    }
}

impl<P: Platform> Drop for Masked<P> {
    fn drop(&mut self) {
        // SAFETY: `were_enabled` is what this value's own `mask_interrupts` returned, the value
        // cannot leave the CPU (`*const ()` keeps it from being sent, and `Platform` promises that
        // the caller is not moved while masked), and values on the stack drop in reverse order.
        unsafe { P::restore_interrupts(self.were_enabled) }
    }
}

/// A spinlock that masks local interrupts while it is held.
///
/// Taking it again on the CPU that already holds it is a bug of the caller and panics with the
/// lock's name instead of hanging.
pub struct IrqMutex<P, T> {
    name: &'static str,
    inner: Inner<T>,
    _platform: PhantomData<fn() -> P>,
}

/// Releases in the order that matters: the check, the spinlock, the interrupts. Also when the
/// closure panics.
struct Held<'a, P: Platform, T> {
    /// The CPU, if this hold is a checked one.
    checked: Option<u32>,
    // Fields drop in order of declaration: the lock first, then the mask.
    guard: InnerGuard<'a, T>,
    _masked: Masked<P>,
}

impl<P: Platform, T> Drop for Held<'_, P, T> {
    #[inline(always)]
    fn drop(&mut self) {
        if let Some(cpu) = self.checked {
            end_hold(cpu);
        }
    }
}

impl<P: Platform, T> IrqMutex<P, T> {
    /// Makes a free lock around `value`; `name` is what a report calls it.
    #[cfg(not(loom))]
    pub const fn new(name: &'static str, value: T) -> Self {
        Self {
            name,
            inner: Inner::new(value),
            _platform: PhantomData,
        }
    }

    /// Makes a free lock around `value`; `name` is what a report calls it.
    #[cfg(loom)]
    pub fn new(name: &'static str, value: T) -> Self {
        Self {
            name,
            inner: Inner::new(value),
            _platform: PhantomData,
        }
    }

    /// Runs `f` on the value, with local interrupts masked and every other CPU kept out.
    ///
    /// # Panics
    ///
    /// If the calling CPU already holds this lock; with debug assertions, if it holds any.
    #[inline(always)]
    pub fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        let _masked = Masked::<P>::new();
        let cpu = P::cpu();
        let guard = match self.inner.try_lock(cpu) {
            Some(guard) => guard,
            None => self.contend(cpu),
        };
        begin_hold(cpu, self.name);
        let mut held = Held {
            checked: Some(cpu),
            guard,
            _masked,
        };
        f(held.guard.value())
    }

    /// Returns the value, which nobody else can reach.
    pub(crate) fn get_mut(&mut self) -> &mut T {
        self.inner.get_mut()
    }

    /// Runs `f` on the value if the lock comes free within so many `tries`; else returns `None`.
    ///
    /// For a caller that must go on whatever holds the lock, such as the printer of a panic; it may
    /// hold another lock.
    pub fn try_with<R>(&self, tries: u32, f: impl FnOnce(&mut T) -> R) -> Option<R> {
        let _masked = Masked::<P>::new();
        let cpu = P::cpu();
        for _ in 0..tries {
            if let Some(guard) = self.inner.try_lock(cpu) {
                let mut held = Held {
                    checked: None,
                    guard,
                    _masked,
                };
                return Some(f(held.guard.value()));
            }
            spin_loop();
        }
        None
    }

    #[cold]
    fn contend(&self, cpu: u32) -> InnerGuard<'_, T> {
        loop {
            // A CPU sees its own stores in order, so if this CPU holds the lock it reads its own
            // number here; any other number means that somebody else will release it.
            if self.inner.holder() == cpu {
                panic!("lock `{}` taken twice on CPU {cpu}", self.name);
            }
            spin_loop();
            if let Some(guard) = self.inner.try_lock(cpu) {
                return guard;
            }
        }
    }
}

impl<P, T> fmt::Debug for IrqMutex<P, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IrqMutex")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;
    use crate::fake::{FakePlatform, assert_unmasked};

    fn is_masked() -> bool {
        catch_unwind(assert_unmasked).is_err()
    }

    #[test]
    fn lock_masks_interrupts_and_puts_them_back() {
        let lock = IrqMutex::<FakePlatform, _>::new("lock", ());
        assert!(!is_masked());
        assert!(lock.with(|()| is_masked()));
        assert!(!is_masked());
        assert_eq!(lock.try_with(1, |()| is_masked()), Some(true));
        assert!(!is_masked());
        let panics = || lock.with(|()| panic!("under the lock"));
        assert!(catch_unwind(AssertUnwindSafe(panics)).is_err());
        assert!(!is_masked());
        lock.with(|()| {
            // It does not come free: the way out is another one.
            assert_eq!(lock.try_with(3, |()| ()), None);
            assert!(is_masked());
        });
        // As they were is masked, too.
        let other = IrqMutex::<FakePlatform, _>::new("other", ());
        other.with(|()| {
            assert_eq!(lock.try_with(1, |()| ()), Some(()));
            assert!(is_masked());
        });
        assert!(!is_masked());
    }

    #[test]
    #[should_panic(expected = "lock `lock` taken twice on CPU")]
    fn lock_that_is_taken_twice_says_so() {
        let lock = IrqMutex::<FakePlatform, _>::new("lock", ());
        lock.with(|()| lock.with(|()| ()));
    }

    #[test]
    #[cfg(debug_assertions)]
    #[should_panic(expected = "lock `second` taken while CPU")]
    fn two_locks_at_once_are_noticed() {
        let [first, second] =
            ["first", "second"].map(|name| IrqMutex::<FakePlatform, _>::new(name, ()));
        first.with(|()| second.with(|()| ()));
    }
}
