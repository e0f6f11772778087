//! How the function's locks are taken.
//!
//! For the files of the function. The one rule: what a lock guards is whole wherever a panic may
//! end its holder.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks what no panic leaves half-changed.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
