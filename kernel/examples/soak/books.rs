//! What there is when nobody does anything: sessions, slots, frames and heap. After each round it
//! has to be what it was at the beginning.

use alloc::{boxed::Box, sync::Arc, vec::Vec};
use core::{
    fmt,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use kernel::{
    crypto::{self, CryptoDevice},
    memory::{self, heap},
    smp,
    task::executor,
    time,
};
use virtio_crypto::{Cipher, CipherAlgorithm, Direction, Error, QueueStats};

use crate::{SECOND_NS, place::Place, spawn_on, tally::Count};

const KEY: [u8; 16] = [0x6b; 16];
const IV: [u8; 16] = [0x1e; 16];
/// How long a device may take until nothing is in flight.
const LIMIT_NS: u64 = 30 * SECOND_NS;
/// A watch of a device that has left has ended after so long.
const WATCH_NS: u64 = SECOND_NS / 2;
/// More requests than a queue has slots.
const MORE_THAN_SLOTS: usize = 200;
/// As many sessions as the driver is set up for, which QEMU's backend has, too.
const MOST_SESSIONS: usize = 256;

/// Bytes of device memory that were given up to devices that were pulled out: those may write to it
/// as far as anybody knows. They count as if they were there.
pub static GIVEN_UP: Count = Count::new();

/// What there is.
#[derive(Debug)]
pub struct Books {
    /// Sessions that can be opened, on all devices together.
    sessions: usize,
    /// Requests that each data queue and each control queue takes at once, together.
    slots: u64,
    /// Free frames, and those that were given up.
    frames: usize,
    /// Those that were given up.
    given_up: usize,
    /// Bytes of the heap that are taken.
    heap: usize,
}

impl Books {
    /// Counts, once nothing is in flight and no session is open.
    pub fn open(places: &[Place]) -> Self {
        let devices: Vec<_> = places.iter().filter_map(Place::device).collect();
        assert_eq!(devices.len(), places.len(), "a device has not come back");
        let (mut sessions, mut slots) = (0, 0);
        for device in &devices {
            settle(device);
            sessions += count_sessions(device);
            settle(device);
            slots += count_slots(device);
            settle(device);
        }
        drop(devices);
        // Watches of devices that have left end when they look for them again.
        executor::block_on(time::sleep_ns(WATCH_NS));
        let given_up = GIVEN_UP.get() as usize / memory::FRAME_LEN;
        Self {
            sessions,
            slots,
            frames: memory::free_frame_count() + given_up,
            given_up,
            heap: heap::used_bytes(),
        }
    }

    /// Tells whether no session and no slot is missing.
    pub fn serves_like(&self, beginning: &Self) -> bool {
        (self.sessions, self.slots) == (beginning.sessions, beginning.slots)
    }

    /// Tells whether nothing is missing.
    pub fn equals(&self, beginning: &Self) -> bool {
        let counts = |books: &Self| (books.sessions, books.slots, books.frames, books.heap);
        counts(self) == counts(beginning)
    }
}

impl fmt::Display for Books {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "sessions={} slots={} frames={} given_up={} heap={}",
            self.sessions, self.slots, self.frames, self.given_up, self.heap,
        )
    }
}

/// Waits until no device has anything to do.
pub fn settle_all(places: &[Place]) {
    let devices = places.iter().filter_map(Place::device);
    devices.for_each(|device| settle(&device));
}

/// Waits until nothing is in flight, no session is open and no message is on its way.
fn settle(device: &CryptoDevice) {
    crypto::wait_until_idle(device, 0, LIMIT_NS);
    executor::block_on(smp::run_everywhere());
    // What tasks that ended there have kept of lives before is freed.
    device.poll();
    let end_ns = time::now_ns() + LIMIT_NS;
    executor::block_on(async {
        while !device.settle() {
            assert!(time::now_ns() < end_ns, "the device does not settle");
            time::sleep_ns(20_000_000).await;
            // A CPU that runs a task has answered what had reached it.
            smp::run_everywhere().await;
        }
    });
}

/// Returns how many sessions can be opened.
fn count_sessions(device: &CryptoDevice) -> usize {
    let open = || Cipher::open(device, CipherAlgorithm::AesCbc, Direction::Encrypt, &KEY);
    let opening = crypto::join_all((0..MOST_SESSIONS).map(|_| open()));
    let sessions = executor::block_on(device.batch(opening));
    sessions.iter().filter(|session| session.is_ok()).count()
}

/// Returns how many requests get a slot at once, of all queues: none gives its slot back before it
/// is polled again.
fn count_slots(device: &Arc<CryptoDevice>) -> u64 {
    let open = || Cipher::open(device, CipherAlgorithm::AesCbc, Direction::Encrypt, &KEY);
    let requests = (0..MORE_THAN_SLOTS).map(|_| Box::pin(open()));
    let on_control = count_held(device, requests.collect(), || device.control_stats());
    settle(device);
    let queues = device.data_queues().min(smp::online() as usize);
    let on_data = (0..queues).map(|queue| {
        let count = count_slots_of(device.clone(), queue);
        executor::block_on(spawn_on(queue as u32, count))
    });
    on_control + on_data.sum::<u64>()
}

/// Counts the slots of a data queue, which is that of the calling CPU.
async fn count_slots_of(device: Arc<CryptoDevice>, queue: usize) -> u64 {
    let open = Cipher::open(&device, CipherAlgorithm::AesCbc, Direction::Encrypt, &KEY);
    let session = match open.await {
        Ok(session) => session,
        Err(error) => panic!("a session to count slots with: {error}"),
    };
    let request = async || {
        let mut data = [0; 64];
        session.process_slice(&IV, &mut data).await
    };
    let requests = (0..MORE_THAN_SLOTS).map(|_| Box::pin(request()));
    let stats = || device.data_queue_stats(queue).unwrap_or_default();
    count_held(&device, requests.collect(), stats)
}

/// Polls each of these once, tells how many have a slot then, and drops them. The device may answer
/// some at once, which therefore have given theirs back; the last ones wait in the line.
fn count_held<T, F: Future<Output = Result<T, Error>>>(
    device: &CryptoDevice,
    mut requests: Vec<Pin<Box<F>>>,
    stats: impl Fn() -> QueueStats,
) -> u64 {
    let before = stats().submitted;
    let mut context = Context::from_waker(Waker::noop());
    // With few kicks, so that most are sent before the device has heard of any.
    let polled: Vec<_> = device.share_kicks(|| {
        let polled = requests.iter_mut().map(|it| it.as_mut().poll(&mut context));
        polled.collect()
    });
    let sent = stats().submitted - before;
    assert!(sent < requests.len() as u64, "nobody waits for a slot");
    // A session that was opened is closed later: that is a request, too.
    let answered = polled.iter().filter(|outcome| match outcome {
        Poll::Ready(Err(error)) => panic!("a request to count slots with: {error}"),
        outcome => outcome.is_ready(),
    });
    sent - answered.count() as u64
}
