//! Futures dropped at every point where they wait.

use alloc::{boxed::Box, vec::Vec};
use core::{pin::pin, task::Poll};

use crate::{
    Cipher, CipherAlgorithm, Direction, DmaBuffer, Error, Features, Options,
    fake::{IV, KEY, Random, Rig, Served, Setup, live_pages, oracle, poll_once, request, times},
};

/// Bytes of a buffer of many pages.
const LONG: usize = times(64 << 10, 8 << 10);

#[test]
fn dropped_before_publish_nothing_is_sent() {
    let rig = Rig::simple();
    let session = rig.session(Direction::Encrypt);
    let before = rig.device.data_stats().submitted;
    drop(session.process(&IV, DmaBuffer::new(64).unwrap()));
    assert_eq!(rig.device.data_stats().submitted, before);
}

#[test]
fn dropped_in_flight_keeps_the_buffer_until_the_device_has_let_go() {
    let rig = Rig::simple();
    let session = rig.session(Direction::Encrypt);
    let before = live_pages();
    let mut request = Box::pin(session.process(&IV, DmaBuffer::new(LONG).unwrap()));
    assert!(poll_once(request.as_mut()).is_pending());
    drop(request);
    assert_eq!(
        live_pages() - before,
        LONG / 4096,
        "freed while the device has it"
    );
    // The device checks that what it touches is allocated.
    assert_eq!(rig.fake.serve(0, 1), 1);
    assert_eq!(live_pages() - before, LONG / 4096, "freed in an interrupt");
    let mut next = pin!(session.process(&IV, DmaBuffer::new(16).unwrap()));
    let _ = poll_once(next.as_mut());
    assert_eq!(live_pages() - before, 1, "not freed by the next caller");
}

#[test]
fn dropped_after_completion_frees_at_once() {
    let rig = Rig::simple();
    let session = rig.session(Direction::Encrypt);
    let before = live_pages();
    let mut request = Box::pin(session.process(&IV, DmaBuffer::new(64).unwrap()));
    let _ = poll_once(request.as_mut());
    rig.fake.serve(0, 1);
    drop(request);
    assert_eq!(live_pages(), before);
}

#[test]
fn forgotten_request_frees_nothing_early() {
    let rig = Rig::simple();
    let session = rig.session(Direction::Encrypt);
    let mut request = Box::pin(session.process(&IV, DmaBuffer::new(64).unwrap()));
    let _ = poll_once(request.as_mut());
    core::mem::forget(request);
    assert_eq!(rig.fake.serve(0, 1), 1);
    // The slot is lost, the queue is not.
    let mut data = [1; 16];
    let mut next = pin!(session.process_slice(&IV, &mut data));
    let _ = poll_once(next.as_mut());
    rig.fake.serve(0, 1);
    assert!(poll_once(next.as_mut()).is_ready());
}

#[test]
fn every_slot_orphaned_comes_back() {
    let rig = Rig::new(
        Setup::default(),
        Options {
            data_slots: 4,
            ..Rig::options()
        },
    )
    .unwrap();
    let session = rig.session(Direction::Encrypt);
    for _ in 0..5 {
        for _ in 0..4 {
            let mut request = Box::pin(session.process(&IV, DmaBuffer::new(16).unwrap()));
            assert!(poll_once(request.as_mut()).is_pending());
        }
        let mut data = [7; 16];
        let mut waiter = Box::pin(session.process_slice(&IV, &mut data));
        assert!(poll_once(waiter.as_mut()).is_pending());
        assert_eq!(rig.fake.serve(0, usize::MAX), 4);
        // It empties an orphan's slot, publishes in it, and is answered.
        assert!(poll_once(waiter.as_mut()).is_pending());
        assert_eq!(rig.fake.serve(0, usize::MAX), 1);
        assert!(poll_once(waiter.as_mut()).is_ready());
        drop(waiter);
        assert_eq!(data[..], oracle(&KEY, &IV, &[7; 16]));
    }
}

#[test]
fn waiter_that_leaves_passes_its_slot_on() {
    let rig = Rig::new(
        Setup::default(),
        Options {
            data_slots: 1,
            ..Rig::options()
        },
    )
    .unwrap();
    let session = rig.session(Direction::Encrypt);
    let request = || Box::pin(session.process(&IV, DmaBuffer::new(16).unwrap()));
    let mut first = request();
    let mut second = request();
    let mut third = request();
    for waiting in [&mut first, &mut second, &mut third] {
        assert!(poll_once(waiting.as_mut()).is_pending());
    }
    rig.fake.serve(0, 1);
    assert!(poll_once(first.as_mut()).is_ready());
    // The slot is the second's now, which does not want it any more.
    drop(second);
    assert!(poll_once(third.as_mut()).is_pending());
    assert_eq!(rig.fake.serve(0, 1), 1, "the third was not sent");
    assert!(poll_once(third.as_mut()).is_ready());
}

#[test]
fn cancelled_create_is_destroyed_in_its_own_slot() {
    let rig = Rig::new(
        Setup::default(),
        Options {
            control_slots: 1,
            ..Rig::options()
        },
    )
    .unwrap();
    for answered_first in [false, true] {
        let open = rig.begin_open();
        if answered_first {
            rig.fake.serve(1, 1);
            assert_eq!(rig.fake.sessions(), 1);
        }
        drop(open);
        rig.serve_all();
        assert_eq!((rig.fake.sessions(), rig.device.sessions_taken()), (0, 0));
    }
    let log = rig.fake.log();
    assert_eq!(
        log,
        [
            Served::Create(0),
            Served::Destroy(0),
            Served::Create(0),
            Served::Destroy(0)
        ]
    );
}

#[test]
fn end_of_a_cancelled_create_is_told_of() {
    // Without events every kick is wanted.
    let setup = Setup {
        features: Setup::default().features - Features::EVENT_IDX,
        ..Setup::default()
    };
    let rig = Rig::new(setup, Rig::options()).unwrap();
    drop(rig.begin_open());
    let kicks = rig.fake.kicks();
    assert_eq!(rig.fake.serve(1, 1), 1);
    assert_eq!(rig.fake.kicks(), kicks + 1);
    assert_eq!(rig.fake.take(1), 1, "its destroy");
}

#[test]
fn refused_and_cancelled_create_gives_its_place_back() {
    let rig = Rig::simple();
    rig.fake.limit_sessions(0);
    let open = rig.begin_open();
    drop(open);
    rig.serve_all();
    assert_eq!(rig.device.sessions_taken(), 0);
    assert_eq!(rig.fake.log(), [Served::Refused]);
}

#[test]
fn session_ends_only_after_its_orphans() {
    let rig = Rig::simple();
    let session = rig.session(Direction::Encrypt);
    let mut requests: Vec<_> = (0..3)
        .map(|_| Box::pin(session.process(&IV, DmaBuffer::new(16).unwrap())))
        .collect();
    for request in &mut requests {
        assert!(poll_once(request.as_mut()).is_pending());
    }
    drop(requests);
    drop(session);
    assert_eq!(rig.fake.take(1), 0, "destroyed with requests in flight");
    // A session of another owner does not get the id meanwhile.
    let other = rig.session(Direction::Decrypt);
    rig.fake.serve(0, 2);
    assert_eq!(rig.fake.take(1), 0, "destroyed with a request in flight");
    rig.fake.serve(0, 1);
    assert_eq!(rig.fake.serve(1, 1), 1);
    assert_eq!(rig.fake.log().last(), Some(&Served::Destroy(0)));
    assert_eq!(rig.fake.sessions(), 1);
    drop(other);
    rig.serve_all();
    assert_eq!((rig.fake.sessions(), rig.device.sessions_taken()), (0, 0));
}

#[test]
fn session_ends_only_after_its_short_requests() {
    for is_dropped in [false, true] {
        let rig = Rig::simple();
        let session = rig.session(Direction::Encrypt);
        let mut sent = request(&session);
        if is_dropped {
            drop(sent);
            drop(session);
            assert_eq!(rig.fake.take(1), 0, "destroyed with a request in flight");
            rig.fake.serve(0, 1);
        } else {
            rig.fake.serve(0, 1);
            assert_eq!(poll_once(sent.as_mut()), Poll::Ready(Ok(())));
            assert_eq!(rig.fake.take(1), 0, "destroyed while its owner has it");
            drop(sent);
            drop(session);
        }
        assert_eq!(rig.fake.serve(1, 1), 1);
        assert_eq!(rig.fake.log().last(), Some(&Served::Destroy(0)));
        rig.device.poll();
        assert_eq!(rig.device.sessions_taken(), 0);
    }
}

#[test]
fn cancelled_close_ends_the_session_all_the_same() {
    for polls in 0..3 {
        let rig = Rig::simple();
        let session = rig.session(Direction::Encrypt);
        let mut close = Box::pin(session.close());
        for poll in 0..polls {
            assert!(poll_once(close.as_mut()).is_pending());
            if poll == 1 {
                rig.fake.serve(1, 1);
            }
        }
        drop(close);
        rig.serve_all();
        assert_eq!(
            (rig.fake.sessions(), rig.device.sessions_taken()),
            (0, 0),
            "{polls} polls"
        );
    }
}

#[test]
fn close_of_a_session_in_use_waits_or_is_cancelled() {
    for cancel_after in [1, 2, 3, usize::MAX] {
        let rig = Rig::simple();
        let session = rig.session(Direction::Encrypt);
        let mut request = Box::pin(session.process(&IV, DmaBuffer::new(16).unwrap()));
        assert!(poll_once(request.as_mut()).is_pending());
        drop(request);
        let mut close = Some(Box::pin(session.close()));
        let steps: [&dyn Fn(); 3] = [
            &|| assert_eq!(rig.fake.take(1), 0, "destroyed with a request in flight"),
            &|| assert_eq!(rig.fake.serve(0, 1), 1),
            &|| assert_eq!(rig.fake.serve(1, 1), 1),
        ];
        for (polls, step) in (1..).zip(steps) {
            if let Some(close) = &mut close {
                assert!(poll_once(close.as_mut()).is_pending());
            }
            if polls == cancel_after {
                close = None;
            }
            step();
        }
        if let Some(mut close) = close {
            assert_eq!(poll_once(close.as_mut()), Poll::Ready(Ok(())));
        }
        let left = (rig.fake.sessions(), rig.device.sessions_taken());
        assert_eq!(left, (0, 0), "cancelled after {cancel_after} polls");
    }
}

#[test]
fn more_ends_than_slots_wait_their_turn() {
    let rig = Rig::new(
        Setup::default(),
        Options {
            control_slots: 2,
            ..Rig::options()
        },
    )
    .unwrap();
    let sessions: Vec<_> = (0..20).map(|_| rig.session(Direction::Encrypt)).collect();
    drop(sessions);
    assert_eq!(rig.fake.take(1), 2);
    rig.serve_all();
    assert_eq!((rig.fake.sessions(), rig.device.sessions_taken()), (0, 0));
}

#[test]
fn drops_at_random_leave_nothing_behind() {
    let mut random = Random::new(1);
    let mut next = move |below: usize| random.below(below);
    let options = Options {
        data_slots: 3,
        control_slots: 2,
        sessions: 8,
        ..Rig::options()
    };
    let rig = Rig::new(Setup::default(), options).unwrap();
    rig.fake.shuffle(7);
    let pages = live_pages();
    for _ in 0..times(300, 5) {
        // Owned by the futures, so that sessions and requests go in any order.
        let mut futures: Vec<core::pin::Pin<Box<dyn Future<Output = ()>>>> = Vec::new();
        for _ in 0..1 + next(10) {
            let device = rig.device.clone();
            let (direction, blocks, requests) = (
                [Direction::Encrypt, Direction::Decrypt][next(2)],
                1 + next(80),
                next(3),
            );
            futures.push(Box::pin(async move {
                let Ok(session) =
                    Cipher::open(&device, CipherAlgorithm::AesCbc, direction, &KEY).await
                else {
                    return;
                };
                for _ in 0..requests {
                    let mut data = alloc::vec![1; 16 * blocks];
                    session.process_slice(&IV, &mut data).await.unwrap();
                    if direction == Direction::Encrypt {
                        assert_eq!(data, oracle(&KEY, &IV, &alloc::vec![1; 16 * blocks]));
                    }
                }
                session.close().await.unwrap();
            }));
        }
        for _ in 0..next(40) {
            if futures.is_empty() {
                break;
            }
            let which = next(futures.len());
            match next(4) {
                0 => drop(futures.swap_remove(which)),
                1 => drop(rig.fake.serve(next(2), 1)),
                _ => {
                    if poll_once(futures[which].as_mut()).is_ready() {
                        drop(futures.swap_remove(which));
                    }
                }
            }
        }
        drop(futures);
        rig.serve_all();
        let state = (rig.fake.sessions(), rig.device.sessions_taken());
        assert_eq!(state, (0, 0));
    }
    let mut last = Box::pin(Cipher::open(
        &rig.device,
        CipherAlgorithm::AesCbc,
        Direction::Encrypt,
        &KEY,
    ));
    let _ = poll_once(last.as_mut());
    drop(last);
    rig.serve_all();
    assert_eq!(live_pages(), pages);
}

#[test]
fn blocking_form_that_gives_up_cancels() {
    let rig = Rig::simple();
    let session = rig.session(Direction::Encrypt);
    let request = session.process(&IV, DmaBuffer::new(16).unwrap());
    let outcome = crate::block_on(request, |_| core::ops::ControlFlow::Break(()));
    assert!(matches!(outcome, Err(Error::GaveUp)));
    assert_eq!(rig.fake.serve(0, 1), 1);
    drop(session);
    rig.serve_all();
    assert_eq!(rig.fake.sessions(), 0);
}

#[test]
fn blocking_form_gives_up_where_the_driver_polls() {
    let rig = Rig::polled();
    let session = rig.session(Direction::Encrypt);
    let request = session.process(&IV, DmaBuffer::new(16).unwrap());
    let mut idles = 0;
    let outcome = crate::block_on(request, |_| {
        idles += 1;
        match idles {
            ..10 => core::ops::ControlFlow::Continue(()),
            _ => core::ops::ControlFlow::Break(()),
        }
    });
    assert!(matches!(outcome, Err(Error::GaveUp)));
    drop(session);
    rig.serve_all();
    assert_eq!(rig.fake.sessions(), 0);
}
