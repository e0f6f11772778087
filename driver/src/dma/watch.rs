//! A look at each access of the driver to memory of its own that the device shares, before it is
//! made.
//!
//! For targets of fuzzing, whose device takes a step between any two accesses, and which judge
//! where the driver reaches; and for models of interleavings, which judge what orders accesses. The
//! one rule: a driver that is built for use has nothing of it.

/// An access that is about to be made.
#[cfg(any(fuzzed, test))]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Access {
    /// Where its first byte is.
    pub(crate) address: usize,
    pub(crate) len_bytes: usize,
    pub(crate) writes: bool,
}

#[cfg(any(fuzzed, test))]
std::thread_local! {
    static WATCHER: core::cell::Cell<Option<fn(Access)>> = const { core::cell::Cell::new(None) };
}

/// Has `watcher` look at the accesses of this thread from here on.
#[cfg(any(fuzzed, test))]
pub(crate) fn set(watcher: fn(Access)) {
    WATCHER.set(Some(watcher));
}

/// Tells the watcher, if there is one.
#[cfg(any(fuzzed, test))]
#[inline]
pub(crate) fn tell(start: *const u8, len_bytes: usize, writes: bool) {
    if let Some(watcher) = WATCHER.get() {
        watcher(Access {
            address: start.addr(),
            len_bytes,
            writes,
        });
    }
}

/// Tells nobody.
#[cfg(not(any(fuzzed, test)))]
#[inline(always)]
pub(crate) fn tell(_: *const u8, _: usize, _: bool) {}
