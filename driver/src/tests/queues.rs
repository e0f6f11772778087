//! Several data queues: each CPU has its own, and together they are one device.

use alloc::{boxed::Box, vec, vec::Vec};
use core::{
    pin::Pin,
    sync::atomic::{AtomicBool, Ordering},
    task::Poll,
};
use std::thread;

use crate::{
    Cipher, CipherAlgorithm, DeviceFault, Direction, DmaBuffer, Error, Failed, Features, Interrupt,
    InterruptMode, Options,
    fake::{
        FakePlatform, Fault, IV, KEY, Rig, Served, Setup, as_cpu, live_pages, message, oracle,
        poll_once, run, times,
    },
    transport::{MsixEntry, QueueIndex},
};

fn setup(data_queues: u32, msix_entries: u16) -> Setup {
    Setup {
        data_queues,
        msix_entries,
        ..Setup::default()
    }
}

fn options() -> Options {
    Options {
        messages: vec![message(1, 2); 64],
        data_slots: 4,
        ..Rig::options()
    }
}

/// A device of four data queues, with a vector for each of its queues.
fn four() -> Rig {
    Rig::new(setup(4, 6), options()).unwrap()
}

type Answer = Result<DmaBuffer<FakePlatform>, Failed<DmaBuffer<FakePlatform>>>;

/// Sends a request from a CPU.
fn send(session: &Cipher<FakePlatform>, cpu: u32) -> Pin<Box<impl Future<Output = Answer>>> {
    let mut request = Box::pin(session.process(&IV, DmaBuffer::new(32).unwrap()));
    as_cpu(cpu, || assert!(poll_once(request.as_mut()).is_pending()));
    request
}

fn in_flight(rig: &Rig) -> Vec<u32> {
    let queues = 0..rig.device.data_queues();
    let stats = queues.filter_map(|queue| rig.device.data_queue_stats(queue));
    stats.map(|stats| stats.in_flight).collect()
}

#[test]
fn request_goes_to_the_queue_of_its_cpu() {
    let rig = four();
    let session = rig.session(Direction::Encrypt);
    assert_eq!(rig.fake.enabled(), [0, 1, 2, 3, 4]);
    let mut requests = [3, 1, 6, 5].map(|cpu| send(&session, cpu));
    assert_eq!(in_flight(&rig), [0, 2, 1, 1]);
    assert_eq!(rig.device.data_stats().in_flight, 4);
    assert_eq!(rig.device.data_queue_stats(4), None);
    for queue in 0..4 {
        rig.fake.serve(queue, usize::MAX);
    }
    for request in &mut requests {
        // Where a request is polled later does not matter.
        let Poll::Ready(Ok(buffer)) = poll_once(request.as_mut()) else {
            panic!("no answer")
        };
        assert_eq!(buffer[..], oracle(&KEY, &IV, &[0; 32]));
    }
    assert_eq!(rig.device.data_stats().completed, 4);
}

#[test]
fn full_queue_lets_others_go_on() {
    let rig = four();
    let session = rig.session(Direction::Encrypt);
    let _requests = [2; 4].map(|cpu| send(&session, cpu));
    let attempt = |cpu| {
        let mut attempt = Box::pin(session.try_process(&IV, DmaBuffer::new(32).unwrap()));
        as_cpu(cpu, || poll_once(attempt.as_mut())).map_err(|failed| failed.error)
    };
    assert!(matches!(attempt(2), Poll::Ready(Err(Error::QueueFull))));
    assert!(attempt(1).is_pending());
}

#[test]
fn number_of_queues_is_what_both_sides_allow() {
    for (offered, wanted, got) in [
        (1, 16, 1),
        (4, 16, 4),
        (4, 3, 3),
        (4, 1, 1),
        (4, 0, 1),
        (5, u16::MAX, 5),
        // The control queue is the last that can be: 65,535.
        (65_535, 3, 3),
        (65_534, 16, 16),
    ] {
        let options = Options {
            data_queues: wanted,
            ..options()
        };
        let rig = Rig::new(setup(offered, 64), options).unwrap();
        assert_eq!(rig.device.data_queues(), got, "{offered} {wanted}");
        let mut expected: Vec<_> = (0..got).collect();
        expected.push(offered as usize);
        assert_eq!(rig.fake.enabled(), expected);
        let session = rig.session(Direction::Encrypt);
        for cpu in 0..got as u32 + 1 {
            let mut request = send(&session, cpu);
            assert_eq!(rig.fake.serve(cpu as usize % got, 1), 1);
            assert!(poll_once(request.as_mut()).is_ready());
        }
    }
}

#[test]
fn control_queue_beyond_the_last_number_is_an_error() {
    for max_data_queues in [65_536, 65_537, u32::MAX] {
        let refused = Rig::new(setup(max_data_queues, 6), options()).err();
        let expected = Error::ControlQueueOutOfReach { max_data_queues };
        assert_eq!(refused, Some(expected));
    }
}

#[test]
fn queue_that_is_missing_in_the_middle_is_named() {
    let setup = Setup {
        queue_sizes: [0, 64],
        ..setup(4, 6)
    };
    let queue = QueueIndex(0);
    let refused = Rig::new(setup, options()).err();
    assert_eq!(refused, Some(Error::QueueMissing { queue }));
}

#[test]
fn fewer_vectors_than_queues_lead_down_the_ladder() {
    for (msix_entries, messages, refused, mode) in [
        (6, 6, vec![], InterruptMode::PerQueue),
        (64, 64, vec![], InterruptMode::PerQueue),
        (5, 64, vec![], InterruptMode::SharedQueues),
        (64, 5, vec![], InterruptMode::SharedQueues),
        (64, 2, vec![], InterruptMode::SharedQueues),
        (64, 64, vec![3], InterruptMode::SharedQueues),
        (64, 1, vec![], InterruptMode::Shared),
        (64, 64, vec![1], InterruptMode::Shared),
        (0, 64, vec![], InterruptMode::Polling),
    ] {
        let setup = Setup {
            refused_vectors: refused.clone(),
            ..setup(4, msix_entries)
        };
        let mut options = options();
        options.messages.truncate(messages);
        let rig = Rig::new(setup, options).unwrap();
        let case = (msix_entries, messages, refused);
        assert_eq!(rig.device.interrupt_mode(), mode, "{case:?}");
        let vectors: Vec<_> = (0..5).map(|queue| rig.fake.vector(queue)).collect();
        let expected = [1, 2, 3, 4, 5].map(|entry| match mode {
            InterruptMode::PerQueue => Some(MsixEntry(entry)),
            InterruptMode::SharedQueues => Some(MsixEntry(1)),
            InterruptMode::Shared => Some(MsixEntry(0)),
            InterruptMode::Intx | InterruptMode::Polling => None,
        });
        assert_eq!(vectors, expected, "{case:?}");
        // And every CPU is answered on every rung.
        let rig = rig.go();
        let session = Cipher::open(
            &rig.device,
            CipherAlgorithm::AesCbc,
            Direction::Encrypt,
            &KEY,
        );
        let session = run(session).unwrap();
        thread::scope(|scope| {
            for cpu in 0..4 {
                let session = &session;
                scope.spawn(move || {
                    as_cpu(cpu, || {
                        for _ in 0..50 {
                            run(session.process_slice(&IV, &mut [0; 16])).unwrap();
                        }
                    });
                });
            }
        });
        assert_eq!(rig.device.interrupt_stats().unhandled, 0, "{case:?}");
    }
}

#[test]
fn each_queue_accounts_for_its_own_vector() {
    let rig = four();
    let session = rig.session(Direction::Encrypt);
    assert!(rig.settle());
    rig.fake.hold_interrupts(true);
    let requests = [0, 2].map(|cpu| send(&session, cpu));
    assert!(!rig.device.settle(), "settled with requests in flight");
    assert_eq!(rig.fake.serve(0, 1) + rig.fake.serve(2, 1), 2);
    let answer = |entry| rig.device.handle_interrupt(MsixEntry(entry));
    // The vector of queue 1 has nothing to tell, whatever the others have.
    assert_eq!(answer(2), Interrupt::Unhandled);
    assert_eq!(answer(3), Interrupt::Handled);
    assert_eq!(answer(3), Interrupt::Unhandled);
    // A task takes what the message of queue 0 was sent for.
    rig.device.poll();
    assert_eq!(answer(1), Interrupt::AlreadyDrained);
    assert_eq!(answer(1), Interrupt::Unhandled);
    for entry in [0, 5, 6, u16::MAX] {
        assert_eq!(answer(entry), Interrupt::Unhandled);
    }
    drop(requests);
    assert!(rig.settle());
}

#[test]
fn every_queues_vector_moves_by_itself() {
    let rig = four();
    let message = |data| message(7, data);
    for entry in 0..6 {
        let moved = rig
            .device
            .move_interrupt(MsixEntry(entry), message(entry.into()));
        assert_eq!(moved, Ok(()));
    }
    let entry = MsixEntry(6);
    let nowhere = rig.device.move_interrupt(entry, message(6));
    assert_eq!(nowhere, Err(Error::NoSuchVector { entry, used: 6 }));
    rig.device.recover(0).unwrap();
    for entry in 0..6 {
        assert_eq!(rig.fake.message(entry), Some(message(entry as u32)));
    }
    // Shut down, all of them are masked.
    rig.device.shutdown(0).unwrap();
    for entry in 0..6 {
        assert_eq!(rig.fake.message(entry), None);
    }
}

#[test]
fn moved_vector_raises_the_cap_of_its_own_queue_alone() {
    let options = Options {
        refuse: Features::EVENT_IDX,
        data_slots: 16,
        ..options()
    };
    let rig = Rig::new(setup(2, 4), options).unwrap();
    let session = rig.session(Direction::Encrypt);
    assert!(rig.settle());
    rig.fake.hold_interrupts(true);
    let elsewhere = message(7, 8);
    rig.device.move_interrupt(MsixEntry(2), elsewhere).unwrap();
    let _requests = [0, 1].map(|cpu| [cpu; 8].map(|cpu| send(&session, cpu)));
    for queue in [0, 1] {
        assert_eq!(rig.fake.serve(queue, 8), 8);
    }
    rig.device.poll();
    for (entry, owed) in [(1, 3), (2, 5)] {
        let answers = [(); 8].map(|()| rig.device.handle_interrupt(MsixEntry(entry)));
        let owed_for = |answer: &&Interrupt| **answer == Interrupt::AlreadyDrained;
        assert_eq!(answers.iter().filter(owed_for).count(), owed);
    }
}

#[test]
fn queue_that_breaks_ends_everything() {
    for broken in 0..5 {
        let rig = four();
        let session = rig.session(Direction::Encrypt);
        let mut requests = [0, 1, 2, 3].map(|cpu| send(&session, cpu));
        let mut open = rig.begin_open();
        rig.fake.set_fault(Fault::Id(999));
        assert_eq!(rig.fake.serve(broken, 1), 1);
        let error = Error::Broken(DeviceFault::BadUsedId { id: 999 });
        for request in &mut requests {
            let Poll::Ready(Err(failed)) = poll_once(request.as_mut()) else {
                panic!("queue {broken} broke, and a request waits on");
            };
            assert_eq!(failed.error, error);
        }
        let Poll::Ready(Err(failed)) = poll_once(open.as_mut()) else {
            panic!("queue {broken} broke, and a session is waited for");
        };
        assert_eq!(failed, error);
        assert_eq!(rig.device.recover(0).unwrap().in_flight, 5);
        assert_eq!(rig.device.data_queues(), 4);
    }
}

#[test]
fn end_that_another_cpu_has_not_spread_yet_is_spread_by_whoever_drains() {
    for ended in 0..5 {
        let rig = four();
        let error = Error::Broken(DeviceFault::BadUsedId { id: 999 });
        let epoch = rig.device.epoch();
        epoch.queues().nth(ended).unwrap().end(error);
        rig.device.poll();
        let ends: Vec<_> = epoch.queues().map(|queue| queue.ended()).collect();
        assert_eq!(ends, [Some(error); 5]);
    }
}

#[test]
fn session_in_use_on_several_queues_ends_after_the_last() {
    // Its requests are dropped, the session too, in every order; then another session wants the id.
    for last in 0..4 {
        let rig = four();
        let session = rig.session(Direction::Encrypt);
        let requests = [0, 1, 2, 3].map(|cpu| send(&session, cpu));
        drop(requests);
        drop(session);
        for queue in (0..4).filter(|queue| *queue != last) {
            rig.fake.serve(queue, 1);
            rig.fake.serve(4, usize::MAX);
            assert!(!rig.fake.log().contains(&Served::Destroy(0)), "too early");
        }
        rig.fake.serve(last, 1);
        assert_eq!(rig.fake.serve(4, usize::MAX), 1);
        assert!(rig.fake.log().contains(&Served::Destroy(0)));
        rig.device.poll();
        assert_eq!(rig.device.sessions_taken(), 0);
        assert_eq!(in_flight(&rig), [0; 4]);
    }
}

#[test]
fn dropped_sessions_on_many_cpus_leave_nothing() {
    let rig = four();
    rig.fake.shuffle(5);
    let (alone, rig) = (rig.alone.clone(), rig.go());
    thread::scope(|scope| {
        for cpu in 0..4 {
            let rig = &rig;
            scope.spawn(move || as_cpu(cpu, || many_sessions(rig, cpu as usize)));
        }
    });
    assert_eq!(rig.device.interrupt_stats().unhandled, 0);
    for queue in 0..4 {
        let stats = rig.device.data_queue_stats(queue).unwrap();
        assert!(stats.submitted > 0, "queue {queue}: {stats:?}");
    }
    assert_eq!(rig.device.shutdown(5_000_000_000).unwrap().in_flight, 0);
    assert_eq!(rig.fake.sessions(), 0);
    drop(rig);
    assert_eq!(live_pages(), 0);
    drop(alone);
}

/// Sends from a CPU's own queue and from others', and drops request and session wherever they are.
fn many_sessions(rig: &Rig, cpu: usize) {
    for round in 0..times(100, 3) {
        let session = Cipher::open(
            &rig.device,
            CipherAlgorithm::AesCbc,
            Direction::Encrypt,
            &KEY,
        );
        let session = run(session).unwrap();
        some_requests(&session, (cpu + round).is_multiple_of(2));
        match round % 3 {
            0 => run(session.close()).unwrap(),
            _ => drop(session),
        }
    }
}

/// Drops some requests wherever they are, and waits for another.
fn some_requests(session: &Cipher<FakePlatform>, wait_for_one: bool) {
    let request = || Box::pin(session.process(&IV, DmaBuffer::new(48).unwrap()));
    let mut dropped = [request(), request()];
    for request in &mut dropped {
        let _ = poll_once(request.as_mut());
    }
    if wait_for_one {
        let buffer = run(request()).unwrap();
        assert_eq!(buffer[..], oracle(&KEY, &IV, &[0; 48]));
    }
}

#[test]
fn one_session_serves_all_cpus_at_once() {
    let rig = four();
    rig.fake.shuffle(7);
    let rig = rig.go();
    let session = Cipher::open(
        &rig.device,
        CipherAlgorithm::AesCbc,
        Direction::Encrypt,
        &KEY,
    );
    let session = run(session).unwrap();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        // Somebody polls all queues meanwhile.
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                rig.device.poll();
                thread::yield_now();
            }
        });
        let workers = [0, 1, 2, 3, 4, 5].map(|cpu| {
            let session = &session;
            scope.spawn(move || {
                as_cpu(cpu, || {
                    for round in 0..times(300u32, 4) {
                        let plaintext = [(cpu + round) as u8; 32];
                        let mut data = plaintext;
                        run(session.process_slice(&IV, &mut data)).unwrap();
                        assert_eq!(data[..], oracle(&KEY, &IV, &plaintext));
                    }
                });
            })
        });
        for worker in workers {
            worker.join().unwrap();
        }
        stop.store(true, Ordering::Relaxed);
    });
    let submitted = (0..4).map(|queue| rig.device.data_queue_stats(queue).unwrap().submitted);
    assert_eq!(submitted.collect::<Vec<_>>(), [600, 600, 300, 300]);
    assert_eq!(rig.device.interrupt_stats().unhandled, 0);
}

#[test]
fn batch_puts_off_the_kicks_of_its_cpu_on_every_queue() {
    // Without EVENT_IDX the device wants to be notified of everything.
    let options = Options {
        refuse: Features::EVENT_IDX,
        ..options()
    };
    let rig = Rig::new(setup(4, 6), options).unwrap();
    let session = rig.session(Direction::Encrypt);
    for cpu in 0..4 {
        let other = (cpu + 1) % 4;
        let kicks = rig.fake.kicks();
        let mut requests = Vec::new();
        let mut batch = Box::pin(rig.device.batch(async {
            requests.extend([cpu, cpu].map(|cpu| send(&session, cpu)));
            drop(rig.begin_open());
            assert_eq!(rig.fake.kicks(), kicks, "a kick too early");
            // Another CPU meanwhile.
            requests.push(send(&session, other));
            assert_eq!(rig.fake.kicks(), kicks + 1, "put off for another CPU");
        }));
        assert!(as_cpu(cpu, || poll_once(batch.as_mut())).is_ready());
        let own = 2;
        assert_eq!(rig.fake.kicks() - kicks, 1 + own, "one a queue");
        drop(batch);
        for (cpu, request) in [cpu, cpu, other].into_iter().zip(&mut requests) {
            rig.fake.serve(cpu as usize, usize::MAX);
            assert!(poll_once(request.as_mut()).is_ready());
        }
        rig.serve_all();
    }
}

#[test]
fn shutdown_waits_for_every_queue() {
    let rig = four();
    let session = rig.session(Direction::Encrypt);
    let requests = [0, 1, 2, 3].map(|cpu| send(&session, cpu));
    // Taken and not answered on one queue: the others drain, then the time is up.
    for queue in [0, 1, 3] {
        rig.fake.serve(queue, 1);
    }
    assert_eq!(rig.device.shutdown(1_000_000).unwrap().in_flight, 1);
    let outcomes = requests.map(|mut request| match poll_once(request.as_mut()) {
        Poll::Ready(outcome) => outcome.err().map(|failed| failed.error),
        Poll::Pending => panic!("waits after the shutdown"),
    });
    assert_eq!(outcomes, [None, None, Some(Error::ShutDown), None]);
}

#[test]
fn recovery_keeps_the_number_and_every_queue_works() {
    let rig = four();
    for _ in 0..3 {
        let session = rig.session(Direction::Encrypt);
        let requests = [0, 1, 2, 3].map(|cpu| send(&session, cpu));
        rig.fake.need_reset();
        rig.device.poll();
        drop(requests);
        drop(session);
        rig.device.recover(0).unwrap();
        rig.serve_all();
        assert_eq!(rig.device.data_queues(), 4);
        assert_eq!(rig.device.interrupt_mode(), InterruptMode::PerQueue);
    }
}

#[test]
fn polled_mode_drains_every_queue() {
    let rig = Rig::new(setup(3, 0), options()).unwrap().go();
    let session = Cipher::open(
        &rig.device,
        CipherAlgorithm::AesCbc,
        Direction::Encrypt,
        &KEY,
    );
    let session = run(session).unwrap();
    for cpu in 0..6 {
        as_cpu(cpu, || run(session.process_slice(&IV, &mut [0; 16]))).unwrap();
        // An orphan of another queue, whose end the close waits for.
        drop(send_unless_answered(&session, cpu + 1));
    }
    run(session.close()).unwrap();
    assert_eq!(rig.device.data_stats().in_flight, 0);
}

fn send_unless_answered<'s>(
    session: &'s Cipher<FakePlatform>,
    cpu: u32,
) -> Pin<Box<impl Future<Output = Answer> + 's>> {
    let mut request = Box::pin(session.process(&IV, DmaBuffer::new(32).unwrap()));
    as_cpu(cpu, || drop(poll_once(request.as_mut())));
    request
}
