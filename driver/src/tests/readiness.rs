//! The device's hardware is lost at run time, and comes back. Nothing is sent in between
//! (Virtio 1.3, 5.9.5).

use alloc::{boxed::Box, sync::Arc, task::Wake, vec::Vec};
use core::{
    pin::Pin,
    sync::atomic::{AtomicBool, Ordering},
    task::{Context, Poll, Waker},
};
use std::{sync::Mutex, thread};

use crate::{
    Cipher, CipherAlgorithm, DevicePool, Direction, DmaBuffer, Error, Interrupt, Options,
    WhenNotReady,
    fake::{FakePlatform, IV, KEY, Rig, Setup, Wakes, live_pages, poll_once, run, times},
    transport::MsixEntry,
};

const NOT_READY: Error = Error::HardwareNotReady;

fn rig_with(when_not_ready: WhenNotReady, slots: u16) -> Rig {
    let options = Options {
        when_not_ready,
        data_slots: slots,
        control_slots: slots,
        ..Rig::options()
    };
    Rig::new(Setup::default(), options).unwrap()
}

fn set_ready(rig: &Rig, ready: bool) {
    rig.fake.set_ready(ready);
    let interrupt = rig.device.handle_interrupt(MsixEntry(0));
    assert_eq!(interrupt, Interrupt::Handled);
    assert_eq!(rig.device.is_ready(), ready);
}

fn sent(rig: &Rig) -> [u64; 3] {
    let (control, data) = (rig.device.control_stats(), rig.device.data_stats());
    [control.submitted, data.submitted, rig.fake.kicks()]
}

type Call<'c> = Pin<Box<dyn Future<Output = Result<(), Error>> + 'c>>;

fn short(session: &Cipher<FakePlatform>) -> Call<'_> {
    Box::pin(async move {
        let mut data = [1; 16];
        session.process_slice(&IV, &mut data).await
    })
}

fn long(session: &Cipher<FakePlatform>) -> Call<'_> {
    Box::pin(async move {
        match session.process(&IV, DmaBuffer::new(8192).unwrap()).await {
            Ok(_) => Ok(()),
            Err(failed) => {
                assert!(failed.returned.is_some(), "the device never had it");
                Err(failed.error)
            }
        }
    })
}

fn batch(session: &Cipher<FakePlatform>) -> Call<'_> {
    Box::pin(async move {
        let buffers = [(); 3].map(|()| (IV, DmaBuffer::new(64).unwrap()));
        let results = session.process_batch(buffers.into_iter().collect()).await;
        let results = results.map_err(|failed| failed.error)?;
        results.into_iter().try_for_each(|result| match result {
            Ok(_) => Ok(()),
            Err(failed) => {
                assert!(failed.returned.is_some(), "the device never had it");
                Err(failed.error)
            }
        })
    })
}

#[test]
fn every_look_at_the_device_tells_of_its_hardware() {
    type Look = fn(&Rig);
    let looks: [Look; 3] = [
        |rig| {
            rig.device.handle_interrupt(MsixEntry(0));
        },
        |rig| rig.device.poll(),
        |rig| {
            let _ = rig.device.check();
        },
    ];
    for look in looks {
        let rig = Rig::simple();
        for ready in [false, true] {
            rig.fake.set_ready(ready);
            look(&rig);
            assert_eq!(rig.device.is_ready(), ready);
            let answer = if ready { Ok(()) } else { Err(NOT_READY) };
            assert_eq!(rig.device.check(), answer);
            assert_eq!(rig.device.ended(), None);
        }
    }
    let setup = Setup {
        msix_entries: 0,
        ..Setup::default()
    };
    let options = Options {
        intx: true,
        ..Rig::options()
    };
    let rig = Rig::new(setup, options).unwrap();
    rig.fake.set_ready(false);
    assert_eq!(rig.device.handle_intx(), Interrupt::Handled);
    assert!(!rig.device.is_ready());
    drop(rig);
    // Where no interrupt comes, who waits for an answer finds out now and then.
    let rig = Rig::polled();
    let session = rig.session(Direction::Encrypt);
    let mut request = short(&session);
    assert!(poll_once(request.as_mut()).is_pending());
    rig.fake.set_ready(false);
    let looks = (0..5000).find(|_| {
        assert!(poll_once(request.as_mut()).is_pending());
        !rig.device.is_ready()
    });
    assert!(looks.is_some());
}

#[test]
fn loss_and_return_of_the_hardware_are_news_once() {
    let rig = Rig::simple();
    for ready in [false, true] {
        set_ready(&rig, ready);
        let again = rig.device.handle_interrupt(MsixEntry(0));
        assert_eq!(again, Interrupt::Unhandled);
    }
}

#[test]
fn requests_end_with_their_buffers_while_the_hardware_is_away() {
    let rig = rig_with(WhenNotReady::Fail, 4);
    let session = rig.session(Direction::Encrypt);
    let (closed, dropped) = [(); 2].map(|()| rig.session(Direction::Encrypt)).into();
    // In flight when it is lost, and in the line.
    let mut in_flight: Vec<_> = (0..4).map(|_| long(&session)).collect();
    for request in &mut in_flight {
        assert!(poll_once(request.as_mut()).is_pending());
    }
    let woken = Arc::new(Wakes::default());
    let waker = Waker::from(woken.clone());
    let mut waiting = long(&session);
    let mut context = Context::from_waker(&waker);
    assert!(waiting.as_mut().poll(&mut context).is_pending());

    set_ready(&rig, false);
    let before = sent(&rig);
    assert_eq!(woken.count(), 1);
    assert_eq!(poll_once(waiting.as_mut()), Poll::Ready(Err(NOT_READY)));
    for make in [short, long, batch] {
        let mut call = make(&session);
        assert_eq!(poll_once(call.as_mut()), Poll::Ready(Err(NOT_READY)));
    }
    let tried = session.try_process(&IV, DmaBuffer::new(16).unwrap());
    let Poll::Ready(Err(failed)) = poll_once(Box::pin(tried).as_mut()) else {
        panic!("tried in vain");
    };
    assert_eq!((failed.error, failed.returned.is_some()), (NOT_READY, true));
    assert_eq!(run(rig.open()).err(), Some(NOT_READY));
    // Their ends wait, and their callers need not.
    assert_eq!(run(closed.close()), Err(NOT_READY));
    drop(dropped);
    assert_eq!(sent(&rig), before);

    // What is in flight is answered all the same.
    assert_eq!(rig.fake.serve(0, usize::MAX), 4);
    for request in &mut in_flight {
        assert_eq!(poll_once(request.as_mut()), Poll::Ready(Ok(())));
    }
    assert_eq!(sent(&rig), before);

    set_ready(&rig, true);
    assert_eq!(rig.fake.serve(1, usize::MAX), 2, "the ends of two sessions");
    assert_eq!(rig.fake.sessions(), 1);
    for make in [short, long, batch] {
        let mut call = make(&session);
        assert!(poll_once(call.as_mut()).is_pending());
        rig.fake.serve(0, usize::MAX);
        assert_eq!(poll_once(call.as_mut()), Poll::Ready(Ok(())));
    }
}

#[test]
fn requests_wait_for_the_return_of_the_hardware_in_their_order() {
    let rig = rig_with(WhenNotReady::Wait, 2);
    let session = rig.session(Direction::Encrypt);
    let (closed, dropped) = [(); 2].map(|()| rig.session(Direction::Encrypt)).into();
    set_ready(&rig, false);
    let before = sent(&rig);
    let woken = Arc::new(Wakes::default());
    let waker = Waker::from(woken.clone());
    let mut context = Context::from_waker(&waker);
    let mut waiting: Vec<_> = [short, long, batch, short]
        .into_iter()
        .map(|make| make(&session))
        .collect();
    for call in &mut waiting {
        assert!(call.as_mut().poll(&mut context).is_pending());
    }
    let mut opened = rig.open();
    assert!(poll_once(opened.as_mut()).is_pending());
    let mut closing = Box::pin(closed.close());
    assert!(poll_once(closing.as_mut()).is_pending());
    drop(dropped);
    // Who does not wait for a turn does not wait for that either.
    let tried = session.try_process(&IV, DmaBuffer::new(16).unwrap());
    let Poll::Ready(Err(failed)) = poll_once(Box::pin(tried).as_mut()) else {
        panic!("tried in vain");
    };
    assert_eq!((failed.error, failed.returned.is_some()), (NOT_READY, true));
    assert_eq!(sent(&rig), before);
    assert_eq!(woken.count(), 0);
    // One of those that wait leaves.
    drop(waiting.remove(1));

    set_ready(&rig, true);
    assert_eq!(woken.count(), 2, "two slots, for the first two");
    for _ in 0..20 {
        waiting.retain_mut(|call| call.as_mut().poll(&mut context).is_pending());
        rig.fake.serve(0, usize::MAX);
        rig.fake.serve(1, usize::MAX);
        if waiting.is_empty() {
            break;
        }
    }
    assert!(waiting.is_empty());
    rig.fake.be_eager();
    let session = run(opened).unwrap();
    assert_eq!(run(closing), Ok(()));
    drop(session);
}

#[test]
fn slot_handed_over_before_the_loss_is_not_used_before_the_return() {
    let rig = rig_with(WhenNotReady::Wait, 1);
    let session = rig.session(Direction::Encrypt);
    let mut first = short(&session);
    let [mut second, mut third] = [short, short].map(|make| make(&session));
    for call in [&mut first, &mut second, &mut third] {
        assert!(poll_once(call.as_mut()).is_pending());
    }
    rig.fake.serve(0, 1);
    assert!(poll_once(first.as_mut()).is_ready());
    // The second has the slot, and has not come for it.
    set_ready(&rig, false);
    let before = sent(&rig);
    assert!(poll_once(second.as_mut()).is_pending());
    assert!(poll_once(third.as_mut()).is_pending());
    assert_eq!(sent(&rig), before);
    set_ready(&rig, true);
    assert!(poll_once(third.as_mut()).is_pending());
    assert!(poll_once(second.as_mut()).is_pending());
    rig.fake.serve(0, 1);
    assert!(
        poll_once(second.as_mut()).is_ready(),
        "it is the first still"
    );
    assert!(poll_once(third.as_mut()).is_pending());
    rig.fake.serve(0, 1);
    assert!(poll_once(third.as_mut()).is_ready());
}

#[test]
fn cancelled_create_that_is_answered_meanwhile_ends_after_the_return() {
    let rig = Rig::simple();
    drop(rig.begin_open());
    set_ready(&rig, false);
    let before = sent(&rig);
    assert_eq!(rig.fake.serve(1, 1), 1);
    assert_eq!(rig.fake.serve(1, 1), 0);
    rig.device.poll();
    assert_eq!((sent(&rig), rig.fake.sessions()), (before, 1));
    set_ready(&rig, true);
    assert_eq!(rig.fake.serve(1, 1), 1);
    assert_eq!(rig.fake.sessions(), 0);
}

#[test]
fn kick_that_was_put_off_waits_for_the_hardware() {
    let rig = Rig::simple();
    let session = rig.session(Direction::Encrypt);
    let mut request = short(&session);
    let kicks = rig.fake.kicks();
    rig.device.share_kicks(|| {
        assert!(poll_once(request.as_mut()).is_pending());
        rig.fake.set_ready(false);
        rig.device.handle_interrupt(MsixEntry(0));
    });
    assert_eq!(rig.fake.kicks(), kicks);
    set_ready(&rig, true);
    assert_eq!(rig.fake.kicks(), kicks + 1);
    rig.fake.serve(0, 1);
    assert_eq!(poll_once(request.as_mut()), Poll::Ready(Ok(())));
}

#[test]
fn device_that_breaks_or_is_shut_down_meanwhile_gives_the_buffers_back() {
    type End = fn(&Rig) -> Error;
    let ends: [End; 2] = [
        |rig| {
            rig.fake.need_reset();
            rig.device.poll();
            rig.device.ended().unwrap()
        },
        |rig| {
            rig.device.shutdown(0).unwrap();
            Error::ShutDown
        },
    ];
    for end in ends {
        let rig = rig_with(WhenNotReady::Wait, 4);
        let session = rig.session(Direction::Encrypt);
        set_ready(&rig, false);
        let before = sent(&rig);
        let mut request = long(&session);
        assert!(poll_once(request.as_mut()).is_pending());
        let error = end(&rig);
        assert_eq!(poll_once(request.as_mut()), Poll::Ready(Err(error)));
        assert_eq!(sent(&rig), before);
        drop(request);
        // Not set up anew before the hardware is back, and then with nothing left behind.
        assert_eq!(rig.device.recover(0), Err(NOT_READY));
        rig.fake.set_ready(true);
        rig.fake.be_eager();
        rig.device.recover(0).unwrap();
        assert_eq!(rig.fake.sessions(), 0);
        assert_eq!(rig.device.sessions_left_behind(), 0);
        drop(session);
    }
}

#[test]
fn manager_passes_over_a_device_whose_hardware_is_away() {
    let rig = Rig::simple();
    let pool = DevicePool::new(|_, _| 0);
    pool.add(
        rig.device.clone(),
        0,
        rig.device.capabilities().advertised(),
    );
    let chosen = || pool.device_for(CipherAlgorithm::AesCbc).map(drop);
    assert_eq!(chosen(), Ok(()));
    set_ready(&rig, false);
    assert_eq!(chosen(), Err(Error::NoDevice));
    let opened = pool.open_cipher(CipherAlgorithm::AesCbc, Direction::Encrypt, &KEY);
    assert_eq!(run(opened).err(), Some(Error::NoDevice));
    set_ready(&rig, true);
    assert_eq!(chosen(), Ok(()));
}

#[test]
fn hardware_that_comes_and_goes_loses_no_request() {
    for when_not_ready in [WhenNotReady::Wait, WhenNotReady::Fail] {
        let rig = rig_with(when_not_ready, 3).go();
        let pages = live_pages();
        let session = run(rig.open()).unwrap();
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            // Two handlers at once: the later one to read need not be the later one to say.
            for _ in 0..2 {
                scope.spawn(|| {
                    while !stop.load(Ordering::Relaxed) {
                        rig.fake.set_ready(false);
                        rig.device.handle_interrupt(MsixEntry(0));
                        thread::yield_now();
                        rig.fake.set_ready(true);
                        rig.device.handle_interrupt(MsixEntry(0));
                        thread::yield_now();
                    }
                    rig.fake.set_ready(true);
                    rig.device.handle_interrupt(MsixEntry(0));
                });
            }
            let workers: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        for round in 0..times(300, 6) {
                            let outcome = match round % 3 {
                                0 => run(long(&session)),
                                1 => run(short(&session)),
                                _ => run(async { rig.open().await?.close().await }),
                            };
                            match (outcome, when_not_ready) {
                                (Ok(()), _) | (Err(NOT_READY), WhenNotReady::Fail) => {}
                                (Err(error), _) => panic!("{error}"),
                            }
                        }
                    })
                })
                .collect();
            for worker in workers {
                worker.join().unwrap();
            }
            stop.store(true, Ordering::Relaxed);
        });
        assert!(rig.device.is_ready());
        run(session.close()).unwrap();
        // Those whose end nobody waited for.
        while rig.device.sessions_taken() > 0 {
            rig.device.poll();
            thread::yield_now();
        }
        assert_eq!(rig.fake.sessions(), 0);
        assert_eq!(live_pages(), pages);
    }
}

type Sent = Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>;

/// Sends a request whenever it is woken.
struct Newcomer {
    session: Arc<Cipher<FakePlatform>>,
    sent: Mutex<Vec<Sent>>,
}

impl Wake for Newcomer {
    fn wake(self: Arc<Self>) {
        let session = self.session.clone();
        let mut request = Box::pin(async move {
            let mut data = [9; 16];
            session.process_slice(&IV, &mut data).await
        });
        assert!(poll_once(request.as_mut()).is_pending());
        self.sent.lock().unwrap().push(request);
    }
}

#[test]
fn callers_that_come_at_the_return_leave_the_line_whole() {
    // Of more that wait than are woken at a time, with a slot for each.
    let rig = rig_with(WhenNotReady::Wait, 60);
    let session = Arc::new(rig.session(Direction::Encrypt));
    set_ready(&rig, false);
    let newcomer = Arc::new(Newcomer {
        session: session.clone(),
        sent: Mutex::default(),
    });
    let waker = Waker::from(newcomer.clone());
    let mut context = Context::from_waker(&waker);
    let mut waiting: Vec<_> = (0..50).map(|_| short(&session)).collect();
    for call in &mut waiting {
        assert!(call.as_mut().poll(&mut context).is_pending());
    }
    set_ready(&rig, true);
    rig.fake.be_eager();
    let mut sent = core::mem::take(&mut *newcomer.sent.lock().unwrap());
    assert!(!sent.is_empty());
    for call in &mut waiting {
        assert_eq!(run(call.as_mut()), Ok(()));
    }
    for call in &mut sent {
        assert_eq!(run(call.as_mut()), Ok(()));
    }
}
