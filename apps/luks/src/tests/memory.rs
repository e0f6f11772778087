//! A disk in memory, and software that deciphers.

use std::{
    future::Future,
    pin::pin,
    sync::atomic::{AtomicUsize, Ordering},
    task::{Context, Poll, Waker},
};

use aes::{Aes128, Aes256, cipher::KeyInit};
use xts_mode::{Xts128, get_tweak_default};

use crate::machine::{Machine, SECTOR_LEN};

/// What goes wrong with a disk on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trouble;

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "trouble")
    }
}

/// A disk in memory.
pub struct MemoryDisk {
    pub bytes: Vec<u8>,
    /// How many reads succeed before one fails.
    pub reads_left: AtomicUsize,
}

impl MemoryDisk {
    pub fn new(bytes: Vec<u8>) -> Self {
        Self {
            bytes,
            reads_left: AtomicUsize::new(usize::MAX),
        }
    }
}

impl Machine for MemoryDisk {
    type Error = Trouble;

    fn len_bytes(&self) -> u64 {
        self.bytes.len() as u64
    }

    async fn read(&self, first_sector: u64, sectors: &mut [u8]) -> Result<(), Trouble> {
        let left = self.reads_left.fetch_sub(1, Ordering::Relaxed);
        if left == 0 {
            return Err(Trouble);
        }
        assert!(!sectors.is_empty() && sectors.len().is_multiple_of(SECTOR_LEN));
        let start = usize::try_from(first_sector).expect("a sector of the disk") * SECTOR_LEN;
        let found = self.bytes.get(start..start + sectors.len());
        sectors.copy_from_slice(found.expect("sectors of the disk"));
        Ok(())
    }

    async fn decipher(&self, key: &[u8], sectors: &mut [u8]) -> Result<(), Trouble> {
        xts(key, sectors, false);
        Ok(())
    }
}

/// Enciphers or deciphers sectors, of which the first has tweak 0.
pub fn xts(key: &[u8], sectors: &mut [u8], encipher: bool) {
    macro_rules! run {
        ($aes:ty, $half:expr) => {{
            let half = |range| <$aes>::new_from_slice(&key[range]).expect("half a key");
            let xts = Xts128::new(half(0..$half), half($half..2 * $half));
            if encipher {
                xts.encrypt_area(sectors, SECTOR_LEN, 0, get_tweak_default);
            } else {
                xts.decrypt_area(sectors, SECTOR_LEN, 0, get_tweak_default);
            }
        }};
    }
    match key.len() {
        32 => run!(Aes128, 16),
        _ => run!(Aes256, 32),
    }
}

/// Runs what never waits.
pub fn now<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("memory makes nobody wait"),
    }
}
