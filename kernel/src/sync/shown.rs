//! A value that interrupt handlers look at without a lock, and that tasks put there and take away.
//!
//! # Invariant
//!
//! *Looked at*: `value` is null or what [`Shown::replace`] made of a box. Whoever looks has counted
//! itself before it read the pointer, and what was replaced is a box again only when nobody counts:
//! by then everybody who read the old pointer has done with it.

use alloc::boxed::Box;
use core::{
    fmt,
    hint::spin_loop,
    marker::PhantomData,
    ptr,
    sync::atomic::{AtomicPtr, AtomicU32, Ordering},
};

/// A place for a value that any CPU's interrupt handlers may look at.
pub struct Shown<T> {
    value: AtomicPtr<T>,
    /// Who looks at this moment.
    lookers: AtomicU32,
    /// It is dropped here.
    owns: PhantomData<Box<T>>,
}

impl<T> Shown<T> {
    /// Makes a place with nothing in it.
    #[expect(clippy::new_without_default, reason = "for a static")]
    pub const fn new() -> Self {
        Self {
            value: AtomicPtr::new(ptr::null_mut()),
            lookers: AtomicU32::new(0),
            owns: PhantomData,
        }
    }

    /// Runs `f` on the value, if there is one. `f` is short and replaces nothing here.
    #[inline]
    pub fn look<R>(&self, f: impl FnOnce(&T) -> R) -> Option<R> {
        // Sequentially consistent, as the load is: pairs with the swap in `replace` and the look at
        // `lookers` behind it. Either that one sees this looker, or this one sees the new value.
        self.lookers.fetch_add(1, Ordering::SeqCst);
        // SAFETY: *Looked at*: what is shown while somebody counts is not taken apart.
        let value = unsafe { self.value.load(Ordering::SeqCst).as_ref() };
        let result = value.map(f);
        // Release: pairs with the acquire in `replace`: what was done with the value comes first.
        self.lookers.fetch_sub(1, Ordering::Release);
        result
    }

    /// Puts a value there, or nothing, and returns what was there, once nobody looks at that any
    /// more. Not from an interrupt handler.
    pub fn replace(&self, value: Option<Box<T>>) -> Option<Box<T>> {
        let new = value.map_or(ptr::null_mut(), Box::into_raw);
        let old = self.value.swap(new, Ordering::SeqCst);
        if old.is_null() {
            return None;
        }
        // Handlers are short, and are not interrupted.
        while self.lookers.load(Ordering::SeqCst) != 0 {
            spin_loop();
        }
        // SAFETY: *Looked at*: a box by origin, taken out by this swap alone, and nobody who saw it
        // is left.
        Some(unsafe { Box::from_raw(old) })
    }
}

impl<T> Drop for Shown<T> {
    fn drop(&mut self) {
        drop(self.replace(None));
    }
}

// SAFETY: *Looked at*: any CPU may look at the value, and any may take it.
unsafe impl<T: Send + Sync> Sync for Shown<T> {}

impl<T> fmt::Debug for Shown<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shown").finish_non_exhaustive()
    }
}
