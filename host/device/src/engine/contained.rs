//! A panic inside, which is our own mistake and no driver's business.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::wire::status::Refusal;

/// Turns a panic into a refusal. No lock is held while something is computed, and what is written
/// is written by the caller, so nothing is left half done.
pub(super) fn contained<T>(compute: impl FnOnce() -> Result<T, Refusal>) -> Result<T, Refusal> {
    catch_unwind(AssertUnwindSafe(compute)).unwrap_or(Err(Refusal::error("the device panicked")))
}
