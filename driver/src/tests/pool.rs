//! Several devices under one pool.

use alloc::{boxed::Box, sync::Arc, vec::Vec};
use core::{
    pin::Pin,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    task::Poll,
};
use std::thread;

use crate::{
    Algorithm, AlgorithmSet, Capabilities, Cipher, CipherAlgorithm, DeviceFault, DevicePool,
    Direction, DmaBuffer, Error, Failed, HashAlgorithm, Options, Services,
    fake::{FakePlatform, IV, KEY, Rig, Setup, as_cpu, live_pages, oracle, poll_once, run},
};

type TestPool = DevicePool<FakePlatform>;
const CBC: CipherAlgorithm = CipherAlgorithm::AesCbc;

/// Two devices that serve by hand, on nodes 0 and 1. What has a device is dropped before its rig.
fn two(distance: fn(u32, u32) -> u32) -> ([Rig; 2], TestPool) {
    let first = Rig::simple();
    let second = first.beside(Setup::default(), Rig::options()).unwrap();
    let (rigs, pool) = ([first, second], DevicePool::new(distance));
    add_all(&pool, &rigs);
    (rigs, pool)
}

fn add_all(pool: &TestPool, rigs: &[Rig]) {
    for (node, rig) in (0..).zip(rigs) {
        pool.add(
            rig.device.clone(),
            node,
            rig.device.capabilities().advertised(),
        );
    }
}

fn chosen(pool: &TestPool, rigs: &[Rig]) -> Result<usize, Error> {
    let device = pool.device_for(CBC)?;
    let place = rigs
        .iter()
        .position(|rig| Arc::ptr_eq(&rig.device, &device));
    Ok(place.expect("a device that was added"))
}

type Answer = Result<DmaBuffer<FakePlatform>, Failed<DmaBuffer<FakePlatform>>>;

fn send<'s>(session: &'s Cipher<FakePlatform>) -> Pin<Box<impl Future<Output = Answer> + 's>> {
    let mut request = Box::pin(session.process(&IV, DmaBuffer::new(32).unwrap()));
    assert!(poll_once(request.as_mut()).is_pending());
    request
}

#[test]
fn device_with_the_fewest_requests_in_flight_is_chosen() {
    let (rigs, pool) = two(|_, _| 0);
    let sessions = [0, 1].map(|rig: usize| rigs[rig].session(Direction::Encrypt));
    let mut requests = Vec::new();
    // Each goes where there is less: in turn.
    for round in 0..6 {
        let place = chosen(&pool, &rigs).unwrap();
        assert_eq!(place, round % 2);
        requests.push(send(&sessions[place]));
    }
    // What the second has done is no load any more.
    rigs[1].fake.serve(0, usize::MAX);
    for _ in 0..3 {
        assert_eq!(chosen(&pool, &rigs), Ok(1));
        requests.push(send(&sessions[1]));
    }
    assert_eq!(chosen(&pool, &rigs), Ok(0));
}

#[test]
fn among_equals_the_fewest_sessions_decide() {
    let (rigs, pool) = two(|_, _| 0);
    let mut sessions = Vec::new();
    for round in 0..6 {
        assert_eq!(chosen(&pool, &rigs), Ok(round % 2));
        sessions.push(rigs[round % 2].session(Direction::Encrypt));
    }
}

#[test]
fn nearer_device_is_chosen_until_it_has_that_much_more_to_do() {
    // Three requests are worth the way.
    let (rigs, pool) = two(|cpu, node| if cpu % 2 == node { 0 } else { 3 });
    let sessions = [0, 1].map(|rig: usize| rigs[rig].session(Direction::Encrypt));
    for cpu in [0, 1] {
        let other = 1 - cpu;
        let mut requests = Vec::new();
        for _ in 0..3 {
            assert_eq!(as_cpu(cpu as u32, || chosen(&pool, &rigs)), Ok(cpu));
            requests.push(send(&sessions[cpu]));
        }
        requests.push(send(&sessions[cpu]));
        assert_eq!(as_cpu(cpu as u32, || chosen(&pool, &rigs)), Ok(other));
        drop(requests);
        rigs[cpu].serve_all();
    }
    // A distance without end is none that could be crossed by chance, nor an overflow.
    let far = DevicePool::new(|_, node| if node == 0 { u32::MAX } else { 0 });
    add_all(&far, &rigs);
    let _request = send(&sessions[0]);
    assert_eq!(chosen(&far, &rigs), Ok(1));
}

#[test]
fn device_is_chosen_for_what_it_serves_by_claim_or_by_proof() {
    let (rigs, pool) = two(|_, _| 0);
    let xts = CipherAlgorithm::AesXts;
    // Advertised by none.
    assert_eq!(pool.device_for(xts).err(), Some(Error::NoDevice));
    assert_eq!(
        pool.device_for(HashAlgorithm::Sha256).err(),
        Some(Error::NoDevice)
    );
    // Found to work on the second, and CBC not to: said again, it is still one device.
    let device = &rigs[1].device;
    let serves = device.capabilities().advertised().with(xts).without(CBC);
    pool.add(device.clone(), 1, serves);
    assert_eq!(pool.devices().len(), 2);
    assert!(Arc::ptr_eq(&pool.device_for(xts).unwrap(), device));
    let _sessions = [(); 3].map(|()| rigs[0].session(Direction::Encrypt));
    assert_eq!(chosen(&pool, &rigs), Ok(0), "whatever its load");
}

#[test]
fn algorithm_without_its_service_is_not_advertised() {
    let capabilities = Rig::simple().device.capabilities();
    for algorithm in Algorithm::all() {
        let algorithms = AlgorithmSet::EMPTY.with(algorithm);
        let named = Capabilities {
            algorithms,
            services: algorithms.services(),
            ..capabilities
        };
        assert_eq!(named.advertised(), algorithms);
        let services = Services::empty();
        assert!(!Capabilities { services, ..named }.advertises(algorithm));
    }
}

#[test]
fn device_that_is_not_up_is_passed_over_until_it_has_recovered() {
    let (rigs, pool) = two(|_, _| 0);
    let _session = rigs[1].session(Direction::Encrypt);
    let fail: [fn(&Rig); 2] = [
        |rig| {
            rig.fake.need_reset();
            rig.device.poll();
        },
        |rig| {
            rig.device.shutdown(0).unwrap();
        },
    ];
    for fail in fail {
        assert_eq!(chosen(&pool, &rigs), Ok(0));
        fail(&rigs[0]);
        assert_eq!(chosen(&pool, &rigs), Ok(1));
        rigs[0].device.recover(0).unwrap();
    }
    fail[1](&rigs[0]);
    rigs[1].fake.vanish();
    rigs[1].device.poll();
    assert_eq!(chosen(&pool, &rigs), Err(Error::NoDevice));
}

#[test]
fn removed_device_ends_what_it_had_and_others_go_on() {
    let (rigs, pool) = two(|_, _| 0);
    let sessions = [0, 1].map(|rig: usize| rigs[rig].session(Direction::Encrypt));
    let mut requests = [&sessions[0], &sessions[0], &sessions[1]].map(send);
    rigs[0].fake.serve(0, 1);
    let drained = pool.remove(&rigs[0].device, 1_000_000).unwrap();
    assert_eq!(drained.in_flight, 1);
    let [done, lost, other] = &mut requests;
    assert!(matches!(poll_once(done.as_mut()), Poll::Ready(Ok(_))));
    let Poll::Ready(Err(failed)) = poll_once(lost.as_mut()) else {
        panic!("a request outlived its device")
    };
    // The device has not let go of the buffer.
    assert_eq!(
        (failed.error, failed.returned.is_none()),
        (Error::ShutDown, true)
    );
    let mut late = Box::pin(sessions[0].process(&IV, DmaBuffer::new(32).unwrap()));
    let Poll::Ready(Err(failed)) = poll_once(late.as_mut()) else {
        panic!("a request found a device that is gone")
    };
    assert_eq!(
        (failed.error, failed.returned.is_some()),
        (Error::ShutDown, true)
    );

    assert_eq!(chosen(&pool, &rigs), Ok(1));
    rigs[1].fake.serve(0, 1);
    assert!(matches!(poll_once(other.as_mut()), Poll::Ready(Ok(_))));
    assert_eq!(
        pool.remove(&rigs[0].device, 0),
        Err(Error::NoDevice),
        "it is not here"
    );

    // And comes back.
    rigs[0].device.recover(0).unwrap();
    assert_eq!(chosen(&pool, &rigs), Ok(1));
    let device = &rigs[0].device;
    pool.add(device.clone(), 0, device.capabilities().advertised());
    assert_eq!(chosen(&pool, &rigs), Ok(0));
}

#[test]
fn device_that_was_pulled_out_can_be_removed() {
    let (rigs, pool) = two(|_, _| 0);
    let session = rigs[0].session(Direction::Encrypt);
    let mut request = send(&session);
    rigs[0].fake.vanish();
    let gone = Error::Broken(DeviceFault::Gone);
    assert_eq!(pool.remove(&rigs[0].device, 1_000_000), Err(gone));
    assert!(matches!(poll_once(request.as_mut()), Poll::Ready(Err(_))));
    assert_eq!(pool.devices().len(), 1);
    assert_eq!(chosen(&pool, &rigs), Ok(1));
}

#[test]
fn session_opens_elsewhere_when_its_device_leaves_meanwhile() {
    let (rigs, pool) = two(|_, _| 0);
    let mut open = Box::pin(pool.open_cipher(CBC, Direction::Encrypt, &KEY));
    assert!(poll_once(open.as_mut()).is_pending());
    assert_eq!(rigs[0].device.control_stats().in_flight, 1);
    pool.remove(&rigs[0].device, 0).unwrap();
    assert!(poll_once(open.as_mut()).is_pending());
    assert_eq!(rigs[1].device.control_stats().in_flight, 1);
    assert_eq!(rigs[1].fake.serve(1, 1), 1);
    assert!(matches!(poll_once(open.as_mut()), Poll::Ready(Ok(_))));

    rigs[1].fake.need_reset();
    rigs[1].device.poll();
    let open = run(pool.open_cipher(CBC, Direction::Encrypt, &KEY));
    assert_eq!(open.err(), Some(Error::NoDevice));
    rigs[1].device.recover(0).unwrap();
    let refused = run(pool.open_cipher(CBC, Direction::Encrypt, &[0; 3]));
    assert!(matches!(refused, Err(Error::InvalidLength { .. })));
}

/// Longer than a busy host takes for anything.
const LONG_NS: u64 = 60_000_000_000;

#[test]
fn devices_come_and_go_while_every_cpu_uses_them() {
    let options = || Options {
        // The ends of sessions are answered in time, however busy the host is.
        reset_limit_ns: 20_000_000_000,
        ..Rig::options()
    };
    let first = Rig::new(Setup::default(), options()).unwrap();
    let alone = first.alone.clone();
    let beside = || first.beside(Setup::default(), options()).unwrap();
    let others = [(); 3].map(|()| beside());
    let mut rigs = Vec::from([first]);
    rigs.extend(others);
    let rigs: Vec<_> = rigs.into_iter().map(Rig::go).collect();
    let pool = DevicePool::new(|cpu, node| u32::from(cpu % 4 != node));
    add_all(&pool, &rigs);
    let (stop, moves) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        let workers = [0, 1, 2, 3].map(|cpu| {
            let (pool, moves, stop) = (&pool, &moves, &stop);
            scope.spawn(move || as_cpu(cpu, || until(stop, || use_one(pool, moves))))
        });
        for round in 0..40 {
            let device = &rigs[round % 4].device;
            let drained = pool.remove(device, LONG_NS).unwrap();
            assert_eq!(drained.in_flight, 0, "round {round}");
            device.recover(0).unwrap();
            pool.add(
                device.clone(),
                (round % 4) as u32,
                device.capabilities().advertised(),
            );
            thread::yield_now();
        }
        stop.store(true, Ordering::Relaxed);
        for worker in workers {
            worker.join().unwrap();
        }
    });
    assert!(rigs.iter().all(|rig| !rig.fake.log().is_empty()));
    for device in pool.devices() {
        assert_eq!(pool.remove(&device, LONG_NS).unwrap().in_flight, 0);
    }
    for rig in &rigs {
        assert_eq!(rig.device.interrupt_stats().unhandled, 0);
        assert_eq!(rig.fake.sessions(), 0);
    }
    drop((pool, rigs));
    assert_eq!(live_pages(), 0);
    drop(alone);
}

fn until(stop: &AtomicBool, mut f: impl FnMut()) {
    while !stop.load(Ordering::Relaxed) {
        f();
    }
}

/// Opens a session on some device and uses it, until the device is taken away.
fn use_one(pool: &TestPool, moves: &AtomicUsize) {
    let session = run(pool.open_cipher(CBC, Direction::Encrypt, &KEY)).unwrap();
    for round in 0..20 {
        let mut data = [round; 48];
        match run(session.process_slice(&IV, &mut data)) {
            Ok(()) => assert_eq!(data[..], oracle(&KEY, &IV, &[round; 48])),
            Err(Error::ShutDown) => {
                assert_eq!(data, [round; 48]);
                moves.fetch_add(1, Ordering::Relaxed);
                return;
            }
            Err(error) => panic!("{error}"),
        }
    }
}
