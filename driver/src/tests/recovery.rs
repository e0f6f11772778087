//! What a shutdown and a recovery leave: no session, no key, nobody who waits for ever.

use alloc::{boxed::Box, sync::Arc, task::Wake, vec::Vec};
use core::{
    ops::ControlFlow,
    pin::Pin,
    task::{Context, Poll, Waker},
};
use std::sync::Mutex;

use crate::{
    Cipher, CipherAlgorithm, Device, DeviceFault, Direction, DmaBuffer, Error, ForcedReset,
    Options, block_on,
    fake::{
        FakePlatform, IV, KEY, Rig, Served, Setup, Wakes, is_in_freed_memory, live_pages,
        poll_once, trusted,
    },
};

const LIMIT_NS: u64 = 100_000_000;

fn opening<'d>(
    rig: &'d Rig,
    key: &'d [u8],
) -> Pin<Box<impl Future<Output = Result<Cipher<FakePlatform>, Error>> + 'd>> {
    let (algorithm, direction) = (CipherAlgorithm::AesCbc, Direction::Encrypt);
    Box::pin(Cipher::open(&rig.device, algorithm, direction, key))
}

fn open<'d>(rig: &'d Rig, key: &'d [u8]) -> Pin<Box<impl Future + 'd>> {
    let mut open = opening(rig, key);
    assert!(poll_once(open.as_mut()).is_pending());
    open
}

fn break_device(rig: &Rig) {
    rig.fake.need_reset();
    rig.device.poll();
}

#[test]
fn answered_create_that_nobody_took_ends_with_the_device() {
    let rig = Rig::simple();
    let mut open = rig.begin_open();
    assert_eq!(rig.fake.serve(1, 1), 1);
    rig.fake.be_eager();
    assert_eq!(rig.device.shutdown(LIMIT_NS).unwrap().in_flight, 0);
    assert_eq!(rig.fake.sessions(), 0);
    let core::task::Poll::Ready(outcome) = poll_once(open.as_mut()) else {
        panic!("it was answered");
    };
    assert_eq!(outcome.err(), Some(Error::ShutDown));
}

#[test]
fn answered_create_that_nobody_took_ends_with_a_recovery() {
    for limit_ns in [0, LIMIT_NS] {
        for broken in [false, true] {
            for dropped_before in [false, true] {
                let rig = Rig::simple();
                let open = open(&rig, &KEY);
                assert_eq!(rig.fake.serve(1, 1), 1);
                if broken {
                    break_device(&rig);
                }
                let mut open = Some(open);
                if dropped_before {
                    open = None;
                }
                rig.fake.be_eager();
                rig.device.recover(limit_ns).unwrap();
                drop(open);
                rig.serve_all();
                let case = (limit_ns, broken, dropped_before);
                assert_eq!(rig.fake.sessions(), 0, "{case:?}");
            }
        }
    }
}

#[test]
fn session_dropped_while_the_device_is_broken_ends_with_the_recovery() {
    // By its status, and by a lie, after which nobody reads that.
    let ways: [fn(&Rig); 2] = [break_device, |rig| rig.fake.use_unserved(0, 0)];
    for break_it in ways {
        let rig = Rig::simple();
        let session = rig.session(Direction::Encrypt);
        break_it(&rig);
        assert!(rig.device.ended().is_some());
        let kicks = rig.fake.kicks();
        drop(session);
        // With a kick, and without one.
        assert_eq!(rig.fake.kicks(), kicks, "sent to a broken device");
        assert_eq!(
            rig.fake.take(rig.fake.control()),
            0,
            "sent to a broken device"
        );
        rig.fake.be_eager();
        rig.device.recover(LIMIT_NS).unwrap();
        assert_eq!(rig.fake.sessions(), 0);
    }
}

#[test]
fn session_with_an_orphan_in_flight_is_not_ended_by_a_recovery() {
    let rig = Rig::simple();
    let session = rig.session(Direction::Encrypt);
    let mut request = Box::pin(session.process(&IV, DmaBuffer::new(32).unwrap()));
    assert!(poll_once(request.as_mut()).is_pending());
    drop(request);
    drop(session);
    break_device(&rig);
    rig.fake.be_eager();
    assert_eq!(rig.device.recover(LIMIT_NS).unwrap().in_flight, 1);
    let log = rig.fake.log();
    assert!(!log.contains(&Served::Destroy(0)), "{log:?}");
}

#[test]
fn recovery_without_time_ends_sessions_afterwards() {
    // One slot: the second has to wait for the first.
    for control_slots in [1, 64] {
        let options = Options {
            control_slots,
            ..Rig::options()
        };
        let rig = Rig::new(Setup::default(), options).unwrap();
        let sessions = [(); 2].map(|()| rig.session(Direction::Encrypt));
        rig.device.recover(0).unwrap();
        rig.serve_all();
        drop(sessions);
        rig.serve_all();
        assert_eq!(rig.fake.sessions(), 0, "{control_slots} slots");
    }
}

#[test]
fn interrupts_during_a_recovery_are_not_lost() {
    let rig = Rig::simple();
    let session = rig.session(Direction::Encrypt);
    break_device(&rig);
    rig.fake.be_eager();
    rig.device.recover(0).unwrap();
    drop(session);
    let mut looks = 0;
    let opened = block_on(
        Cipher::open(
            &rig.device,
            CipherAlgorithm::AesCbc,
            Direction::Encrypt,
            &KEY,
        ),
        |_| {
            looks += 1;
            match looks {
                ..1000 => ControlFlow::Continue(()),
                _ => ControlFlow::Break(()),
            }
        },
    );
    assert_eq!(rig.fake.sessions(), 1, "the device has answered");
    opened.expect("and somebody was woken").unwrap();
}

/// Why no session can be opened, if so.
fn refusal(rig: &Rig) -> Option<Error> {
    match poll_once(opening(rig, &KEY).as_mut()) {
        core::task::Poll::Ready(outcome) => outcome.err(),
        core::task::Poll::Pending => None,
    }
}

/// What meets a used element of the life before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Late {
    Data,
    DataDropped,
    Create,
    CreateDropped,
    DestroyAwaited,
    DestroyDropped,
}

#[test]
fn used_elements_of_the_life_before_give_nothing_back() {
    use Late::*;
    for late in [
        Data,
        DataDropped,
        Create,
        CreateDropped,
        DestroyAwaited,
        DestroyDropped,
    ] {
        let rig = Rig::simple();
        let _alone = rig.alone.clone();
        // A request in flight keeps the device from being reset cleanly: it has head 0, as that of
        // the next life will have.
        let before = rig.session(Direction::Encrypt);
        let mut given_up = Box::pin(before.process(&IV, DmaBuffer::new(16).unwrap()));
        assert!(poll_once(given_up.as_mut()).is_pending());
        assert_eq!(rig.device.recover(0).unwrap().in_flight, 1);
        rig.serve_all();
        assert!(poll_once(given_up.as_mut()).is_ready());
        drop(given_up);
        drop(before);

        let session = Arc::new(rig.session(Direction::Encrypt));
        let queue = match late {
            Data | DataDropped => 0,
            _ => 1,
        };
        let unused = Arc::new(rig.session(Direction::Encrypt));
        let own = session.clone();
        let mut call: Pin<Box<dyn Future<Output = Option<Error>>>> = match late {
            Data | DataDropped => Box::pin(async move {
                let outcome = own.process(&IV, DmaBuffer::new(9 << 10).unwrap()).await;
                let failed = outcome.err()?;
                assert!(failed.returned.is_none(), "handed back unanswered");
                Some(failed.error)
            }),
            Create | CreateDropped => Box::pin(async { opening(&rig, &KEY).await.err() }),
            DestroyAwaited | DestroyDropped => {
                let unused = Arc::into_inner(unused).unwrap();
                Box::pin(async move { unused.close().await.err() })
            }
        };
        let control_before = rig.device.control_stats().in_flight;
        assert!(poll_once(call.as_mut()).is_pending());
        let heads = rig.fake.take(queue);
        assert_eq!((heads, control_before), (1, 0), "{late:?}");
        let sessions = rig.fake.sessions();
        let live = live_pages();
        let mut call = Some(call);
        if let DataDropped | CreateDropped | DestroyDropped = late {
            call = None;
        }

        rig.fake.use_unserved(queue, 0);
        let broken = Some(Error::Broken(DeviceFault::Unanswered { id: 0 }));
        if let Some(mut call) = call {
            assert_eq!(
                poll_once(call.as_mut()),
                core::task::Poll::Ready(broken),
                "{late:?}"
            );
        }
        // Nothing goes on: the session of what is still queued is not ended, no slot is used anew.
        drop(session);
        assert_eq!(rig.fake.take(queue), 1, "{late:?}");
        assert_eq!(refusal(&rig), broken, "{late:?}");
        assert_eq!(live_pages(), live, "{late:?}");
        // The device checks that what it has is still its own, and that no destroy comes too early.
        rig.fake.serve(queue, 1);
        rig.serve_all();
        let change = match late {
            Data | DataDropped => 0,
            Create | CreateDropped => 1,
            DestroyAwaited | DestroyDropped => -1,
        };
        assert_eq!(rig.fake.sessions() as i64, sessions as i64 + change);
        assert_eq!(rig.device.recover(0).unwrap().in_flight, 1, "{late:?}");
        assert_eq!(refusal(&rig), None);
    }
}

#[test]
fn freed_memory_holds_no_key() {
    let key = *b"SuperSecretKey01";
    let rig = Rig::simple();
    let alone = rig.alone.clone();
    drop(open(&rig, &key));
    rig.fake.serve(1, usize::MAX);
    assert_eq!(rig.device.shutdown(LIMIT_NS).unwrap().in_flight, 0);
    drop(rig);
    assert_eq!(live_pages(), 0);
    assert!(!is_in_freed_memory(&key));
    drop(alone);
}

#[test]
fn reclaimed_memory_holds_no_key() {
    let key = *b"SuperSecretKey02";
    let options = Options {
        forced_reset: ForcedReset::Reclaim(trusted()),
        ..Rig::options()
    };
    let rig = Rig::new(Setup::default(), options).unwrap();
    let alone = rig.alone.clone();
    let open = open(&rig, &key);
    assert_eq!(rig.device.shutdown(1000).unwrap().in_flight, 1);
    drop(open);
    drop(rig);
    assert_eq!(live_pages(), 0);
    assert!(!is_in_freed_memory(&key));
    drop(alone);
}

#[test]
fn shutdown_in_a_batch_notifies_the_device() {
    let rig = Rig::simple();
    let _session = rig.session(Direction::Encrypt);
    rig.fake.be_eager();
    let device = rig.device.clone();
    let shutdown = rig.device.batch(async { device.shutdown(LIMIT_NS) });
    let drained = crate::fake::run(shutdown).unwrap();
    assert_eq!((drained.in_flight, rig.fake.sessions()), (0, 0));
}

#[test]
fn shutdown_in_a_batch_notifies_of_what_was_put_off() {
    let rig = Rig::simple();
    let session = rig.session(Direction::Encrypt);
    rig.fake.be_eager();
    rig.device.share_kicks(|| {
        let mut request = crate::fake::request(&session);
        let report = rig.device.shutdown(LIMIT_NS).unwrap();
        assert_eq!(report.in_flight, 0);
        assert_eq!(poll_once(request.as_mut()), Poll::Ready(Ok(())));
    });
}

#[test]
fn shutdown_of_a_broken_device_is_what_callers_are_told() {
    let rig = Rig::simple();
    let session = rig.session(Direction::Encrypt);
    break_device(&rig);
    let mut data = [0; 16];
    let mut encrypt = || crate::fake::run(session.process_slice(&IV, &mut data));
    assert_eq!(encrypt(), Err(Error::Broken(DeviceFault::NeedsReset)));
    rig.device.shutdown(0).unwrap();
    assert_eq!(encrypt(), Err(Error::ShutDown));
}

#[test]
fn forgotten_waiter_does_not_keep_others_from_a_slot() {
    let options = Options {
        data_slots: 2,
        ..Rig::options()
    };
    let rig = Rig::new(Setup::default(), options).unwrap();
    let session = rig.session(Direction::Encrypt);
    let request = || Box::pin(session.process(&IV, DmaBuffer::new(16).unwrap()));
    let mut in_flight = [request(), request()];
    for request in &mut in_flight {
        assert!(poll_once(request.as_mut()).is_pending());
    }
    let mut forgotten = request();
    assert!(poll_once(forgotten.as_mut()).is_pending());
    core::mem::forget(forgotten);
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(wakes.clone());
    let mut waiter = request();
    let mut context = Context::from_waker(&waker);
    assert!(waiter.as_mut().poll(&mut context).is_pending());
    drop(in_flight);
    assert_eq!(rig.fake.serve(0, 2), 2);
    assert!(wakes.count() > 0, "two slots came back, nobody was woken");
}

type Request = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Its last drop takes a lock of the driver's.
struct LocksAtDrop(Arc<Device<FakePlatform>>);

impl Wake for LocksAtDrop {
    fn wake(self: Arc<Self>) {}
}

impl Drop for LocksAtDrop {
    fn drop(&mut self) {
        let _ = self.0.data_stats();
    }
}

/// Polls another future when it is woken.
struct PollsAnother(Arc<Mutex<Option<Request>>>);

impl Wake for PollsAnother {
    fn wake(self: Arc<Self>) {
        let other = self.0.lock().unwrap().take();
        if let Some(mut other) = other {
            let _ = poll_once(other.as_mut());
        }
    }
}

#[test]
fn waker_is_never_dropped_under_the_lock() {
    let options = Options {
        data_slots: 1,
        ..Rig::options()
    };
    let rig = Rig::new(Setup::default(), options).unwrap();
    let session = Arc::new(rig.session(Direction::Encrypt));
    let request = || -> Request {
        let session = session.clone();
        Box::pin(async move {
            let _ = session.process(&IV, DmaBuffer::new(16).unwrap()).await;
        })
    };
    let other = Arc::new(Mutex::new(None));
    let waker = Waker::from(Arc::new(PollsAnother(other.clone())));
    // More than are woken in one go: the last is polled while its waker is still in the line.
    let mut waiting: Vec<Request> = (0..20).map(|_| request()).collect();
    for request in &mut waiting {
        let mut context = Context::from_waker(&waker);
        assert!(request.as_mut().poll(&mut context).is_pending());
    }
    let mut last = request();
    let waker = Waker::from(Arc::new(LocksAtDrop(rig.device.clone())));
    assert!(
        last.as_mut()
            .poll(&mut Context::from_waker(&waker))
            .is_pending()
    );
    drop(waker);
    *other.lock().unwrap() = Some(last);
    break_device(&rig);
    assert!(other.lock().unwrap().is_none(), "it was polled");
}

#[test]
fn buffer_longer_than_memory_is_refused() {
    let _rig = Rig::simple();
    for len_bytes in [usize::MAX, isize::MAX as usize] {
        let refused = DmaBuffer::<FakePlatform>::new(len_bytes);
        assert_eq!(refused.err(), Some(Error::OutOfDeviceMemory { len_bytes }));
    }
}

/// A device that breaks with a *create* in flight.
fn break_and_recover(rig: &Rig) -> Result<(), Error> {
    drop(rig.begin_open());
    break_device(rig);
    rig.device.recover(0).map(drop)
}

#[test]
fn recovery_gives_up_the_memory_of_busy_queues_alone() {
    let setup = Setup {
        data_queues: 16,
        ..Setup::default()
    };
    let rig = Rig::new(setup, Rig::options()).unwrap();
    let pages = live_pages();
    assert_eq!(rig.device.given_up_bytes(), 0);
    for recoveries in 1..5 {
        break_and_recover(&rig).unwrap();
        let lost = live_pages() - pages;
        assert_eq!(rig.device.given_up_bytes(), 4096 * lost as u64);
        // Of 17 queues alike.
        assert!(lost <= recoveries * pages / 16, "{lost} of {pages} pages");
    }
    rig.device.recover(0).unwrap();
    assert_eq!(
        rig.device.given_up_bytes(),
        4096 * (live_pages() - pages) as u64
    );
}

#[test]
fn device_that_keeps_breaking_costs_a_bounded_amount_of_memory() {
    let limit_bytes = 1 << 20;
    let options = Options {
        given_up_limit_bytes: limit_bytes,
        ..Rig::options()
    };
    let rig = Rig::new(Setup::default(), options).unwrap();
    let start = live_pages();
    let mut recoveries = 0;
    let refused = loop {
        match break_and_recover(&rig) {
            Ok(()) => recoveries += 1,
            Err(error) => break error,
        }
        assert!(recoveries < 100, "{} pages are lost", live_pages() - start);
    };
    let given_up_bytes = rig.device.given_up_bytes();
    assert_eq!(
        refused,
        Error::TooMuchGivenUp {
            given_up_bytes,
            limit_bytes
        }
    );
    assert!(recoveries > 1 && (limit_bytes..2 * limit_bytes).contains(&given_up_bytes));
    // It stays shut down, and nothing more is lost by trying.
    let pages = live_pages();
    for _ in 0..3 {
        assert_eq!(rig.device.recover(0), Err(refused));
        assert_eq!(live_pages(), pages);
    }
    assert_eq!(rig.device.ended(), Some(Error::ShutDown));
    assert_eq!(rig.device.shutdown(0).map(drop), Ok(()));
}
