//! The heap of the test build: tells whether a secret stands in what was freed or in what is live,
//! and refuses one thread's large allocations.
//!
//! A [`Watch`] notes the blocks that its own thread allocates while it lives, but for those that
//! the device and the test itself ask for ([`unwatched`]); it looks into each when it is freed, by
//! whatever thread, and on request into all that are left. Tests in other threads are not looked
//! at, and there is one watch at a time.
//!
//! Nothing here allocates: the allocator calls it.
#![expect(unsafe_code, reason = "an allocator")]

use alloc::alloc::{GlobalAlloc, Layout};
use core::{
    cell::{Cell, UnsafeCell},
    ptr,
    sync::atomic::{AtomicBool, Ordering},
};
use std::{
    alloc::System,
    sync::{Mutex, MutexGuard, PoisonError},
    thread, thread_local,
};

/// A secret is looked for by its pieces of this length: what is left of it may be a part.
const PIECE_LEN: usize = 16;
/// Room for the pieces of the numbers of a private key of 4096 bits.
const MAX_PIECES: usize = 512;
/// Room for the blocks of a driver and of what a test opens.
const MAX_BLOCKS: usize = 1 << 14;

/// A block, as the allocator gave it out.
#[derive(Clone, Copy)]
struct Block {
    start: usize,
    len_bytes: usize,
}

/// What the watch of now knows.
struct Watched {
    pieces: [[u8; PIECE_LEN]; MAX_PIECES],
    /// How many pieces there are.
    count: usize,
    /// First bytes of pieces.
    begins: [bool; 256],
    blocks: [Block; MAX_BLOCKS],
    /// How many blocks are noted.
    noted: usize,
    /// There was no room for a block.
    overflown: bool,
    /// How many blocks held a secret when they were freed.
    freed_with_secret: usize,
}

/// What is watched, under a lock that neither allocates nor panics.
struct Shared {
    is_locked: AtomicBool,
    watched: UnsafeCell<Watched>,
}

// SAFETY: `watched` is reached under the lock alone.
unsafe impl Sync for Shared {}

static SHARED: Shared = Shared {
    is_locked: AtomicBool::new(false),
    watched: UnsafeCell::new(Watched {
        pieces: [[0; PIECE_LEN]; MAX_PIECES],
        count: 0,
        begins: [false; 256],
        blocks: [Block {
            start: 0,
            len_bytes: 0,
        }; MAX_BLOCKS],
        noted: 0,
        overflown: false,
        freed_with_secret: 0,
    }),
};

/// There is a watch: the one thing that every free looks at.
static IS_WATCHED: AtomicBool = AtomicBool::new(false);
/// One watch at a time.
static ALONE: Mutex<()> = Mutex::new(());

thread_local! {
    /// The watch is this thread's.
    static IS_WATCHER: Cell<bool> = const { Cell::new(false) };
    /// What is allocated here is not the driver's.
    static IS_UNWATCHED: Cell<bool> = const { Cell::new(false) };
    /// The largest allocation that succeeds.
    static LIMIT: Cell<usize> = const { Cell::new(usize::MAX) };
}

impl Shared {
    /// `f` neither allocates nor panics.
    fn with<R>(&self, f: impl FnOnce(&mut Watched) -> R) -> R {
        while self.is_locked.swap(true, Ordering::Acquire) {
            thread::yield_now();
        }
        // SAFETY: the lock is held, and `f` does not come here again.
        let result = f(unsafe { &mut *self.watched.get() });
        self.is_locked.store(false, Ordering::Release);
        result
    }
}

impl Watched {
    fn note(&mut self, block: Block) {
        match self.blocks.get_mut(self.noted) {
            Some(place) => {
                *place = block;
                self.noted += 1;
            }
            None => self.overflown = true,
        }
    }

    /// Forgets the block that starts there, and looks into it.
    fn look_and_forget(&mut self, start: usize) {
        let noted = &mut self.blocks[..self.noted];
        // What was allocated last is mostly freed first.
        let Some(index) = noted.iter().rposition(|block| block.start == start) else {
            return;
        };
        let block = noted[index];
        noted[index] = noted[noted.len() - 1];
        self.noted -= 1;
        self.freed_with_secret += usize::from(self.has_secret(block));
    }

    /// Tells whether a piece of a secret stands in a noted block.
    fn has_secret(&self, block: Block) -> bool {
        let Some(last) = block.len_bytes.checked_sub(PIECE_LEN) else {
            return false;
        };
        (0..=last).any(|at| {
            // SAFETY: inside a block that is live, and was zeroed when it was given out.
            let byte =
                |index| unsafe { ptr::read_volatile((block.start + at + index) as *const u8) };
            self.begins[usize::from(byte(0))] && {
                let found: [u8; PIECE_LEN] = core::array::from_fn(byte);
                self.pieces[..self.count].contains(&found)
            }
        })
    }
}

struct Heap;

#[global_allocator]
static HEAP: Heap = Heap;

// SAFETY: the system's allocator, which answers for every block; a refusal is a null pointer. Of
// blocks it gives out under a watch this knows the start and the length, and reads them before they
// go back.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.size() > LIMIT.get() {
            return ptr::null_mut();
        }
        if !IS_WATCHER.get() || IS_UNWATCHED.get() {
            // SAFETY: as the caller promises.
            return unsafe { System.alloc(layout) };
        }
        // Zeroed: what an earlier owner left there is not this one's.
        // SAFETY: as the caller promises.
        let start = unsafe { System.alloc_zeroed(layout) };
        if !start.is_null() {
            let block = Block {
                start: start as usize,
                len_bytes: layout.size(),
            };
            SHARED.with(|watched| watched.note(block));
        }
        start
    }

    unsafe fn dealloc(&self, start: *mut u8, layout: Layout) {
        if IS_WATCHED.load(Ordering::Relaxed) {
            SHARED.with(|watched| watched.look_and_forget(start as usize));
        }
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(start, layout) }
    }

    unsafe fn realloc(&self, start: *mut u8, layout: Layout, len_bytes: usize) -> *mut u8 {
        if len_bytes > LIMIT.get() {
            return ptr::null_mut();
        }
        if !IS_WATCHED.load(Ordering::Relaxed) {
            // SAFETY: as the caller promises.
            return unsafe { System.realloc(start, layout, len_bytes) };
        }
        // Always moved, as an allocator may.
        // SAFETY: the caller promises that this is a layout.
        let new_layout = unsafe { Layout::from_size_align_unchecked(len_bytes, layout.align()) };
        // SAFETY: as the caller promises.
        let new = unsafe { self.alloc(new_layout) };
        if !new.is_null() {
            let copied = layout.size().min(len_bytes);
            // SAFETY: two blocks, each with so many bytes; the old one goes back once.
            unsafe {
                ptr::copy_nonoverlapping(start, new, copied);
                self.dealloc(start, layout);
            }
        }
        new
    }
}

/// Looks for secrets in what this thread allocates from here on. Made before a [`Rig`](super::Rig),
/// since whoever has that may wait for this.
#[derive(Debug)]
pub(crate) struct Watch {
    /// Also what keeps it in its thread.
    _alone: MutexGuard<'static, ()>,
}

impl Watch {
    /// Each secret has 16 bytes at least. What holds it now is not looked at.
    pub(crate) fn new(secrets: &[&[u8]]) -> Self {
        let pieces = || {
            secrets
                .iter()
                .flat_map(|secret| secret.chunks_exact(PIECE_LEN))
        };
        assert!(secrets.iter().all(|secret| secret.len() >= PIECE_LEN));
        assert!(pieces().count() <= MAX_PIECES);
        // Zeros are everywhere.
        let pieces = || pieces().filter(|piece| piece.iter().any(|byte| *byte != piece[0]));
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        SHARED.with(|watched| {
            watched.begins = [false; 256];
            watched.count = 0;
            for (place, piece) in watched.pieces.iter_mut().zip(pieces()) {
                place.copy_from_slice(piece);
                watched.begins[usize::from(piece[0])] = true;
                watched.count += 1;
            }
            (watched.noted, watched.freed_with_secret) = (0, 0);
            watched.overflown = false;
        });
        IS_WATCHED.store(true, Ordering::Relaxed);
        IS_WATCHER.set(true);
        Self { _alone: alone }
    }

    /// Returns how many blocks held a secret when they were freed.
    pub(crate) fn freed_with_secret(&self) -> usize {
        let (freed, overflown) =
            SHARED.with(|watched| (watched.freed_with_secret, watched.overflown));
        assert!(!overflown, "more blocks than a watch has room for");
        freed
    }

    /// Returns how many live blocks hold a secret. For a time at which no other thread has a part
    /// in the test.
    pub(crate) fn live_with_secret(&self) -> usize {
        SHARED.with(|watched| {
            let noted = &watched.blocks[..watched.noted];
            noted
                .iter()
                .filter(|block| watched.has_secret(**block))
                .count()
        })
    }

    /// Checks that no secret is left, in freed memory or in live.
    #[track_caller]
    pub(crate) fn check(&self, when: &str) {
        let left = (self.freed_with_secret(), self.live_with_secret());
        assert_eq!(left, (0, 0), "blocks with a secret, freed and live, {when}");
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        IS_WATCHER.set(false);
        IS_WATCHED.store(false, Ordering::Relaxed);
    }
}

/// Sets a thread's cell for a while.
struct Kept<T: Copy + 'static>(&'static thread::LocalKey<Cell<T>>, T);

impl<T: Copy> Kept<T> {
    fn set(cell: &'static thread::LocalKey<Cell<T>>, value: T) -> Self {
        Self(cell, cell.replace(value))
    }
}

impl<T: Copy> Drop for Kept<T> {
    fn drop(&mut self) {
        self.0.set(self.1);
    }
}

/// Runs what is the caller's or the device's: its blocks are not looked at, and none is refused.
pub(crate) fn unwatched<R>(f: impl FnOnce() -> R) -> R {
    let _unwatched = Kept::set(&IS_UNWATCHED, true);
    let _unlimited = Kept::set(&LIMIT, usize::MAX);
    f()
}

/// Runs `f` while every allocation of this thread above `max_bytes` fails.
pub(crate) fn refuse_above<R>(max_bytes: usize, f: impl FnOnce() -> R) -> R {
    let _limit = Kept::set(&LIMIT, max_bytes);
    f()
}

#[cfg(test)]
mod tests {
    use alloc::{boxed::Box, vec::Vec};

    use super::*;

    const SECRET: [u8; 24] = *b"a secret of 24 bytes ..!";

    #[test]
    fn what_is_freed_with_a_secret_is_found() {
        let before = SECRET.to_vec();
        let watch = Watch::new(&[&SECRET]);
        drop(before);
        drop(unwatched(|| SECRET.to_vec()));
        drop(Box::new([7; 100]));
        watch.check("of which no block is looked at");
        let copy = SECRET.to_vec();
        let counts = || (watch.freed_with_secret(), watch.live_with_secret());
        assert_eq!(counts(), (0, 1));
        thread::spawn(move || drop(copy)).join().unwrap();
        assert_eq!(counts(), (1, 0));
        // What moves leaves a copy.
        let mut growing = Vec::with_capacity(30);
        growing.extend_from_slice(&SECRET);
        growing.reserve_exact(1000);
        assert_eq!(counts(), (2, 1));
        growing.fill(0);
        drop(growing);
        assert_eq!(counts(), (2, 0));
    }

    #[test]
    fn large_allocations_are_refused_to_one_thread() {
        let reserve = |len| Vec::<u8>::new().try_reserve_exact(len).is_ok();
        refuse_above(1000, || {
            assert!(reserve(1000) && !reserve(1001));
            assert!(unwatched(|| reserve(1001)));
            let mut growing = Vec::<u8>::with_capacity(1000);
            assert!(growing.try_reserve_exact(1001).is_err());
            let other = thread::spawn(move || reserve(1001));
            assert!(other.join().unwrap());
        });
        assert!(reserve(1001));
    }
}
