//! A value that is read on every interrupt and replaced at every recovery.
//!
//! For the epochs of a device. The one rule: [`Current::sweep`] frees an old value, never an
//! interrupt handler that was reading it.

use alloc::{sync::Arc, vec::Vec};
use core::fmt;

use super::{
    IrqMutex,
    atomic::{AtomicPtr, AtomicUsize, Ordering},
};
use crate::{Error, Platform, heap::room_for};

/// An [`Arc`] that is read often, by interrupt handlers too, and seldom replaced.
///
/// A reader takes no lock and no reference: it counts itself in and out. So a reader never frees a
/// value, and an interrupt handler frees nothing at all; [`sweep`](Self::sweep) frees what has been
/// replaced.
///
/// # Invariant
///
/// *Kept*: `value` points to what an `Arc` in `kept` holds, and one leaves `kept` only when it is
/// not the one that `value` points to and nobody has been reading since that was so.
pub(crate) struct Current<P, T> {
    value: AtomicPtr<T>,
    /// How many are reading.
    readers: AtomicUsize,
    /// The value of now and those from before that somebody may still have.
    kept: IrqMutex<P, Vec<Arc<T>>>,
}

/// Memory for what a [`Current`] keeps and one value more.
pub(crate) struct Room<T>(Vec<Arc<T>>);

/// Counts a reader out, also when it panics.
struct Reading<'a>(&'a AtomicUsize);

impl Drop for Reading<'_> {
    #[inline]
    fn drop(&mut self) {
        // Release: pairs with the load in `sweep`; this reader is done with the value.
        self.0.fetch_sub(1, Ordering::Release);
    }
}

impl<P: Platform, T> Current<P, T> {
    pub(crate) fn new(name: &'static str, value: Arc<T>) -> Self {
        Self {
            value: AtomicPtr::new(Arc::as_ptr(&value).cast_mut()),
            readers: AtomicUsize::new(0),
            kept: IrqMutex::new(name, Vec::from([value])),
        }
    }

    /// Runs `f` on the value of now. Any context; nothing is waited for.
    #[inline(always)]
    pub(crate) fn read<R>(&self, f: impl FnOnce(&T) -> R) -> R {
        self.read_pointer(|value| {
            // SAFETY: *Kept*, and this reader has counted itself in.
            f(unsafe { &*value })
        })
    }

    /// Tells whether `value` is the one of now.
    pub(crate) fn is_now(&self, value: &T) -> bool {
        core::ptr::eq(self.value.load(Ordering::SeqCst), value)
    }

    /// Returns the value of now.
    #[inline]
    pub(crate) fn get(&self) -> Arc<T> {
        self.read_pointer(|value| {
            // SAFETY: the pointer is that of an `Arc` that holds a reference while this reader is
            // counted in (*Kept*); the reference added here is the one that is returned.
            unsafe {
                Arc::increment_strong_count(value);
                Arc::from_raw(value)
            }
        })
    }

    #[inline(always)]
    fn read_pointer<R>(&self, f: impl FnOnce(*const T) -> R) -> R {
        // SeqCst, both: pairs with the store and the load in `replace` and `sweep`. Either the load
        // here gives the new value, or `sweep` finds this reader.
        self.readers.fetch_add(1, Ordering::SeqCst);
        fence_for_loom();
        let _reading = Reading(&self.readers);
        f(self.value.load(Ordering::SeqCst))
    }

    /// Finds memory for one more value, without the lock: nothing is allocated under it.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfMemory`].
    pub(crate) fn room(&self) -> Result<Room<T>, Error> {
        let len = self.kept.with(|kept| kept.len());
        Ok(Room(room_for(len + 1)?))
    }

    /// Puts `value` in place of the one of now, which is kept until [`sweep`](Self::sweep) finds
    /// that nobody has it. Not from an interrupt handler.
    pub(crate) fn replace(&self, value: Arc<T>, room: Room<T>) {
        let Room(mut room) = room;
        self.kept.with(|kept| {
            debug_assert!(
                kept.len() < room.capacity(),
                "replaced by two callers at once"
            );
            room.append(kept);
            core::mem::swap(kept, &mut room);
            let pointer = Arc::as_ptr(&value).cast_mut();
            kept.push(value);
            // SeqCst: see `read_pointer`.
            self.value.store(pointer, Ordering::SeqCst);
        });
    }

    /// Frees the values from before that nobody has any more. Not from an interrupt handler.
    pub(crate) fn sweep(&self) {
        loop {
            let unused = self.kept.with(|kept| {
                // SeqCst: see `read_pointer`. Acquire: pairs with the release of `Reading`.
                let current = self.value.load(Ordering::SeqCst);
                fence_for_loom();
                if self.readers.load(Ordering::SeqCst) > 0 {
                    return None;
                }
                // Counted after the readers: one that has just left may have taken a reference.
                let unused = |value: &Arc<T>| {
                    !core::ptr::eq(Arc::as_ptr(value), current) && Arc::strong_count(value) == 1
                };
                let position = kept.iter().position(unused)?;
                Some(kept.swap_remove(position))
            });
            if unused.is_none() {
                break;
            }
        }
    }
}

/// Loom takes accesses that are SeqCst for AcqRel.
#[inline]
fn fence_for_loom() {
    #[cfg(loom)]
    super::atomic::fence(Ordering::SeqCst);
}

impl<P, T> fmt::Debug for Current<P, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Current").finish_non_exhaustive()
    }
}
