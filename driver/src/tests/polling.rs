//! Looking at the rings instead of being interrupted, for a while.

use alloc::{boxed::Box, vec::Vec};
use core::{cell::Cell, future::Future, ops::ControlFlow};
use std::{sync::mpsc::sync_channel, thread};

use crate::{
    Direction, Error, Features, Interrupt, Options, block_on,
    fake::{IV, Rig, Setup, is_packed, poll_once, request, run, times},
    join_all,
    transport::MsixEntry,
};

/// With and without EVENT_IDX.
fn rigs() -> impl Iterator<Item = Rig> {
    [Features::empty(), Features::EVENT_IDX]
        .into_iter()
        .map(|refuse| {
            let options = Options {
                refuse,
                ..Rig::options()
            };
            Rig::new(Setup::default(), options).unwrap()
        })
}

/// A device that wants to be notified of everything.
fn without_event_index() -> Rig {
    let options = Options {
        refuse: Features::EVENT_IDX,
        ..Rig::options()
    };
    Rig::new(Setup::default(), options).unwrap()
}

#[test]
fn no_interrupt_is_asked_for_while_somebody_looks() {
    for rig in rigs() {
        let session = rig.session(Direction::Encrypt);
        rig.fake.hold_interrupts(true);
        let (first, second) = (rig.device.poller(), rig.device.poller());
        // With EVENT_IDX the one message that had been asked for before.
        let mut before = request(&session);
        rig.fake.serve(0, 1);
        first.drain();
        assert!(poll_once(before.as_mut()).is_ready());
        let sent = rig.fake.messages();
        for _ in 0..20 {
            let mut request = request(&session);
            assert_eq!(rig.fake.serve(0, 1), 1);
            second.drain();
            assert!(poll_once(request.as_mut()).is_ready());
        }
        // One leaves, the other still looks.
        drop(first);
        let mut last = request(&session);
        rig.fake.serve(0, 1);
        second.drain();
        assert!(poll_once(last.as_mut()).is_ready());
        assert_eq!(rig.fake.messages(), sent, "messages that nobody asked for");
        // Whatever was sent was accounted for, and nothing more.
        for _ in rig.fake.held() {
            assert_eq!(
                rig.device.handle_interrupt(MsixEntry(1)),
                Interrupt::AlreadyDrained
            );
        }

        drop(second);
        let mut request = request(&session);
        rig.fake.serve(0, 1);
        assert_eq!(rig.fake.messages(), sent + 1, "interrupts come again");
        assert_eq!(
            rig.device.handle_interrupt(MsixEntry(1)),
            Interrupt::Handled
        );
        assert!(poll_once(request.as_mut()).is_ready());
    }
}

#[test]
fn what_came_before_the_last_one_left_is_found() {
    for rig in rigs() {
        let session = rig.session(Direction::Encrypt);
        let poller = rig.device.poller();
        // With EVENT_IDX one message had been asked for before.
        let mut armed = request(&session);
        rig.fake.serve(0, 1);
        poller.drain();
        assert!(poll_once(armed.as_mut()).is_ready());
        rig.fake.hold_interrupts(true);
        let mut request = request(&session);
        rig.fake.serve(0, 1);
        assert!(rig.fake.held().is_empty());
        drop(poller);
        assert!(
            poll_once(request.as_mut()).is_ready(),
            "nobody looked again"
        );
    }
}

#[test]
fn pollers_that_come_and_go_lose_nothing() {
    const ROUNDS: usize = 3000;
    // Threads stand for CPUs, beside a device that serves and interrupts by itself. In each round a
    // thread polls for a moment, and nobody polls afterwards. If a completion got lost in between,
    // its caller would wait for ever.
    for rig in rigs() {
        let session = rig.session(Direction::Encrypt);
        assert!(rig.settle());
        let rig = rig.go();
        let device = &rig.device;
        thread::scope(|scope| {
            let (begin, begun) = sync_channel(0);
            scope.spawn(move || {
                for looks in begun {
                    let poller = device.poller();
                    for _ in 0..looks {
                        poller.drain();
                    }
                    drop(poller);
                }
            });
            for round in 0..ROUNDS {
                let mut data = [1; 16];
                begin.send(round * 37 % 600).unwrap();
                run(session.process_slice(&IV, &mut data)).unwrap();
            }
        });
        assert_eq!(rig.device.interrupt_stats().unhandled, 0);
    }
}

#[test]
fn poller_from_before_a_recovery_keeps_no_interrupt_away() {
    for rig in rigs() {
        let poller = rig.device.poller();
        rig.device.recover(0).unwrap();
        let session = rig.session(Direction::Encrypt);
        let mut request = request(&session);
        rig.fake.serve(0, 1);
        assert!(poll_once(request.as_mut()).is_ready(), "no interrupt came");
        poller.drain();
        drop(poller);
    }
}

#[test]
fn broken_ring_is_noticed_by_who_looks() {
    let rig = Rig::simple();
    let session = rig.session(Direction::Encrypt);
    let poller = rig.device.poller();
    let mut request = request(&session);
    rig.fake.hold_interrupts(true);
    rig.fake.need_reset();
    poller.drain();
    assert!(
        poll_once(request.as_mut()).is_pending(),
        "no register is read"
    );
    rig.device.poll();
    let core::task::Poll::Ready(outcome) = poll_once(request.as_mut()) else {
        panic!("still waiting for a device that is broken");
    };
    assert!(matches!(outcome, Err(Error::Broken(_))), "{outcome:?}");
    drop(poller);
}

#[test]
fn unasked_wrap_of_the_used_index_is_accounted_for() {
    for rig in rigs() {
        let session = rig.session(Direction::Encrypt);
        assert!(rig.settle());
        rig.fake.hold_interrupts(true);
        let poller = rig.device.poller();
        let answer = || rig.device.handle_interrupt(MsixEntry(1));
        // With EVENT_IDX the index passes the event of long ago once in 65536; a packed ring's
        // place does so once a lap.
        let requests = if is_packed() { 2000 } else { 65536 + 17 };
        for _ in 0..times(requests, 20) {
            let mut request = request(&session);
            rig.fake.serve(0, 1);
            poller.drain();
            assert!(poll_once(request.as_mut()).is_ready());
            for _ in rig.fake.held() {
                assert_eq!(answer(), Interrupt::AlreadyDrained);
            }
            rig.fake.hold_interrupts(true);
        }
        drop(poller);
        let hidden = (0..100).filter(|_| answer() != Interrupt::Unhandled);
        let hidden = hidden.count();
        assert!(hidden <= 3, "{hidden} spurious interrupts were hidden");
    }
}

#[test]
fn overlapping_sections_of_two_cpus_keep_no_kick_away() {
    let rig = without_event_index();
    let session = rig.session(Direction::Encrypt);
    let (device, fake) = (&rig.device, &rig.fake);
    thread::scope(|scope| {
        let (step, steps) = sync_channel(0);
        let (done, is_done) = sync_channel(0);
        // The other CPU: always in a section when the one here ends its own.
        scope.spawn(move || {
            while steps.recv().is_ok() {
                device.share_kicks(|| {
                    done.send(()).unwrap();
                    let _ = steps.recv();
                });
                done.send(()).unwrap();
            }
        });
        for _ in 0..5 {
            let begin = || (step.send(()).unwrap(), is_done.recv().unwrap());
            begin();
            let kicks = fake.kicks();
            let mut request = device.share_kicks(|| request(&session));
            assert_eq!(fake.kicks() - kicks, 1, "the section's own kick");
            fake.serve(0, 1);
            assert!(poll_once(request.as_mut()).is_ready());
            begin();
        }
    });
}

#[test]
fn a_device_that_has_ended_is_not_notified_at_the_end_of_a_section() {
    let vanish = |rig: &Rig| {
        rig.fake.vanish();
        rig.device.poll();
    };
    let reset = |rig: &Rig| {
        rig.fake.need_reset();
        rig.device.poll();
        rig.device.shutdown(0).unwrap();
    };
    for end in [vanish as fn(&Rig), reset] {
        let rig = without_event_index();
        let session = rig.session(Direction::Encrypt);
        let (kicks, mut request) = rig.device.share_kicks(|| {
            let request = request(&session);
            // On another CPU: one that looks here would notify first.
            thread::scope(|scope| {
                scope.spawn(|| end(&rig));
            });
            (rig.fake.kicks(), request)
        });
        assert_eq!(rig.fake.kicks(), kicks);
        assert!(poll_once(request.as_mut()).is_ready());
    }
}

#[test]
fn who_looks_in_a_section_notifies_first() {
    let rig = without_event_index();
    let session = rig.session(Direction::Encrypt);
    let poller = rig.device.poller();
    rig.device.share_kicks(|| {
        // One inside the other, and a panic that leaves it, change nothing.
        let panics = core::panic::AssertUnwindSafe(|| rig.device.share_kicks(|| panic!("within")));
        assert!(std::panic::catch_unwind(panics).is_err());
        let looks: [&dyn Fn(); 2] = [&|| poller.drain(), &|| rig.device.drain()];
        for look in looks {
            let kicks = rig.fake.kicks();
            let mut request = request(&session);
            assert_eq!(rig.fake.kicks(), kicks, "a kick too early");
            look();
            assert_eq!(rig.fake.kicks() - kicks, 1);
            rig.fake.serve(0, 1);
            look();
            assert!(poll_once(request.as_mut()).is_ready());
        }
    });
}

#[test]
fn requests_sent_in_one_go_share_a_kick() {
    let rig = Rig::simple();
    let session = rig.session(Direction::Encrypt);
    let before = rig.fake.kicks();
    let requests = rig.device.share_kicks(|| {
        let requests = [(); 5].map(|()| request(&session));
        assert_eq!(rig.fake.kicks(), before, "a kick too early");
        requests
    });
    assert_eq!(rig.fake.kicks() - before, 1);
    assert_eq!(rig.fake.serve(0, usize::MAX), 5);
    for mut request in requests {
        assert!(poll_once(request.as_mut()).is_ready());
    }
}

/// A device that looks at its ring by itself takes what is put off, and then asks for a kick where
/// it is. Events come round again, after two rings in a packed one.
#[test]
fn section_that_goes_round_the_ring_loses_no_kick() {
    let setup = Setup {
        queue_sizes: [8, 8],
        ..Setup::default()
    };
    for served in 0..40 {
        for last in 1..4 {
            let rig = Rig::new(setup.clone(), Rig::options()).unwrap();
            let session = rig.session(Direction::Encrypt);
            rig.fake.be_eager();
            // None where the device has answered at once.
            let send = || {
                let mut request = Box::pin(async {
                    let mut data = [1; 16];
                    session.process_slice(&IV, &mut data).await.unwrap();
                });
                poll_once(request.as_mut()).is_pending().then_some(request)
            };
            let requests: Vec<_> = rig.device.share_kicks(|| {
                for _ in 0..served {
                    let request = send();
                    rig.fake.be_eager();
                    if let Some(mut request) = request {
                        assert!(poll_once(request.as_mut()).is_ready());
                    }
                }
                (0..last).filter_map(|_| send()).collect()
            });
            for mut request in requests {
                let answered = poll_once(request.as_mut());
                assert!(answered.is_ready(), "{served} and {last} were put off");
            }
        }
    }
}

/// Waits a few looks for what an eager device has answered if it was notified.
fn wait<F: Future>(future: F) -> F::Output {
    let mut looks = 0;
    let waited = block_on(future, |_| {
        looks += 1;
        match looks {
            ..10 => ControlFlow::Continue(()),
            _ => ControlFlow::Break(()),
        }
    });
    waited.expect("the device was not notified of what is waited for")
}

#[test]
fn who_blocks_in_a_section_waits_for_nothing_that_was_put_off() {
    type Section = fn(&Rig, &dyn Fn());
    let sections: [Section; 2] = [
        |rig, f| rig.device.share_kicks(f),
        |rig, f| run(rig.device.batch(async { f() })),
    ];
    for section in sections {
        let options = Options {
            data_slots: 2,
            ..Rig::options()
        };
        let rig = Rig::new(Setup::default(), options).unwrap();
        let [first, second] = [(); 2].map(|()| rig.session(Direction::Encrypt));
        let second = Cell::new(Some(second));
        rig.fake.be_eager();
        let encrypt = async || first.process_slice(&IV, &mut [1; 16]).await.unwrap();
        // What it sends itself.
        section(&rig, &|| wait(encrypt()));
        // What was sent before.
        section(&rig, &|| {
            let before = request(&first);
            wait(before).unwrap();
        });
        // A slot that others have.
        section(&rig, &|| {
            for _ in 0..2 {
                drop(request(&first));
            }
            wait(encrypt());
        });
        // The end of a session that a request keeps from it.
        section(&rig, &|| {
            let session = second.take().unwrap();
            drop(request(&session));
            wait(session.close()).unwrap();
        });
        assert_eq!(rig.fake.sessions(), 1);
        // A section within the wait, and the next one without it, share again.
        let shared = || {
            let kicks = rig.fake.kicks();
            let both = [encrypt(), encrypt()].map(Box::pin).into();
            wait(rig.device.batch(join_all(both))).unwrap();
            rig.fake.kicks() - kicks
        };
        assert_eq!(shared(), 1);
        section(&rig, &|| {
            shared();
        });
        assert_eq!(shared(), 1);
    }
}
