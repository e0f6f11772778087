//! A caller's waker that panics, or a transport's doorbell, costs the others nothing.

use alloc::{boxed::Box, sync::Arc, task::Wake, vec, vec::Vec};
use core::{
    future::Future,
    panic::AssertUnwindSafe,
    pin::Pin,
    task::{Context, Poll, Waker},
};
use std::panic::catch_unwind;

use crate::{
    Cipher, DeviceFault, Direction, DmaBuffer, Error, Features, Interrupt, Options,
    fake::{FakePlatform, Fault, IV, Rig, Setup, Wakes, as_cpu, message, poll_once},
    transport::MsixEntry,
};

/// Panics when it is woken.
struct Bomb;

impl Wake for Bomb {
    fn wake(self: Arc<Self>) {
        panic!("a caller's waker");
    }
}

fn panics<R>(f: impl FnOnce() -> R) -> bool {
    catch_unwind(AssertUnwindSafe(f)).is_err()
}

type Request<'s> = Pin<Box<dyn Future<Output = bool> + 's>>;

/// Sends a request, or waits in line for a slot; `true` comes of it if it is answered.
fn request<'s>(session: &'s Cipher<FakePlatform>, waker: &Waker) -> Request<'s> {
    let mut request: Request<'s> = Box::pin(async {
        let buffer = DmaBuffer::new(16).unwrap();
        session.process(&IV, buffer).await.is_ok()
    });
    let mut context = Context::from_waker(waker);
    assert!(request.as_mut().poll(&mut context).is_pending());
    request
}

/// What was noticed is noticed, and its message expected.
#[test]
fn message_of_a_reset_that_a_waker_panicked_at_is_not_unhandled() {
    let rig = Rig::simple();
    let session = rig.session(Direction::Encrypt);
    let _request = request(&session, &Waker::from(Arc::new(Bomb)));
    rig.fake.need_reset();
    assert!(panics(|| rig.device.check()));
    let answer = || rig.device.handle_interrupt(MsixEntry(0));
    assert_eq!(answer(), Interrupt::AlreadyDrained);
    assert_eq!(answer(), Interrupt::Unhandled);
}

#[test]
fn others_that_were_answered_are_woken() {
    // More than one batch holds, and the bomb in each place of one.
    for count in [1, 2, 16, 40] {
        for place in 0..count {
            for by_interrupt in [false, true] {
                let rig = Rig::simple();
                let session = rig.session(Direction::Encrypt);
                let woken = Arc::new(Wakes::default());
                let (bomb, waker) = (Waker::from(Arc::new(Bomb)), Waker::from(woken.clone()));
                rig.fake.hold_interrupts(true);
                let wakers = (0..count).map(|at| if at == place { &bomb } else { &waker });
                let mut requests: Vec<_> = wakers.map(|waker| request(&session, waker)).collect();
                assert_eq!(rig.fake.serve(0, usize::MAX), count);
                assert!(panics(|| {
                    if by_interrupt {
                        let _ = rig.device.handle_interrupt(MsixEntry(1));
                    } else {
                        rig.device.drain();
                    }
                }));
                let case = (count, place, by_interrupt);
                assert_eq!(woken.count(), count - 1, "{case:?}");
                for request in &mut requests {
                    assert_eq!(poll_once(request.as_mut()), Poll::Ready(true), "{case:?}");
                }
            }
        }
    }
}

#[test]
fn session_that_ended_in_the_same_batch_is_destroyed() {
    let rig = Rig::simple();
    let (kept, dropped) = (
        rig.session(Direction::Encrypt),
        rig.session(Direction::Encrypt),
    );
    drop(request(&dropped, Waker::noop()));
    drop(dropped);
    let mut other = request(&kept, &Waker::from(Arc::new(Bomb)));
    rig.fake.hold_interrupts(true);
    assert_eq!(rig.fake.serve(0, usize::MAX), 2);
    assert!(panics(|| rig.device.drain()));
    rig.serve_all();
    assert_eq!(rig.fake.sessions(), 1);
    assert!(poll_once(other.as_mut()).is_ready());
}

#[test]
fn sessions_that_end_in_one_batch_are_destroyed_though_a_doorbell_panics() {
    for by_interrupt in [true, false] {
        // So that every request rings.
        let options = Options {
            refuse: Features::EVENT_IDX,
            ..Rig::options()
        };
        let rig = Rig::new(Setup::default(), options).unwrap();
        let sessions: Vec<_> = (0..3).map(|_| rig.session(Direction::Encrypt)).collect();
        for session in &sessions {
            drop(request(session, Waker::noop()));
        }
        drop(sessions);
        rig.fake.hold_interrupts(true);
        assert_eq!(rig.fake.serve(0, usize::MAX), 3);
        rig.fake.panic_at_kicks(true);
        assert!(panics(|| if by_interrupt {
            let _ = rig.device.handle_interrupt(MsixEntry(1));
        } else {
            rig.device.drain();
        }));
        rig.fake.panic_at_kicks(false);
        rig.serve_all();
        assert_eq!(rig.device.sessions_taken(), 0, "{by_interrupt}");
        assert_eq!(rig.fake.sessions(), 0, "{by_interrupt}");
    }
}

#[test]
fn nothing_is_opened_after_a_doorbell_cut_the_ends_of_sessions_before_short() {
    let rig = Rig::simple();
    rig.fake.bear_strays();
    rig.fake.panic_at_kicks(true);
    let mut ending = Box::pin(rig.device.end_sessions_before(2));
    assert!(panics(|| poll_once(ending.as_mut())));
    drop(ending);
    rig.fake.panic_at_kicks(false);
    // A *destroy* that is on its way may end whatever gets its id.
    assert_eq!(rig.device.ended(), Some(Error::GaveUp));
    rig.fake.be_eager();
    rig.device.recover(0).unwrap();
    assert_eq!(rig.device.sessions_taken(), 0);
    rig.session(Direction::Encrypt);
}

#[test]
fn session_is_not_left_behind_though_who_gets_its_slot_panics() {
    let options = Options {
        control_slots: 1,
        ..Rig::options()
    };
    let rig = Rig::new(Setup::default(), options).unwrap();
    let (mut first, mut next) = (rig.begin_open(), rig.open());
    let bomb = Waker::from(Arc::new(Bomb));
    assert!(
        next.as_mut()
            .poll(&mut Context::from_waker(&bomb))
            .is_pending()
    );
    assert_eq!(rig.fake.serve(rig.fake.control(), 1), 1);
    assert!(panics(|| poll_once(first.as_mut())));
    drop(first);
    rig.serve_all();
    // The other one's turn has come.
    assert!(poll_once(next.as_mut()).is_pending());
    rig.serve_all();
    let session = poll_once(next.as_mut());
    rig.serve_all();
    assert_eq!((rig.device.sessions_taken(), rig.fake.sessions()), (1, 1));
    drop(session);
    rig.serve_all();
    assert_eq!((rig.device.sessions_taken(), rig.fake.sessions()), (0, 0));
}

/// A message that stands for several queues comes once.
#[test]
fn queues_of_one_vector_are_drained_though_a_waker_panics() {
    for (vectors, entry) in [(1, 0), (2, 1)] {
        for place in 0..3 {
            let setup = Setup {
                data_queues: 2,
                ..Setup::default()
            };
            let options = Options {
                messages: vec![message(1, 2); vectors],
                ..Rig::options()
            };
            let rig = Rig::new(setup, options).unwrap();
            let session = rig.session(Direction::Encrypt);
            assert!(rig.settle());
            let woken = Arc::new(Wakes::default());
            let (bomb, waker) = (Waker::from(Arc::new(Bomb)), Waker::from(woken.clone()));
            let waker = |at| if at == place { &bomb } else { &waker };
            rig.fake.hold_interrupts(true);
            let _on_first = as_cpu(0, || request(&session, waker(0)));
            let _on_second = as_cpu(1, || request(&session, waker(1)));
            let mut create = rig.open();
            let mut context = Context::from_waker(waker(2));
            assert!(create.as_mut().poll(&mut context).is_pending());
            for queue in rig.fake.enabled() {
                assert_eq!(rig.fake.serve(queue, 1), 1);
            }
            let answer = || rig.device.handle_interrupt(MsixEntry(entry));
            assert!(panics(answer));
            assert_eq!(woken.count(), 2, "{vectors} {place}");
            // It has spent one of three credits.
            assert_eq!(answer(), Interrupt::AlreadyDrained);
            assert_eq!(answer(), Interrupt::AlreadyDrained);
            assert_eq!(answer(), Interrupt::Unhandled);
        }
    }
}

#[test]
fn message_that_also_tells_of_a_reset_is_heard_though_a_waker_panics() {
    let options = Options {
        messages: vec![message(1, 2)],
        ..Rig::options()
    };
    let rig = Rig::new(Setup::default(), options).unwrap();
    let session = rig.session(Direction::Encrypt);
    let _request = request(&session, &Waker::from(Arc::new(Bomb)));
    rig.fake.hold_interrupts(true);
    assert_eq!(rig.fake.serve(0, 1), 1);
    rig.fake.need_reset();
    assert!(panics(|| rig.device.handle_interrupt(MsixEntry(0))));
    let ended = rig.device.ended();
    assert_eq!(ended, Some(Error::Broken(DeviceFault::NeedsReset)));
}

#[test]
fn poll_looks_after_the_device_though_a_waker_panics() {
    let rig = Rig::simple();
    let session = rig.session(Direction::Encrypt);
    let _request = request(&session, &Waker::from(Arc::new(Bomb)));
    rig.fake.hold_interrupts(true);
    assert_eq!(rig.fake.serve(0, 1), 1);
    rig.fake.need_reset();
    assert!(panics(|| rig.device.poll()));
    let ended = rig.device.ended();
    assert_eq!(ended, Some(Error::Broken(DeviceFault::NeedsReset)));
}

/// Two data queues with one slot each, so that the second caller of either waits in its line.
fn two_queues_of_one_slot() -> Rig {
    let setup = Setup {
        data_queues: 2,
        ..Setup::default()
    };
    let options = Options {
        data_slots: 1,
        ..Rig::options()
    };
    Rig::new(setup, options).unwrap()
}

#[test]
fn every_queue_learns_of_the_hardware_though_a_waker_panics() {
    for place in 0..2 {
        let rig = two_queues_of_one_slot();
        let session = rig.session(Direction::Encrypt);
        let woken = Arc::new(Wakes::default());
        let (bomb, waker) = (Waker::from(Arc::new(Bomb)), Waker::from(woken.clone()));
        let waker = |at| if at == place { &bomb } else { &waker };
        let on = |cpu, waker| as_cpu(cpu, || request(&session, waker));
        let _in_flight = [on(0, Waker::noop()), on(1, Waker::noop())];
        let mut in_line = [on(0, waker(0)), on(1, waker(1))];
        rig.fake.hold_interrupts(true);
        rig.fake.set_ready(false);
        assert!(panics(|| rig.device.check()));
        assert_eq!(woken.count(), 1);
        for request in &mut in_line {
            assert_eq!(poll_once(request.as_mut()), Poll::Ready(false));
        }
    }
}

/// Ends a section of shared kicks by a doorbell that panics, at its end or where it drains.
#[test]
fn other_queues_are_kicked_and_drained_though_a_doorbell_panics() {
    for drains in [false, true] {
        // So that every request rings.
        let options = Options {
            refuse: Features::EVENT_IDX,
            ..Rig::options()
        };
        let rig = Rig::new(Setup::default(), options).unwrap();
        let session = rig.session(Direction::Encrypt);
        let mut open = rig.begin_open();
        rig.fake.hold_interrupts(drains);
        assert_eq!(rig.fake.serve(rig.fake.control(), usize::MAX), 1);
        assert!(panics(|| rig.device.share_kicks(|| {
            let _request = request(&session, Waker::noop());
            rig.fake.panic_at_kicks(true);
            if drains {
                rig.device.drain();
            }
        })));
        rig.fake.panic_at_kicks(false);
        let opened = poll_once(open.as_mut());
        assert!(matches!(opened, Poll::Ready(Ok(_))));
        let kicks = rig.fake.kicks();
        let _open = rig.begin_open();
        assert_eq!(rig.fake.kicks(), kicks + 1, "{drains}");
    }
}

/// How a device ends.
#[derive(Clone, Copy, Debug)]
enum End {
    BadId,
    NeedsReset,
    Shutdown,
    Recovery,
}

#[test]
fn everybody_is_told_of_the_end_and_the_next_recovery_works() {
    for end in [End::BadId, End::NeedsReset, End::Shutdown, End::Recovery] {
        // In flight on either data queue, in the line, at a *create*.
        for place in 0..4 {
            let rig = two_queues_of_one_slot();
            let session = rig.session(Direction::Encrypt);
            let woken = Arc::new(Wakes::default());
            let (bomb, waker) = (Waker::from(Arc::new(Bomb)), Waker::from(woken.clone()));
            let waker = |at| if at == place { &bomb } else { &waker };
            let mut on_first = as_cpu(0, || request(&session, waker(0)));
            let mut on_second = as_cpu(1, || request(&session, waker(1)));
            let mut in_line = as_cpu(0, || request(&session, waker(2)));
            let mut create = rig.begin_open();
            let mut context = Context::from_waker(waker(3));
            assert!(create.as_mut().poll(&mut context).is_pending());

            let panicked = panics(|| match end {
                End::BadId => {
                    rig.fake.hold_interrupts(true);
                    rig.fake.set_fault(Fault::Id(99));
                    rig.fake.serve(0, 1);
                    rig.device.drain();
                }
                End::NeedsReset => {
                    rig.fake.need_reset();
                    rig.device.poll();
                }
                End::Shutdown => {
                    let _ = rig.device.shutdown(0);
                }
                End::Recovery => {
                    let _ = rig.device.recover(0);
                }
            });
            let case = (end, place);
            assert!(panicked, "{case:?}");
            let again = rig.device.recover(0);
            assert!(again.is_ok(), "{case:?}: {again:?}");
            assert_eq!(woken.count(), 3, "{case:?}");
            for request in [&mut on_first, &mut on_second, &mut in_line] {
                assert_eq!(poll_once(request.as_mut()), Poll::Ready(false), "{case:?}");
            }
            assert!(poll_once(create.as_mut()).is_ready(), "{case:?}");
        }
    }
}

#[test]
fn change_that_a_waker_panicked_in_is_over() {
    let rig = Rig::simple();
    let session = rig.session(Direction::Encrypt);
    let mut request = request(&session, &Waker::from(Arc::new(Bomb)));
    assert!(panics(|| rig.device.shutdown(0)));
    assert!(rig.device.shutdown(0).is_ok());
    assert!(poll_once(request.as_mut()).is_ready());
    assert_eq!(rig.device.ended(), Some(Error::ShutDown));
}

#[test]
fn device_is_reset_at_its_drop_though_a_waker_cut_its_shutdown_short() {
    let rig = Rig::simple();
    let session = rig.session(Direction::Encrypt);
    let mut request = request(&session, &Waker::from(Arc::new(Bomb)));
    assert!(panics(|| rig.device.shutdown(0)));
    let (fake, _alone) = (rig.fake.clone(), rig.alone.clone());
    drop(rig);
    assert!(fake.enabled().is_empty());
    assert!(poll_once(request.as_mut()).is_ready());
}
