//! The ring against a device half by another hand (`virtio-queue`), across the index's wrap.

use alloc::{vec, vec::Vec};
use core::sync::atomic::{AtomicBool, AtomicU16, Ordering, fence};
use std::{
    thread,
    time::{Duration, Instant},
};

use super::requests::join;
use crate::{
    Direction, Features, Options,
    fake::{Alone, FakePlatform, IV, KEY, Rig, Setup, oracle, ring_field, run},
    transport::QueueAddresses,
    virtqueue::{SplitQueue, need_event},
};

#[test]
fn need_event_is_judged_modulo_two_to_the_sixteen() {
    // Every distance, from every place around the wrap, against the definition in 32 bits.
    for old in [0u16, 1, 7, 0x7fff, 0x8000, 0xfff0, 0xfffe, 0xffff] {
        for step in [1u16, 2, 15, 64, 256] {
            let new = old.wrapping_add(step);
            let near = -300i64..300;
            let far = (-70_000i64..70_000).step_by(997);
            for offset in near.chain(far) {
                let event = (i64::from(old) + offset) as u16;
                let passed = (0..step).any(|i| old.wrapping_add(i) == event);
                assert_eq!(need_event(event, new, old), passed, "{event} {new} {old}");
            }
        }
    }
}

#[test]
fn batches_cross_the_wrap_without_losing_a_kick() {
    for refuse in [
        Features::empty(),
        Features::EVENT_IDX,
        Features::INDIRECT_DESC,
    ] {
        let options = Options {
            refuse,
            ..Rig::options()
        };
        let setup = Setup {
            queue_sizes: [256, 64],
            ..Setup::default()
        };
        let rig = Rig::new(setup, options).unwrap().go();
        run(async {
            let session = crate::Cipher::open(
                &rig.device,
                crate::CipherAlgorithm::AesCbc,
                Direction::Encrypt,
                &KEY,
            )
            .await
            .unwrap();
            let expected = oracle(&KEY, &IV, &[1; 16]);
            let mut sent = 0u32;
            let mut round = 0;
            while sent < 0x1_0000 + 200 {
                round += 1;
                let mut data = vec![[1u8; 16]; 1 + round % 61];
                sent += data.len() as u32;
                let requests: Vec<_> = data
                    .iter_mut()
                    .map(|data| session.process_slice(&IV, data))
                    .collect();
                rig.device.batch(join(requests)).await;
                assert!(data.iter().all(|data| data[..] == expected));
            }
        });
        let stats = rig.device.data_stats();
        assert_eq!(
            (stats.submitted, stats.published),
            (stats.completed, stats.completed)
        );
    }
}

/// A device half of bare atomics, without any lock that would order what the fences have to.
struct BareDevice {
    addresses: QueueAddresses,
    size: u64,
}

impl BareDevice {
    fn at(&self, address: u64) -> &'static AtomicU16 {
        ring_field(address)
    }

    fn available_index(&self) -> u16 {
        self.at(self.addresses.available() + 2)
            .load(Ordering::Acquire)
    }

    fn used_index(&self) -> &'static AtomicU16 {
        self.at(self.addresses.used() + 2)
    }

    fn available_event(&self) -> &'static AtomicU16 {
        self.at(self.addresses.used() + 4 + 8 * self.size)
    }

    fn used_event(&self) -> u16 {
        self.at(self.addresses.available() + 4 + 2 * self.size)
            .load(Ordering::Relaxed)
    }
}

/// Pauses of a few instructions, so that two threads meet in every way.
struct Jitter(u32);

impl Jitter {
    fn pause(&mut self) {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        for i in 0..self.0 >> 26 {
            core::hint::black_box(i);
        }
    }
}

/// How long the bare rings are raced.
const RACE: Duration = Duration::from_secs(1);
/// How long a kick or an interrupt may take; far longer than any thread is put off.
const LOST: Duration = Duration::from_secs(5);

/// Spins until `done`, and says whether that came before `limit`.
fn spin_until(limit: Duration, mut done: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    loop {
        for _ in 0..10_000 {
            if done() {
                return true;
            }
            core::hint::spin_loop();
        }
        if start.elapsed() > limit {
            return false;
        }
        thread::yield_now();
    }
}

#[test]
fn kick_is_not_lost_between_a_store_and_a_load() {
    // Driver: store idx, load avail_event. Device: store avail_event, load idx. Without a full
    // barrier on both sides each may miss the other.
    let _alone = Alone::new();
    let mut queue = SplitQueue::<FakePlatform>::new(4, true).unwrap();
    let device = BareDevice {
        addresses: queue.addresses(),
        size: 4,
    };
    let (kicked, stop) = (AtomicBool::new(false), AtomicBool::new(false));
    let lost = thread::scope(|scope| {
        scope.spawn(|| {
            let mut seen = 0;
            while !stop.load(Ordering::Relaxed) {
                let index = device.available_index();
                if index != seen {
                    seen = index;
                    device.used_index().store(seen, Ordering::Release);
                    continue;
                }
                device.available_event().store(seen, Ordering::Relaxed);
                fence(Ordering::SeqCst);
                if device.available_index() == seen {
                    let woken = || kicked.swap(false, Ordering::AcqRel);
                    spin_until(LOST, || woken() || stop.load(Ordering::Relaxed));
                }
            }
        });
        let start = Instant::now();
        let mut published = 0u16;
        let mut answered = true;
        while answered && start.elapsed() < RACE {
            published = published.wrapping_add(1);
            queue.publish(0);
            if queue.decide_kick() {
                kicked.store(true, Ordering::Release);
            }
            answered = spin_until(LOST / 2, || queue.used_index() == published);
        }
        stop.store(true, Ordering::Relaxed);
        !answered
    });
    assert!(!lost, "the device sleeps, and a request waits for it");
}

#[test]
fn interrupt_is_not_lost_between_a_store_and_a_load() {
    // Driver: store used_event, load idx. Device: store idx, load used_event. The device publishes
    // when it sees that the driver has taken the last element and is about to arm.
    let _alone = Alone::new();
    let mut queue = SplitQueue::<FakePlatform>::new(4, true).unwrap();
    let device = BareDevice {
        addresses: queue.addresses(),
        size: 4,
    };
    let (interrupted, stop) = (AtomicBool::new(false), AtomicBool::new(false));
    let taken = AtomicU16::new(0);
    let lost = thread::scope(|scope| {
        let (device, interrupted, stop, taken) = (&device, &interrupted, &stop, &taken);
        let driver = scope.spawn(move || {
            let mut lost = false;
            let mut jitter = Jitter(3);
            while !lost && !stop.load(Ordering::Relaxed) {
                while queue.next_used() != queue.used_index() {
                    queue.take_used();
                }
                taken.store(queue.next_used(), Ordering::Release);
                jitter.pause();
                if queue.arm() == queue.next_used() {
                    let woken = || interrupted.swap(false, Ordering::AcqRel);
                    lost = !spin_until(LOST, || woken() || stop.load(Ordering::Relaxed));
                }
            }
            stop.store(true, Ordering::Relaxed);
            lost
        });
        let start = Instant::now();
        let mut jitter = Jitter(5);
        let mut published = 0u16;
        while !stop.load(Ordering::Relaxed) && start.elapsed() < RACE {
            let old = published;
            published = published.wrapping_add(1);
            device.used_index().store(published, Ordering::Release);
            fence(Ordering::SeqCst);
            if need_event(device.used_event(), published, old) {
                interrupted.store(true, Ordering::Release);
            }
            let seen = || taken.load(Ordering::Acquire) == published;
            spin_until(2 * LOST, || seen() || stop.load(Ordering::Relaxed));
            jitter.pause();
        }
        stop.store(true, Ordering::Relaxed);
        driver.join().unwrap()
    });
    assert!(!lost, "the driver sleeps, and an answer waits for it");
}
