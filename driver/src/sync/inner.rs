//! The spinlock inside of a lock that masks interrupts.
//!
//! For `IrqMutex` alone, which keeps it from being taken where it would not come free. The one
//! rule: the value is reached by whoever has put its number into the lock's word.

#[cfg(not(loom))]
pub(super) use core::hint::spin_loop;

#[cfg(loom)]
use loom::cell::UnsafeCell;
#[cfg(loom)]
pub(super) use loom::thread::yield_now as spin_loop;

use super::atomic::{AtomicU32, Ordering};

/// No CPU holds the lock.
const NOBODY: u32 = u32::MAX;

/// One word, the number of the CPU that holds it or [`NOBODY`], and the value.
///
/// # Invariant
///
/// *Exclusive*: from the compare-exchange that replaces `NOBODY` in `holder` to the store that puts
/// it back there is one [`InnerGuard`], and only through it is `value` reached.
pub(super) struct Inner<T> {
    holder: AtomicU32,
    value: UnsafeCell<T>,
}

// SAFETY: *Exclusive*, so that sharing the lock lends the value to one CPU after the other.
unsafe impl<T: Send> Sync for Inner<T> {}

pub(super) struct InnerGuard<'a, T>(&'a Inner<T>);

impl<T> Inner<T> {
    #[cfg(not(loom))]
    pub(super) const fn new(value: T) -> Self {
        Self {
            holder: AtomicU32::new(NOBODY),
            value: UnsafeCell::new(value),
        }
    }

    #[cfg(loom)]
    pub(super) fn new(value: T) -> Self {
        Self {
            holder: AtomicU32::new(NOBODY),
            value: UnsafeCell::new(value),
        }
    }

    #[inline(always)]
    pub(super) fn try_lock(&self, cpu: u32) -> Option<InnerGuard<'_, T>> {
        // Acquire: pairs with the release in the guard's drop.
        let taken = self
            .holder
            .compare_exchange(NOBODY, cpu, Ordering::Acquire, Ordering::Relaxed);
        // A guard only if it is taken: dropping one releases.
        taken.is_ok().then(|| InnerGuard(self))
    }

    pub(super) fn holder(&self) -> u32 {
        self.holder.load(Ordering::Relaxed)
    }

    pub(super) fn get_mut(&mut self) -> &mut T {
        // SAFETY: nobody else can reach the lock.
        self.value.with_mut(|value| unsafe { &mut *value })
    }
}

impl<T> InnerGuard<'_, T> {
    #[inline(always)]
    pub(super) fn value(&mut self) -> &mut T {
        // SAFETY: *Exclusive*.
        self.0.value.with_mut(|value| unsafe { &mut *value })
    }
}

impl<T> Drop for InnerGuard<'_, T> {
    #[inline(always)]
    fn drop(&mut self) {
        // Release: pairs with the acquire in `try_lock`.
        self.0.holder.store(NOBODY, Ordering::Release);
    }
}

/// The language's cell in the form of loom's, which sees who reaches it when.
#[cfg(not(loom))]
struct UnsafeCell<T>(core::cell::UnsafeCell<T>);

#[cfg(not(loom))]
impl<T> UnsafeCell<T> {
    const fn new(value: T) -> Self {
        Self(core::cell::UnsafeCell::new(value))
    }

    #[inline(always)]
    fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
        f(self.0.get())
    }
}
