//! Sessions that come and go on eight CPUs for some seconds, with requests dropped wherever they
//! are: afterwards nothing is left, in the driver or on the device.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::{sync::Arc, vec, vec::Vec};
use core::sync::atomic::{AtomicU64, Ordering};

use kernel::{
    crypto::{self, CryptoDevice, Reach, Wiring},
    memory, smp,
    task::executor,
    time,
};
use virtio_crypto::{Cipher, CipherAlgorithm, Direction, InterruptStats, Options};

#[expect(dead_code, reason = "other tests use the rest")]
#[path = "../../host/services/checks/random.rs"]
mod random;
use random::Random;

kernel::tests! {
    machines: ["smp=8"],
    tests: [random_drops_leave_nothing],
}

const KEY: [u8; 16] = [7; 16];
const IV: [u8; 16] = [1; 16];
const SOAK_NS: u64 = 12_000_000_000;
/// The test has longer than others.
const LIMIT_NS: u64 = 150_000_000_000;
/// Sessions that QEMU's backend has room for.
const DEVICE_SESSIONS: usize = 256;
/// Tasks that come and go at one time on each CPU.
const LANES: u32 = 3;

static FINISHED: AtomicU64 = AtomicU64::new(0);
static DROPPED: AtomicU64 = AtomicU64::new(0);

/// One session's life, whole: inline and buffered requests, closed or dropped.
async fn life(device: Arc<CryptoDevice>, kind: usize) {
    let session = Cipher::open(&device, CipherAlgorithm::AesCbc, Direction::Encrypt, &KEY).await;
    let session = session.expect("a session");
    for size in [16, 512, 4096] {
        let mut data = vec![kind as u8; size];
        session
            .process_slice(&IV, &mut data)
            .await
            .expect("an answer");
    }
    if kind.is_multiple_of(2) {
        session.close().await.expect("an end");
    }
    FINISHED.fetch_add(1, Ordering::Relaxed);
}

/// Starts lives and lets each end, or drops it somewhere in the middle.
async fn lane(device: Arc<CryptoDevice>, seed: u64, end_ns: u64) {
    let mut random = Random::new(seed);
    while time::now_ns() < end_ns {
        let task = executor::spawn(life(device.clone(), random.below(4))).expect("room for a task");
        if random.below(3) == 0 {
            task.await;
            continue;
        }
        time::sleep_ns(random.below(400_000) as u64).await;
        if !task.is_finished() {
            DROPPED.fetch_add(1, Ordering::Relaxed);
        }
        drop(task);
    }
}

fn settle(device: &CryptoDevice) {
    crypto::wait_until_idle(device, 0, 20_000_000_000);
}

fn random_drops_leave_nothing() {
    time::set_watchdog(Some(time::now_ns() + LIMIT_NS));
    assert_eq!(smp::start_all(), 0, "CPUs did not come up");
    let options = Options::default();
    let device = crypto::open_crypto(0, Reach::Pci, Wiring::Best, options)
        .expect("a device that works")
        .expect("a device");
    let free_frames = memory::free_frame_count();

    let end_ns = time::now_ns() + SOAK_NS;
    let lanes: Vec<_> = (0..smp::online() * LANES)
        .map(|number| {
            let seed = 0x9e37_79b9_7f4a_7c15u64.wrapping_mul(1 + u64::from(number));
            let lane = lane(device.clone(), seed, end_ns);
            executor::spawn_on(number % smp::online(), lane).expect("room for a task")
        })
        .collect();
    executor::block_on(async {
        for lane in lanes {
            lane.await;
        }
    });
    settle(&device);

    let (finished, dropped) = (
        FINISHED.load(Ordering::Relaxed),
        DROPPED.load(Ordering::Relaxed),
    );
    assert!(finished > 1000, "{finished} finished, {dropped} dropped");
    assert!(dropped > 1000, "{finished} finished, {dropped} dropped");
    for queue in [device.control_stats(), device.data_stats()] {
        assert_eq!(queue.submitted, queue.completed, "{queue:?}");
        assert_eq!(queue.submitted, queue.published, "{queue:?}");
    }
    assert!(device.control_stats().abandoned + device.data_stats().abandoned > 0);
    assert_eq!(
        memory::free_frame_count(),
        free_frames,
        "buffers were not freed"
    );
    let InterruptStats { unhandled, .. } = device.interrupt_stats();
    assert_eq!(unhandled, 0);

    // The device's own opinion: it has room for as many sessions as ever.
    let open = || Cipher::open(&device, CipherAlgorithm::AesCbc, Direction::Encrypt, &KEY);
    let sessions = crypto::join_all((0..DEVICE_SESSIONS).map(|_| open()));
    let sessions = executor::block_on(device.batch(sessions));
    let refused = sessions.iter().filter(|session| session.is_err()).count();
    assert_eq!(refused, 0, "the device kept {refused} sessions");
    drop(sessions);
    settle(&device);
    kernel::println!("{finished} finished, {dropped} dropped");
}
