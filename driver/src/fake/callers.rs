//! What callers do in tests, and what they compare with.
//!
//! Here and in the tests of the services, which include this file by its path: so it names the
//! driver as others do.

use alloc::{sync::Arc, task::Wake, vec::Vec};
use core::{
    future::Future,
    ops::ControlFlow,
    pin::Pin,
    sync::atomic::{AtomicUsize, Ordering},
    task::{Context, Poll, Waker},
};
use std::{
    sync::{Condvar, Mutex},
    thread,
    time::{Duration, Instant},
};

use aes::{Aes128, Aes192, Aes256};
use cbc::cipher::{BlockModeEncrypt, KeyIvInit, block_padding::NoPadding};

pub(crate) const KEY: [u8; 16] = [0x42; 16];
pub(crate) const IV: [u8; 16] = [0x17; 16];

/// One at a time, so that the pages that are live are one test's.
static TAKEN: Mutex<bool> = Mutex::new(false);
static FREE: Condvar = Condvar::new();

/// Keeps the others waiting.
#[derive(Debug)]
pub(crate) struct Alone;

impl Alone {
    pub(crate) fn new() -> Self {
        let mut taken = TAKEN.lock().unwrap();
        while core::mem::replace(&mut *taken, true) {
            taken = FREE.wait(taken).unwrap();
        }
        Self
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        *TAKEN.lock().unwrap() = false;
        FREE.notify_one();
    }
}

/// A time in which everything should have happened: in Miri, whose clock goes on by what it runs,
/// and with a sanitizer, too.
const LIMIT: Duration = Duration::from_secs(if cfg!(any(miri, apart)) { 2000 } else { 20 });

/// Runs a future to its end; fails after a time in which everything should have happened.
pub(crate) fn run<F: Future>(future: F) -> F::Output {
    let start = Instant::now();
    let outcome = virtio_crypto::block_on(future, |_| {
        thread::yield_now();
        match start.elapsed() < LIMIT {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        }
    });
    outcome.expect("no end in time: a kick or an interrupt was lost")
}

/// Polls a future once, for nobody.
pub(crate) fn poll_once<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

/// Counts wakes.
#[derive(Debug, Default)]
pub(crate) struct Wakes(AtomicUsize);

impl Wakes {
    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// What AES-CBC makes of `data`.
pub(crate) fn oracle(key: &[u8], iv: &[u8; 16], data: &[u8]) -> Vec<u8> {
    let mut data = data.to_vec();
    let len = data.len();
    macro_rules! with {
        ($aes:ty) => {{
            let mode = cbc::Encryptor::<$aes>::new_from_slices(key, iv).unwrap();
            mode.encrypt_padded::<NoPadding>(&mut data, len).unwrap();
        }};
    }
    match key.len() {
        16 => with!(Aes128),
        24 => with!(Aes192),
        _ => with!(Aes256),
    }
    data
}
