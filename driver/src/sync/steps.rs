//! Steps that run code of callers', which may panic.
//!
//! The one rule: a step that panics costs no other step its turn.

/// Runs `step` until it returns `false`, past a panic too: the wakers and destructors of one caller
/// cost no other caller its turn. The steps that are left then run while the panic goes on,
/// beginning with the one that panicked; one that panics meanwhile aborts, as a panic in a
/// destructor does.
#[inline(always)]
pub(crate) fn run_all(step: impl FnMut() -> bool) {
    let mut rest = Rest(step);
    while (rest.0)() {}
    core::mem::forget(rest);
}

struct Rest<F: FnMut() -> bool>(F);

impl<F: FnMut() -> bool> Drop for Rest<F> {
    fn drop(&mut self) {
        while (self.0)() {}
    }
}
