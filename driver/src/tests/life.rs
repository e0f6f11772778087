//! What becomes of a device between its set-up and its end: the table in `life.md`, event by event.
//! The loss and the return of its hardware are in `readiness`, removals in `removal`.

use alloc::{boxed::Box, vec::Vec};
use core::{pin::Pin, task::Poll};

use crate::{
    Cipher, DeviceFault, Direction, DmaBuffer, Error, ForcedReset, HashAlgorithm, Interrupt, Mac,
    MacAlgorithm, MessageDigest, Options, Services, WhenNotReady,
    fake::{FakePlatform, IV, Rig, Setup, poll_once, request, run, trusted},
    transport::MsixEntry,
};

#[test]
fn device_that_is_silent_is_found_out_by_a_look() {
    let rig = Rig::simple();
    let session = rig.session(Direction::Encrypt);
    let mut request = request(&session);
    assert_eq!(rig.device.check(), Ok(()));
    // It asks for a reset, and its interrupt does not arrive.
    rig.fake.need_reset();
    assert!(poll_once(request.as_mut()).is_pending());
    let broken = Error::Broken(DeviceFault::NeedsReset);
    assert_eq!(rig.device.check(), Err(broken));
    assert_eq!(poll_once(request.as_mut()), Poll::Ready(Err(broken)));
    let [reads, writes, _] = rig.fake.accesses();
    assert_eq!(rig.device.check(), Err(broken), "and says so again");
    let [reads_after, writes_after, _] = rig.fake.accesses();
    assert_eq!((reads_after, writes_after), (reads + 1, writes));
}

#[test]
fn shutdown_without_time_ends_the_sessions_of_an_idle_device() {
    let rig = Rig::simple();
    let sessions = [(); 3].map(|()| rig.session(Direction::Encrypt));
    rig.fake.be_eager();
    assert_eq!(rig.device.shutdown(0).unwrap().in_flight, 0);
    assert_eq!(rig.fake.sessions(), 0);
    assert_eq!(rig.device.sessions_left_behind(), 0);
    drop(sessions);
}

#[test]
fn shutdown_ends_what_is_idle_and_counts_what_is_not() {
    let options = Options {
        // The ends of sessions are answered in time, however busy the host is.
        reset_limit_ns: 20_000_000_000,
        ..Rig::options()
    };
    let rig = Rig::new(Setup::default(), options).unwrap();
    let sessions = [(); 3].map(|()| rig.session(Direction::Encrypt));
    let requests = [request(&sessions[1]), request(&sessions[1])];
    // The control queue alone is served.
    let (fake, device) = (rig.fake.clone(), rig.device.clone());
    let drained = std::thread::scope(|scope| {
        let shutdown = scope.spawn(|| device.shutdown(0));
        while !shutdown.is_finished() {
            fake.serve(fake.control(), usize::MAX);
        }
        shutdown.join().unwrap()
    });
    assert_eq!(drained.unwrap().in_flight, 2);
    assert_eq!(rig.fake.sessions(), 1);
    assert_eq!(rig.device.sessions_left_behind(), 1);
    drop(requests);
    drop(sessions);
    // Not in vain: a recovery does not know what became of the requests either.
    rig.fake.be_eager();
    rig.device.recover(0).unwrap();
    assert_eq!(rig.device.sessions_left_behind(), 1);
}

#[test]
fn forced_recovery_ends_every_session_of_a_trusted_device_and_counts_those_of_another() {
    for forced_reset in [ForcedReset::Reclaim(trusted()), ForcedReset::Quarantine] {
        let options = Options {
            forced_reset,
            ..Rig::options()
        };
        let rig = Rig::new(Setup::default(), options).unwrap();
        let mut sessions: Vec<_> = (0..4).map(|_| rig.session(Direction::Encrypt)).collect();
        let requests = [request(&sessions[0]), request(&sessions[1])];
        rig.fake.need_reset();
        rig.device.poll();
        drop(requests);
        // One whose *destroy* waits, one that is held.
        drop(sessions.pop());
        rig.fake.be_eager();
        assert_eq!(rig.device.recover(0).unwrap().in_flight, 2);
        let left = match forced_reset {
            ForcedReset::Reclaim(_) => 0,
            ForcedReset::Quarantine => 2,
        };
        assert_eq!(rig.fake.sessions(), left, "{forced_reset:?}");
        assert_eq!(rig.device.sessions_left_behind(), left as u64);
        drop(sessions);
        // What was left is ended by the call, which is then taken off.
        rig.fake.bear_strays();
        let known = run(rig.device.end_sessions_before(5));
        assert_eq!(known, Ok(left as u64));
        assert_eq!(rig.fake.sessions(), 0);
        assert_eq!(rig.device.sessions_left_behind(), 0);
    }
}

#[test]
fn destroy_that_met_a_forced_reset_is_sent_again_to_a_trusted_device() {
    for closed in [false, true] {
        let options = Options {
            forced_reset: ForcedReset::Reclaim(trusted()),
            ..Rig::options()
        };
        let rig = Rig::new(Setup::default(), options).unwrap();
        let session = rig.session(Direction::Encrypt);
        let mut closing = Box::pin(session.close());
        assert!(poll_once(closing.as_mut()).is_pending());
        let closing = closed.then_some(closing);
        rig.fake.need_reset();
        rig.device.poll();
        assert_eq!(rig.device.recover(0).unwrap().in_flight, 1);
        assert_eq!(rig.fake.sessions(), 1);
        rig.serve_all();
        assert_eq!(rig.fake.sessions(), 0);
        assert_eq!(rig.device.sessions_left_behind(), 0);
        drop(closing);
    }
}

#[test]
fn session_that_a_trusted_device_made_unseen_ends_with_a_forced_recovery() {
    for dropped in [false, true] {
        let options = Options {
            forced_reset: ForcedReset::Reclaim(trusted()),
            ..Rig::options()
        };
        let rig = Rig::new(Setup::default(), options).unwrap();
        rig.fake.hold_interrupts(true);
        // One is made, its answer not seen before the reset; of the other the device knows nothing.
        let mut made = rig.open();
        assert!(poll_once(made.as_mut()).is_pending());
        assert_eq!(rig.fake.serve(1, 1), 1);
        let mut unknown = rig.open();
        assert!(poll_once(unknown.as_mut()).is_pending());
        let mut made = Some(made);
        if dropped {
            made = None;
        }
        assert_eq!(rig.device.recover(0).unwrap().in_flight, 2);
        rig.fake.hold_interrupts(false);
        rig.serve_all();
        assert_eq!(rig.fake.sessions(), 0);
        for mut open in made.into_iter().chain([unknown]) {
            let outcome = poll_once(open.as_mut());
            assert!(matches!(outcome, Poll::Ready(Err(Error::ShutDown))));
        }
        // Whether it has made the other nobody can tell.
        assert_eq!(rig.device.sessions_left_behind(), 1);
    }
}

/// A device with sessions of three services, whose owner is no more.
fn inherited(options: Options) -> Rig {
    let setup = Setup {
        services: Services::all(),
        ..Setup::default()
    };
    let rig = Rig::new(setup.clone(), Rig::options()).unwrap();
    rig.fake.be_eager();
    run(async {
        let device = &rig.device;
        let mac = (MacAlgorithm::HmacSha256, [1; 32]);
        core::mem::forget(rig.open().await.unwrap());
        core::mem::forget(Mac::open(device, mac.0, &mac.1, 32).await.unwrap());
        core::mem::forget(
            MessageDigest::open(device, HashAlgorithm::Sha256, 32)
                .await
                .unwrap(),
        );
        core::mem::forget(rig.open().await.unwrap());
    });
    let after = rig.reboot(setup, options).unwrap();
    assert_eq!(after.fake.sessions(), 4);
    after.fake.bear_strays();
    after
}

#[test]
fn sessions_of_an_owner_before_are_ended_by_a_call() {
    for (sessions, control_slots) in [(256, 64), (3, 64), (256, 1)] {
        let options = Options {
            sessions,
            control_slots,
            ..Rig::options()
        };
        let rig = inherited(options);
        assert_eq!(run(rig.device.end_sessions_before(2)), Ok(2));
        assert_eq!(run(rig.device.end_sessions_before(70)), Ok(2));
        assert_eq!(run(rig.device.end_sessions_before(70)), Ok(0));
        assert_eq!(rig.fake.sessions(), 0);
        run(rig.open()).unwrap();
    }
}

#[test]
fn sessions_of_an_owner_before_are_left_where_one_is_open() {
    let rig = inherited(Rig::options());
    let session = run(rig.open()).unwrap();
    let refused = Err(Error::SessionsOpen { open: 1 });
    assert_eq!(run(rig.device.end_sessions_before(70)), refused);
    assert_eq!(rig.fake.sessions(), 5);
    run(session.close()).unwrap();
    assert_eq!(run(rig.device.end_sessions_before(70)), Ok(4));
}

#[test]
fn no_session_is_opened_while_those_of_an_owner_before_are_ended() {
    let rig = Rig::simple();
    rig.fake.bear_strays();
    let ending = || Box::pin(rig.device.end_sessions_before(40));
    let mut first = ending();
    assert!(poll_once(first.as_mut()).is_pending());
    let busy = Some(Error::Resetting);
    assert_eq!(run(rig.open()).err(), busy);
    assert_eq!(run(ending()).err(), busy);
    assert_eq!(rig.device.shutdown(0).err(), busy);
    rig.fake.serve(1, usize::MAX);
    assert!(poll_once(first.as_mut()).is_pending());
    rig.fake.serve(1, usize::MAX);
    assert_eq!(poll_once(first.as_mut()), Poll::Ready(Ok(0)));
    rig.session(Direction::Encrypt);
    rig.serve_all();

    // Given up half way, nothing that is on its way may meet a new session.
    let mut second = ending();
    assert!(poll_once(second.as_mut()).is_pending());
    drop(second);
    assert_eq!(rig.device.ended(), Some(Error::GaveUp));
    assert_eq!(run(rig.open()).err(), Some(Error::GaveUp));
    rig.fake.be_eager();
    rig.device.recover(0).unwrap();
    run(rig.open()).unwrap();
}

#[test]
fn device_is_reset_at_its_drop_whatever_was_forgotten() {
    let rig = Rig::simple();
    rig.fake.bear_strays();
    let mut ending = Box::pin(rig.device.end_sessions_before(40));
    assert!(poll_once(ending.as_mut()).is_pending());
    core::mem::forget(ending);
    assert_eq!(rig.device.shutdown(0).err(), Some(Error::Resetting));
    let (fake, _alone) = (rig.fake.clone(), rig.alone.clone());
    drop(rig);
    assert!(fake.enabled().is_empty());
}

#[test]
fn ends_of_sessions_of_an_owner_before_wait_for_the_hardware_or_fail_without() {
    for when_not_ready in [WhenNotReady::Fail, WhenNotReady::Wait] {
        let options = Options {
            when_not_ready,
            control_slots: 1,
            ..Rig::options()
        };
        let rig = Rig::new(Setup::default(), options).unwrap();
        rig.fake.bear_strays();
        let mut ending = Box::pin(rig.device.end_sessions_before(40));
        assert!(poll_once(ending.as_mut()).is_pending());
        rig.fake.set_ready(false);
        rig.device.poll();
        // The one that was sent is answered.
        assert_eq!(rig.fake.serve(1, usize::MAX), 1);
        match when_not_ready {
            WhenNotReady::Fail => {
                let failed = Poll::Ready(Err(Error::HardwareNotReady));
                assert_eq!(poll_once(ending.as_mut()), failed);
                drop(ending);
                assert_eq!(rig.device.ended(), Some(Error::GaveUp));
            }
            WhenNotReady::Wait => {
                assert!(poll_once(ending.as_mut()).is_pending());
                assert_eq!(run(rig.open()).err(), Some(Error::Resetting));
                rig.fake.set_ready(true);
                rig.device.poll();
                rig.fake.be_eager();
                assert_eq!(run(ending), Ok(0));
                run(rig.open()).unwrap();
            }
        }
    }
}

/// What a request of 32 bytes ends with, and whether its buffer comes back.
type Ended = Result<(), (Error, bool)>;

fn long(session: &Cipher<FakePlatform>) -> Pin<Box<dyn Future<Output = Ended> + '_>> {
    let mut request: Pin<Box<dyn Future<Output = Ended> + '_>> = Box::pin(async {
        let outcome = session.process(&IV, DmaBuffer::new(32).unwrap()).await;
        outcome
            .map(drop)
            .map_err(|failed| (failed.error, failed.returned.is_some()))
    });
    assert!(poll_once(request.as_mut()).is_pending());
    request
}

/// A device that takes one data request at a time.
fn narrow() -> Rig {
    let options = Options {
        data_slots: 1,
        ..Rig::options()
    };
    Rig::new(Setup::default(), options).unwrap()
}

/// Ends a request in flight and one in the line, and sends nothing more.
fn ends_everything(rig: &Rig, event: impl FnOnce(), error: Error) {
    let session = rig.session(Direction::Encrypt);
    let (mut in_flight, mut waiting) = (long(&session), long(&session));
    let submitted = rig.device.data_stats().submitted;
    event();
    assert_eq!(rig.device.ended(), Some(error));
    assert_eq!(
        poll_once(in_flight.as_mut()),
        Poll::Ready(Err((error, false)))
    );
    assert_eq!(poll_once(waiting.as_mut()), Poll::Ready(Err((error, true))));
    assert_eq!(run(rig.open()).err(), Some(error));
    assert_eq!(rig.device.data_stats().submitted, submitted);
}

#[test]
fn device_that_asks_for_a_reset_ends_everything_until_it_recovers() {
    let rig = narrow();
    let event = || {
        rig.fake.need_reset();
        let interrupt = rig.device.handle_interrupt(MsixEntry(0));
        assert_eq!(interrupt, Interrupt::Handled);
    };
    ends_everything(&rig, event, Error::Broken(DeviceFault::NeedsReset));
    rig.device.recover(0).unwrap();
    rig.session(Direction::Encrypt);
}

#[test]
fn device_that_its_bus_has_reset_ends_everything_until_it_recovers() {
    type Look = fn(&Rig);
    let looks: [Look; 3] = [
        |rig| {
            rig.device.handle_interrupt(MsixEntry(0));
        },
        |rig| rig.device.poll(),
        |rig| {
            rig.device.check().unwrap_err();
        },
    ];
    for look in looks {
        let rig = narrow();
        let event = || {
            rig.fake.reset_function();
            look(&rig);
        };
        ends_everything(&rig, event, Error::Broken(DeviceFault::StatusLost));
        rig.device.recover(0).unwrap();
        rig.session(Direction::Encrypt);
    }
}

#[test]
fn successor_of_a_device_is_not_reset_by_a_predecessor_that_has_looked() {
    let rig = Rig::simple();
    let session = rig.session(Direction::Encrypt);
    rig.fake.vanish();
    assert_eq!(rig.device.check(), Err(Error::Broken(DeviceFault::Gone)));
    rig.fake.come_back();
    let successor = rig.succeed(Setup::default(), Rig::options()).unwrap();
    let other = successor.session(Direction::Encrypt);
    let mut request = request(&other);
    drop(session);
    drop(rig);
    assert_eq!(successor.device.check(), Ok(()));
    assert_eq!(successor.fake.serve(0, 1), 1);
    assert_eq!(poll_once(request.as_mut()), Poll::Ready(Ok(())));
}

#[test]
fn device_whose_process_is_started_again_goes_on_after_a_recovery() {
    let rig = Rig::simple();
    let session = rig.session(Direction::Encrypt);
    let mut in_flight = request(&session);
    // It dies with what it had, and the host says that there is nobody.
    rig.fake.set_ready(false);
    assert_eq!(rig.device.check(), Err(Error::HardwareNotReady));
    assert!(poll_once(in_flight.as_mut()).is_pending());
    let away = Err(Error::HardwareNotReady);
    assert_eq!(rig.device.recover(0).map(drop), away, "it has to be there");
    assert_eq!(
        poll_once(in_flight.as_mut()),
        Poll::Ready(Err(Error::ShutDown))
    );
    rig.fake.set_ready(true);
    rig.fake.be_eager();
    rig.device.recover(0).unwrap();
    assert_eq!(rig.device.check(), Ok(()));
    run(async { rig.open().await?.close().await }).unwrap();
}

#[test]
fn machine_that_is_stopped_and_continued_loses_nothing() {
    let rig = Rig::simple();
    let session = rig.session(Direction::Encrypt);
    let mut in_flight = request(&session);
    // Longer than anything has a limit for.
    std::thread::sleep(core::time::Duration::from_nanos(
        3 * Rig::options().reset_limit_ns,
    ));
    assert_eq!(rig.device.check(), Ok(()));
    rig.fake.serve(0, 1);
    assert_eq!(poll_once(in_flight.as_mut()), Poll::Ready(Ok(())));
}

#[test]
fn forced_reset_ends_what_is_in_flight_and_keeps_its_buffers() {
    type End = fn(&Rig) -> u32;
    let ends: [End; 2] = [
        |rig| rig.device.shutdown(0).unwrap().in_flight,
        |rig| rig.device.recover(0).unwrap().in_flight,
    ];
    for end in ends {
        let rig = narrow();
        let session = rig.session(Direction::Encrypt);
        let (mut in_flight, mut waiting) = (long(&session), long(&session));
        assert_eq!(end(&rig), 1);
        let error = Error::ShutDown;
        assert_eq!(
            poll_once(in_flight.as_mut()),
            Poll::Ready(Err((error, false)))
        );
        assert_eq!(poll_once(waiting.as_mut()), Poll::Ready(Err((error, true))));
        // Of the life before, whatever the device does now.
        assert_eq!(run(session.process_slice(&IV, &mut [0; 16])), Err(error));
    }
}
