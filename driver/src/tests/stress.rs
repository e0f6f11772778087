//! Many threads as CPUs, one device: no kick and no wake is lost.

use alloc::vec;
use core::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::{
    Cipher, CipherAlgorithm, CipherStream, Device, DeviceFault, Direction, DmaBuffer, Error,
    Features, ForcedReset, Options, SessionCache, WhenNotReady,
    fake::{FakePlatform, IV, KEY, Rig, Setup, live_pages, oracle, run, times, trusted},
    transport::MsixEntry,
};

#[test]
fn submitters_on_many_cpus_are_all_answered() {
    for refuse in [Features::empty(), Features::EVENT_IDX] {
        for slots in [2, 64] {
            let options = Options {
                refuse,
                data_slots: slots,
                control_slots: 3,
                ..Rig::options()
            };
            let rig = Rig::new(Setup::default(), options).unwrap();
            rig.fake.shuffle(3);
            let rig = rig.go();
            thread::scope(|scope| {
                for cpu in 0..4u8 {
                    let rig = &rig;
                    scope.spawn(move || {
                        for round in 0..times(40u8, 2) {
                            one_session(rig, cpu, round);
                        }
                    });
                }
            });
            assert_eq!(rig.device.interrupt_stats().unhandled, 0);
            rig.device.shutdown(5_000_000_000).unwrap();
            assert_eq!(rig.fake.sessions(), 0);
        }
    }
}

fn one_session(rig: &Rig, cpu: u8, round: u8) {
    run(async {
        let session = Cipher::open(
            &rig.device,
            CipherAlgorithm::AesCbc,
            Direction::Encrypt,
            &KEY,
        )
        .await
        .unwrap();
        for i in 0..10u8 {
            let plaintext = vec![cpu ^ round ^ i; 16 * (1 + usize::from(i))];
            let expected = oracle(&KEY, &IV, &plaintext);
            if i % 3 == 0 {
                let buffer = DmaBuffer::from_slice(&plaintext).unwrap();
                let buffer = session.process(&IV, buffer).await.unwrap();
                assert_eq!(buffer[..], expected);
            } else {
                let mut data = plaintext;
                session.process_slice(&IV, &mut data).await.unwrap();
                assert_eq!(data, expected);
            }
        }
        if round.is_multiple_of(2) {
            session.close().await.unwrap();
        }
    });
}

#[test]
fn requests_one_at_a_time_lose_no_kick() {
    // The device goes to sleep after every request, so every kick decision races with it.
    let rig = Rig::simple().go();
    run(async {
        let session = Cipher::open(
            &rig.device,
            CipherAlgorithm::AesCbc,
            Direction::Encrypt,
            &KEY,
        )
        .await
        .unwrap();
        let mut data = [0; 16];
        for _ in 0..times(20_000, 30) {
            session.process_slice(&IV, &mut data).await.unwrap();
        }
    });
}

/// Does something with the device, in one of many ways.
async fn call(
    device: &Device<FakePlatform>,
    cache: &SessionCache<FakePlatform>,
    (cpu, round): (u8, u8),
) -> Result<(), Error> {
    let (algorithm, direction) = (CipherAlgorithm::AesCbc, Direction::Encrypt);
    if round.is_multiple_of(2) {
        let key = [cpu % 2 + round % 3; 16];
        let session = cache.get(device, algorithm, direction, &key).await?;
        let mut stream = CipherStream::new(session, &IV)?;
        stream.process(&mut [3; 32]).await?;
        return device.batch(stream.process(&mut [3; 32])).await;
    }
    let session = Cipher::open(device, algorithm, direction, &KEY).await?;
    let buffer = DmaBuffer::from_slice(&[3; 48])?;
    let buffer = session.process(&IV, buffer).await?;
    assert_eq!(buffer[..], oracle(&KEY, &IV, &[3; 48]));
    if round.is_multiple_of(3) {
        let poller = device.poller();
        drop(session.process_slice(&IV, &mut [1; 16]));
        drop(poller);
    }
    if round.is_multiple_of(5) {
        return session.close().await;
    }
    Ok(())
}

/// Nothing hangs, nothing is lost, and the device has no more at the end than the driver says.
#[test]
fn calls_beside_recoveries_and_losses_of_the_hardware_all_end() {
    for when_not_ready in [WhenNotReady::Wait, WhenNotReady::Fail] {
        let options = Options {
            when_not_ready,
            data_slots: 3,
            control_slots: 2,
            sessions: 12,
            forced_reset: ForcedReset::Reclaim(trusted()),
            ..Rig::options()
        };
        let setup = Setup {
            data_queues: 2,
            msix_entries: 4,
            ..Setup::default()
        };
        let rig = Rig::new(setup, options).unwrap().go();
        rig.fake.shuffle(7);
        // A *destroy* that it has done is sent again after a reset that met its answer.
        rig.fake.bear_strays();
        let pages = live_pages();
        let cache = SessionCache::new(3);
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                for round in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    if round % 7 == 0 {
                        rig.fake.need_reset();
                        rig.device.handle_interrupt(MsixEntry(0));
                    }
                    let limit_ns = [0, 1_000_000][round % 2];
                    let _ = match round % 3 {
                        0 => rig.device.shutdown(limit_ns),
                        _ => rig.device.recover(limit_ns),
                    };
                    thread::yield_now();
                }
            });
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    for ready in [false, true] {
                        rig.fake.set_ready(ready);
                        rig.device.handle_interrupt(MsixEntry(0));
                        thread::yield_now();
                    }
                }
            });
            let (rig, cache) = (&rig, &cache);
            let workers = [0, 1, 2].map(|cpu| {
                scope.spawn(move || {
                    for round in 0..times(200, 6) {
                        match run(call(&rig.device, cache, (cpu, round))) {
                            Ok(())
                            | Err(
                                Error::HardwareNotReady
                                | Error::ShutDown
                                | Error::TooManySessions { .. }
                                | Error::Broken(DeviceFault::NeedsReset),
                            ) => {}
                            Err(error) => panic!("{error}"),
                        }
                    }
                })
            });
            for worker in workers {
                worker.join().unwrap();
            }
            stop.store(true, Ordering::Relaxed);
        });
        rig.fake.set_ready(true);
        cache.clear();
        rig.device.recover(1_000_000_000).unwrap();
        assert_eq!(rig.device.sessions_taken(), 0);
        // At most: a *destroy* whose answer met the reset counts, too.
        assert!(rig.fake.sessions() as u64 <= rig.device.sessions_left_behind());
        run(call(&rig.device, &cache, (0, 1))).unwrap();
        rig.device.poll();
        assert_eq!(live_pages(), pages);
    }
}
