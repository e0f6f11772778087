//! The spinlock inside of a lock that masks interrupts.
//!
//! For `IrqMutex` alone, which keeps it from being taken where it would not come free. The one rule:
//! the value is reached by whoever has put its number into the lock's word.

#[cfg(not(loom))]
use core::cell::UnsafeCell;
#[cfg(not(loom))]
pub(super) use core::hint::spin_loop;

#[cfg(loom)]
pub(super) use loom::thread::yield_now as spin_loop;

use super::atomic::{AtomicU32, Ordering};

/// No CPU holds the lock.
const NOBODY: u32 = u32::MAX;

/// The spinlock inside: one word, the number of the CPU that holds it or [`NOBODY`].
///
/// # Invariant
///
/// *Exclusive*: from the compare-exchange that replaces `NOBODY` in `holder` to the store that puts
/// it back there is one [`InnerGuard`], and only through it is `value` reached.
#[cfg(not(loom))]
pub(super) struct Inner<T> {
    holder: AtomicU32,
    value: UnsafeCell<T>,
}

// SAFETY: *Exclusive*, so that sharing the lock lends the value to one CPU after the other.
#[cfg(not(loom))]
unsafe impl<T: Send> Sync for Inner<T> {}

#[cfg(not(loom))]
pub(super) struct InnerGuard<'a, T>(&'a Inner<T>);

#[cfg(not(loom))]
impl<T> Inner<T> {
    pub(super) const fn new(value: T) -> Self {
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
        self.value.get_mut()
    }
}

#[cfg(not(loom))]
impl<T> InnerGuard<'_, T> {
    #[inline(always)]
    pub(super) fn value(&mut self) -> &mut T {
        // SAFETY: *Exclusive*.
        unsafe { &mut *self.0.value.get() }
    }
}

#[cfg(not(loom))]
impl<T> Drop for InnerGuard<'_, T> {
    #[inline(always)]
    fn drop(&mut self) {
        self.0.holder.store(NOBODY, Ordering::Release);
    }
}

/// Stands in for the spinlock under loom, which must see every wait.
#[cfg(loom)]
pub(super) struct Inner<T> {
    holder: AtomicU32,
    value: loom::sync::Mutex<T>,
}
#[cfg(loom)]
pub(super) struct InnerGuard<'a, T>(&'a AtomicU32, loom::sync::MutexGuard<'a, T>);
#[cfg(loom)]
impl<T> Inner<T> {
    pub(super) fn new(value: T) -> Self {
        Self {
            holder: AtomicU32::new(NOBODY),
            value: loom::sync::Mutex::new(value),
        }
    }
    pub(super) fn try_lock(&self, cpu: u32) -> Option<InnerGuard<'_, T>> {
        let guard = self.value.try_lock().ok()?;
        self.holder.store(cpu, Ordering::Relaxed);
        Some(InnerGuard(&self.holder, guard))
    }
    pub(super) fn holder(&self) -> u32 {
        self.holder.load(Ordering::Relaxed)
    }
    pub(super) fn get_mut(&mut self) -> &mut T {
        self.value.get_mut().expect("no holder has panicked")
    }
}
#[cfg(loom)]
impl<T> InnerGuard<'_, T> {
    pub(super) fn value(&mut self) -> &mut T {
        &mut self.1
    }
}
#[cfg(loom)]
impl<T> Drop for InnerGuard<'_, T> {
    fn drop(&mut self) {
        self.0.store(NOBODY, Ordering::Relaxed);
    }
}
