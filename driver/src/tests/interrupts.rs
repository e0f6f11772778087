//! Every interrupt is accounted for.

use alloc::{boxed::Box, sync::Arc, vec, vec::Vec};
use core::sync::atomic::{AtomicBool, Ordering};
use std::{thread, time::Duration};

use crate::{
    Direction, Error, Features, Interrupt, Options,
    fake::{Fault, IV, Rig, Setup, message, poll_once, times},
    transport::MsixEntry,
};

fn request<'s>(
    session: &'s crate::Cipher<crate::fake::FakePlatform>,
) -> core::pin::Pin<Box<impl Future + 's>> {
    let mut request = Box::pin(async move {
        let mut data = [1; 16];
        session.process_slice(&IV, &mut data).await
    });
    assert!(poll_once(request.as_mut()).is_pending());
    request
}

/// A device that sends a message for every publication.
fn without_event_index() -> Rig {
    let options = Options {
        refuse: Features::EVENT_IDX,
        ..Rig::options()
    };
    Rig::new(Setup::default(), options).unwrap()
}

#[test]
fn message_of_what_a_task_drained_is_not_unhandled() {
    for refuse in [Features::empty(), Features::EVENT_IDX] {
        let rig = Rig::new(
            Setup::default(),
            Options {
                refuse,
                ..Rig::options()
            },
        )
        .unwrap();
        let session = rig.session(Direction::Encrypt);
        assert!(rig.settle());
        let before = rig.device.interrupt_stats();
        rig.fake.hold_interrupts(true);
        let _request = request(&session);
        assert_eq!(rig.fake.serve(0, 1), 1);
        rig.device.poll();
        assert_eq!(rig.fake.held(), [0]);
        // The message arrives after a task has taken its completion.
        assert_eq!(
            rig.device.handle_interrupt(MsixEntry(1)),
            Interrupt::AlreadyDrained
        );
        assert_eq!(
            rig.device.handle_interrupt(MsixEntry(1)),
            Interrupt::Unhandled
        );
        let after = rig.device.interrupt_stats();
        assert_eq!(after.already_drained - before.already_drained, 1);
        assert_eq!(after.unhandled - before.unhandled, 1);
    }
}

#[test]
fn second_message_of_what_the_first_handler_took_is_not_unhandled() {
    let rig = without_event_index();
    let session = rig.session(Direction::Encrypt);
    assert!(rig.settle());
    rig.fake.hold_interrupts(true);
    let _requests: Vec<_> = (0..2).map(|_| request(&session)).collect();
    assert_eq!(rig.fake.serve(0, 2), 2);
    assert_eq!(rig.fake.held(), [0, 0]);
    assert_eq!(
        rig.device.handle_interrupt(MsixEntry(1)),
        Interrupt::Handled
    );
    assert_eq!(
        rig.device.handle_interrupt(MsixEntry(1)),
        Interrupt::AlreadyDrained
    );
    assert_eq!(
        rig.device.handle_interrupt(MsixEntry(1)),
        Interrupt::Unhandled
    );
}

#[test]
fn moved_vector_owes_what_it_left_behind_until_it_is_settled() {
    let rig = without_event_index();
    let session = rig.session(Direction::Encrypt);
    assert!(rig.settle());
    rig.fake.hold_interrupts(true);
    let elsewhere = message(7, 8);
    rig.device.move_interrupt(MsixEntry(1), elsewhere).unwrap();
    let requests: Vec<_> = (0..6).map(|_| request(&session)).collect();
    assert_eq!(rig.fake.serve(0, 6), 6);
    let answer = || rig.device.handle_interrupt(MsixEntry(1));
    assert_eq!(answer(), Interrupt::Handled);
    for _ in 1..5 {
        assert_eq!(answer(), Interrupt::AlreadyDrained);
    }
    assert_eq!(answer(), Interrupt::Unhandled);
    drop(requests);
    assert!(rig.settle());
}

#[test]
fn message_from_before_a_recovery_is_not_unhandled() {
    let rig = Rig::simple();
    let session = rig.session(Direction::Encrypt);
    assert!(rig.settle());
    rig.fake.hold_interrupts(true);
    let request = request(&session);
    assert_eq!(rig.fake.serve(0, 1), 1);
    rig.device.poll();
    drop(request);
    drop(session);
    rig.serve_all();
    rig.device.recover(0).unwrap();
    let answer = || rig.device.handle_interrupt(MsixEntry(1));
    assert_eq!(answer(), Interrupt::AlreadyDrained);
    assert_eq!(answer(), Interrupt::Unhandled);
}

/// Nobody takes anything from the ring any more, but what was used has been told of.
#[test]
fn message_of_what_nobody_took_before_the_end_is_not_unhandled() {
    for refuse in [Features::empty(), Features::EVENT_IDX] {
        for is_recovered in [false, true] {
            let options = Options {
                refuse,
                ..Rig::options()
            };
            let rig = Rig::new(Setup::default(), options).unwrap();
            let session = rig.session(Direction::Encrypt);
            assert!(rig.settle());
            rig.fake.hold_interrupts(true);
            let request = request(&session);
            assert_eq!(rig.fake.serve(0, 1), 1);
            if is_recovered {
                // Without time for a look at the ring.
                rig.device.recover(0).unwrap();
            } else {
                rig.fake.need_reset();
                assert!(rig.device.check().is_err());
            }
            let answer = || rig.device.handle_interrupt(MsixEntry(1));
            assert_eq!(answer(), Interrupt::AlreadyDrained);
            assert_eq!(answer(), Interrupt::Unhandled);
            drop(request);
        }
    }
}

/// A caller that polls notices before the interrupt arrives.
#[test]
fn message_of_a_reset_that_somebody_else_noticed_is_not_unhandled() {
    for (is_checked, is_recovered) in [(true, false), (true, true), (false, true)] {
        let rig = Rig::simple();
        rig.fake.need_reset();
        if is_checked {
            assert!(rig.device.check().is_err());
        }
        if is_recovered {
            rig.device.recover(0).unwrap();
        }
        let answer = || rig.device.handle_interrupt(MsixEntry(0));
        assert_eq!(answer(), Interrupt::AlreadyDrained);
        assert_eq!(answer(), Interrupt::Unhandled);
    }
}

/// Nobody looks at the status any more then but for its message.
#[test]
fn message_of_a_reset_that_a_broken_device_asks_for_is_not_unhandled() {
    let rig = Rig::simple();
    let session = rig.session(Direction::Encrypt);
    rig.fake.set_fault(Fault::Id(77));
    let _request = request(&session);
    rig.fake.serve(0, 1);
    assert!(rig.device.check().is_err());
    rig.fake.need_reset();
    let answer = || rig.device.handle_interrupt(MsixEntry(0));
    assert_eq!(answer(), Interrupt::AlreadyDrained);
    assert_eq!(answer(), Interrupt::Unhandled);
}

/// The device asks for it when nobody can see that any more.
#[test]
fn message_of_a_reset_that_was_asked_for_as_it_came_is_not_unhandled() {
    let rig = Rig::simple();
    let fake = Arc::downgrade(&rig.fake);
    rig.fake
        .set_before_reset(move || fake.upgrade().unwrap().need_reset());
    rig.device.recover(0).unwrap();
    let answer = || rig.device.handle_interrupt(MsixEntry(0));
    assert_eq!(answer(), Interrupt::AlreadyDrained);
    assert_eq!(answer(), Interrupt::Unhandled);
}

/// The message of one cause finds what others are still to tell of.
#[test]
fn messages_of_what_another_message_found_are_not_unhandled() {
    type Cause = fn(&Rig);
    let needs_reset: Cause = |rig| rig.fake.need_reset();
    let becomes_ready: Cause = |rig| rig.fake.set_ready(true);
    for causes in [
        [needs_reset, becomes_ready],
        [becomes_ready, needs_reset],
        [becomes_ready, becomes_ready],
    ] {
        let rig = Rig::simple();
        causes.iter().for_each(|cause| cause(&rig));
        let answer = || rig.device.handle_interrupt(MsixEntry(0));
        assert_eq!(answer(), Interrupt::Handled);
        assert_eq!(answer(), Interrupt::AlreadyDrained);
        assert_eq!(answer(), Interrupt::Unhandled);
    }
}

/// One entry for everything: a message of the queue finds what one of the configuration tells of.
#[test]
fn message_of_a_reset_that_one_of_a_queue_found_is_not_unhandled() {
    let options = Options {
        messages: vec![message(1, 2)],
        ..Rig::options()
    };
    let rig = Rig::new(Setup::default(), options).unwrap();
    let session = rig.session(Direction::Encrypt);
    assert!(rig.settle());
    rig.fake.hold_interrupts(true);
    let _request = request(&session);
    assert_eq!(rig.fake.serve(0, 1), 1);
    rig.fake.need_reset();
    let answer = || rig.device.handle_interrupt(MsixEntry(0));
    assert_eq!(answer(), Interrupt::Handled);
    assert_eq!(answer(), Interrupt::AlreadyDrained);
    assert_eq!(answer(), Interrupt::Unhandled);
}

#[test]
fn moved_vector_of_the_configuration_owes_what_it_left_behind_until_it_is_settled() {
    let rig = Rig::simple();
    let spurious = || {
        (0..20).for_each(|_| rig.fake.set_ready(true));
        let answer = || rig.device.handle_interrupt(MsixEntry(0));
        assert_eq!(answer(), Interrupt::Handled);
        let hidden = (0..100).filter(|_| answer() != Interrupt::Unhandled);
        hidden.count()
    };
    assert_eq!(spurious(), 2);
    let moved = rig.device.move_interrupt(MsixEntry(0), message(7, 8));
    moved.unwrap();
    assert_eq!(spurious(), 2 + 2);
    assert!(rig.settle());
    assert_eq!(spurious(), 2);
}

#[test]
fn settling_forgets_no_reset_that_is_asked_for_meanwhile() {
    let rig = Rig::simple();
    let fake = Arc::downgrade(&rig.fake);
    rig.fake
        .set_before_status(move || fake.upgrade().unwrap().need_reset());
    assert!(!rig.device.settle());
    assert!(rig.device.check().is_err());
    let answer = || rig.device.handle_interrupt(MsixEntry(0));
    assert_eq!(answer(), Interrupt::AlreadyDrained);
    assert_eq!(answer(), Interrupt::Unhandled);
}

/// The handler has begun before the recovery ends, and is done after it.
#[test]
fn message_of_the_next_life_that_meets_the_one_before_is_not_unhandled() {
    for (entries, entry) in [(4, 2), (2, 1), (1, 0)] {
        let setup = Setup {
            msix_entries: entries,
            ..Setup::default()
        };
        let rig = Rig::new(setup, Rig::options()).unwrap();
        let old = rig.device.epoch();
        rig.device.recover(0).unwrap();
        assert!(rig.settle());
        let answer = |epoch| match entries {
            4 => rig.device.handle_queue_of(epoch, usize::from(entry) - 1),
            _ if rig.device.drain_for(epoch).spent => Interrupt::AlreadyDrained,
            _ => Interrupt::Unhandled,
        };
        assert_eq!(answer(&old), Interrupt::AlreadyDrained, "{entries}");
        assert_eq!(answer(&rig.device.epoch()), Interrupt::Unhandled);
        let nobodys = rig.device.handle_interrupt(MsixEntry(entry));
        assert_eq!(nobodys, Interrupt::Unhandled);
    }
}

#[test]
fn message_of_a_reset_that_a_recovery_failed_for_is_not_unhandled() {
    let rig = Rig::simple();
    // As soon as it is live again.
    rig.fake.need_reset_when_live();
    assert!(rig.device.recover(0).is_err());
    rig.device.recover(0).unwrap();
    let answer = || rig.device.handle_interrupt(MsixEntry(0));
    // The life before that may have asked for one as it ended.
    assert_eq!(answer(), Interrupt::AlreadyDrained);
    assert_eq!(answer(), Interrupt::AlreadyDrained);
    assert_eq!(answer(), Interrupt::Unhandled);
}

#[test]
fn message_of_the_configuration_from_before_a_recovery_is_not_unhandled() {
    let rig = Rig::simple();
    // Twice, so that all is as it was but the generation.
    rig.fake.set_ready(false);
    rig.fake.set_ready(true);
    rig.device.recover(0).unwrap();
    let answer = || rig.device.handle_interrupt(MsixEntry(0));
    // Of both changes, and one of a reset that it may have asked for just before that.
    for _ in 0..3 {
        assert_eq!(answer(), Interrupt::AlreadyDrained);
    }
    assert_eq!(answer(), Interrupt::Unhandled);
    // What is settled is not owed.
    rig.fake.set_ready(false);
    rig.fake.set_ready(true);
    rig.device.recover(0).unwrap();
    assert!(rig.settle());
    assert_eq!(answer(), Interrupt::Unhandled);
}

#[test]
fn with_event_index_several_completions_owe_one_message() {
    let rig = Rig::simple();
    let session = rig.session(Direction::Encrypt);
    assert!(rig.settle());
    rig.fake.hold_interrupts(true);
    let _requests: Vec<_> = (0..5).map(|_| request(&session)).collect();
    assert_eq!(rig.fake.serve(0, 5), 5);
    assert_eq!(rig.fake.held(), [0], "one message for five");
    assert_eq!(
        rig.device.handle_interrupt(MsixEntry(1)),
        Interrupt::Handled
    );
    assert_eq!(
        rig.device.handle_interrupt(MsixEntry(1)),
        Interrupt::Unhandled
    );
}

/// QEMU does that: see `UsedIndex`.
#[test]
fn message_of_an_event_that_a_device_passes_again_is_not_unhandled() {
    let setup = Setup {
        judges_by_offsets: true,
        ..Setup::default()
    };
    let rig = Rig::new(setup, Rig::options()).unwrap();
    let session = rig.session(Direction::Encrypt);
    assert!(rig.settle());
    let before = rig.device.interrupt_stats().unhandled;
    // Batches of every length meet the ring's end in every way.
    for batch in (1..=20).chain(1..=20) {
        rig.fake.hold_interrupts(true);
        let requests: Vec<_> = (0..batch).map(|_| request(&session)).collect();
        assert_eq!(rig.fake.serve(0, batch), batch);
        for _ in rig.fake.held() {
            rig.device.handle_interrupt(MsixEntry(1));
        }
        drop(requests);
    }
    assert_eq!(rig.device.interrupt_stats().unhandled, before);
    // And no more is owed than that.
    assert!(rig.settle());
    let answer = rig.device.handle_interrupt(MsixEntry(1));
    assert_eq!(answer, Interrupt::Unhandled);
}

#[test]
fn after_settle_spurious_messages_are_counted_exactly() {
    let rig = Rig::simple();
    let session = rig.session(Direction::Encrypt);
    for round in 0..20 {
        let mut data = [1; 16];
        let mut request = Box::pin(session.process_slice(&IV, &mut data));
        let _ = poll_once(request.as_mut());
        assert!(!rig.device.settle(), "settled with a request in flight");
        rig.fake.serve(0, 1);
        assert!(poll_once(request.as_mut()).is_ready());
        assert!(rig.settle());
        let before = rig.device.interrupt_stats().unhandled;
        for entry in [0, 1, 2] {
            for _ in 0..round {
                rig.device.handle_interrupt(MsixEntry(entry));
            }
        }
        assert_eq!(rig.device.interrupt_stats().unhandled - before, 3 * round);
    }
}

#[test]
fn at_most_three_spurious_messages_a_queue_hide_behind_traffic() {
    let rig = Rig::simple();
    let session = rig.session(Direction::Encrypt);
    // Tasks drain everything; the device's messages are all lost, so credit piles up.
    rig.fake.hold_interrupts(true);
    for _ in 0..times(1000, 20) {
        let mut request = request(&session);
        rig.fake.serve(0, 1);
        rig.device.poll();
        assert!(poll_once(request.as_mut()).is_ready());
    }
    let before = rig.device.interrupt_stats();
    for _ in 0..100 {
        rig.device.handle_interrupt(MsixEntry(1));
    }
    let after = rig.device.interrupt_stats();
    assert!(
        after.unhandled - before.unhandled >= 97,
        "{before:?} {after:?}"
    );
}

#[test]
fn vectors_shared_by_queues_answer_for_both() {
    for entries in [1, 2] {
        let setup = Setup {
            msix_entries: entries,
            ..Setup::default()
        };
        let rig = Rig::new(setup, Rig::options()).unwrap();
        let session = rig.session(Direction::Encrypt);
        assert!(rig.settle());
        rig.fake.hold_interrupts(true);
        let _request = request(&session);
        cancelled_create(&rig);
        rig.fake.serve(0, 1);
        rig.fake.serve(1, usize::MAX);
        let sent = rig.fake.held().len();
        let entry = MsixEntry(entries - 1);
        let answers: Vec<_> = (0..sent + 1)
            .map(|_| rig.device.handle_interrupt(entry))
            .collect();
        assert_eq!(answers[0], Interrupt::Handled);
        let unhandled = answers
            .iter()
            .filter(|answer| **answer == Interrupt::Unhandled)
            .count();
        assert_eq!(
            unhandled, 1,
            "{sent} messages and a spurious one: {answers:?}"
        );
    }
}

#[test]
fn message_may_spend_the_credit_of_another_queue_of_its_vector() {
    for refuse in [Features::EVENT_IDX, Features::empty()] {
        let setup = Setup {
            msix_entries: 2,
            ..Setup::default()
        };
        let options = Options {
            refuse,
            ..Rig::options()
        };
        let rig = Rig::new(setup, options).unwrap();
        let session = rig.session(Direction::Encrypt);
        assert!(rig.settle());
        rig.fake.hold_interrupts(true);
        let answer = || rig.device.handle_interrupt(MsixEntry(1));
        let publish_control = || {
            cancelled_create(&rig);
            rig.fake.serve(1, 1);
        };
        // The data queue's message is the last to be sent.
        let _request = request(&session);
        rig.fake.serve(0, 1);
        rig.device.drain();
        publish_control();
        let mut answers = vec![answer()];
        // One in service, one pending, one not yet sent.
        for _ in 0..3 {
            publish_control();
            rig.device.drain();
        }
        answers.extend((1..rig.fake.held().len()).map(|_| answer()));
        assert!(answers.len() >= 5, "{answers:?}");
        assert!(!answers.contains(&Interrupt::Unhandled), "{answers:?}");
        // It is no more lenient than it has to be, and exact once it is settled.
        let hidden = (0..100).filter(|_| answer() != Interrupt::Unhandled);
        assert!(hidden.count() <= 2 * 4);
    }
}

/// Opens a session that nobody waits for: the control queue has something to tell, too.
fn cancelled_create(rig: &Rig) {
    drop(rig.begin_open());
}

#[test]
fn configuration_message_is_news_once() {
    let rig = Rig::simple();
    assert_eq!(
        rig.device.handle_interrupt(MsixEntry(0)),
        Interrupt::Unhandled
    );
    rig.fake.need_reset();
    assert_eq!(
        rig.device.handle_interrupt(MsixEntry(0)),
        Interrupt::Handled
    );
    assert_eq!(
        rig.device.handle_interrupt(MsixEntry(0)),
        Interrupt::Unhandled
    );
}

#[test]
fn tasks_and_interrupts_that_drain_at_once_lose_nothing() {
    // Threads as CPUs: two poll the rings while the device's interrupts arrive.
    for refuse in [
        Features::empty(),
        Features::EVENT_IDX,
        Features::INDIRECT_DESC,
    ] {
        let rig = Rig::new(
            Setup::default(),
            Options {
                refuse,
                ..Rig::options()
            },
        )
        .unwrap();
        let session = rig.session(Direction::Encrypt);
        assert!(rig.settle());
        let start = rig.device.interrupt_stats();
        let sent = rig.fake.messages();
        let rig = rig.go();
        let stop = core::sync::atomic::AtomicBool::new(false);
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !stop.load(core::sync::atomic::Ordering::Relaxed) {
                        rig.device.poll();
                        thread::yield_now();
                    }
                });
            }
            for _ in 0..times(3000, 20) {
                let mut data = [1; 16];
                crate::fake::run(session.process_slice(&IV, &mut data)).unwrap();
            }
            stop.store(true, core::sync::atomic::Ordering::Relaxed);
        });
        let stats = rig.device.interrupt_stats();
        let answered =
            stats.handled + stats.already_drained - start.handled - start.already_drained;
        assert_eq!(
            stats.unhandled, start.unhandled,
            "false unhandled interrupts"
        );
        // Whoever sent the last one may still be about to deliver it.
        assert!(answered <= rig.fake.messages() - sent);
    }
}

/// A device whose messages travel for so long at most.
fn far_away(travel_ns: u64, refuse: Features) -> Rig {
    let options = Options {
        message_travel_ns: travel_ns,
        refuse,
        ..Rig::options()
    };
    Rig::new(Setup::default(), options).unwrap()
}

#[test]
fn message_that_travels_is_owed_until_it_can_no_longer_arrive() {
    const TRAVEL: Duration = Duration::from_millis(20);
    for refuse in [Features::empty(), Features::EVENT_IDX] {
        let rig = far_away(TRAVEL.as_nanos() as u64, refuse);
        let session = rig.session(Direction::Encrypt);
        thread::sleep(TRAVEL);
        let _ = rig.device.settle();
        thread::sleep(TRAVEL);
        assert!(rig.settle());
        rig.fake.hold_interrupts(true);
        let mut request = request(&session);
        rig.fake.serve(0, 1);
        rig.device.drain();
        assert!(poll_once(request.as_mut()).is_ready());
        let answer = || rig.device.handle_interrupt(MsixEntry(1));
        // The first call begins to count, however late it is.
        assert!(
            !rig.device.settle(),
            "settled while the message was on its way"
        );
        assert_eq!(answer(), Interrupt::AlreadyDrained);
        thread::sleep(TRAVEL);
        assert!(rig.settle(), "what can no longer arrive is not owed");
        assert_eq!(answer(), Interrupt::Unhandled);
    }
}

#[test]
fn settling_forgets_nothing_of_what_is_used_meanwhile() {
    for is_drained_meanwhile in [false, true] {
        let rig = Rig::simple();
        let session = rig.session(Direction::Encrypt);
        rig.fake.hold_interrupts(true);
        let mut request = request(&session);
        let (device, fake) = (Arc::downgrade(&rig.device), Arc::downgrade(&rig.fake));
        rig.fake.set_before_status(move || {
            let (device, fake) = (device.upgrade().unwrap(), fake.upgrade().unwrap());
            fake.serve(0, 1);
            if is_drained_meanwhile {
                device.drain();
            }
        });
        let _ = rig.device.settle();
        // The message was sent behind the answer of the register.
        let interrupt = rig.device.handle_interrupt(MsixEntry(1));
        assert_ne!(interrupt, Interrupt::Unhandled, "{is_drained_meanwhile}");
        assert!(poll_once(request.as_mut()).is_ready());
        assert!(rig.settle());
        let nobodys = rig.device.handle_interrupt(MsixEntry(1));
        assert_eq!(nobodys, Interrupt::Unhandled);
    }
}

#[test]
fn settling_forgets_nothing_of_what_it_finds_used() {
    for refuse in [Features::empty(), Features::EVENT_IDX] {
        let options = Options {
            refuse,
            ..Rig::options()
        };
        let rig = Rig::new(Setup::default(), options).unwrap();
        let session = rig.session(Direction::Encrypt);
        assert!(rig.settle());
        rig.fake.hold_interrupts(true);
        let mut request = request(&session);
        rig.fake.serve(0, 1);
        // The message waits for a CPU that has masked its interrupts.
        assert!(!rig.device.settle());
        let answer = || rig.device.handle_interrupt(MsixEntry(1));
        assert_eq!(answer(), Interrupt::AlreadyDrained);
        assert!(poll_once(request.as_mut()).is_ready());
        assert!(rig.device.settle());
        assert_eq!(answer(), Interrupt::Unhandled);
    }
}

#[test]
fn settling_forgets_no_change_that_it_finds_in_the_configuration() {
    let rig = Rig::simple();
    rig.fake.hold_interrupts(true);
    rig.fake.need_reset();
    assert!(rig.device.check().is_err());
    assert!(!rig.device.settle());
    let answer = || rig.device.handle_interrupt(MsixEntry(0));
    assert_eq!(answer(), Interrupt::AlreadyDrained);
    assert!(rig.settle());
    assert_eq!(answer(), Interrupt::Unhandled);
}

#[test]
fn settling_between_requests_makes_no_message_that_travels_unhandled() {
    for refuse in [Features::empty(), Features::EVENT_IDX] {
        let rig = far_away(10_000_000_000, refuse);
        let session = rig.session(Direction::Encrypt);
        let before = rig.device.interrupt_stats().unhandled;
        rig.fake.hold_interrupts(true);
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    rig.fake.deliver_held();
                    thread::sleep(Duration::from_micros(50));
                }
                rig.fake.deliver_held();
            });
            for _ in 0..times(2000, 20) {
                let mut request = request(&session);
                rig.fake.serve(0, 1);
                rig.device.drain();
                assert!(poll_once(request.as_mut()).is_ready());
                rig.device.settle();
            }
            done.store(true, Ordering::Relaxed);
        });
        let stats = rig.device.interrupt_stats();
        assert_eq!(stats.unhandled, before, "{stats:?}");
    }
}

#[test]
fn moved_vector_stays_moved_and_loses_nothing() {
    let rig = Rig::simple();
    let session = rig.session(Direction::Encrypt);
    let elsewhere = message(7, 8);
    rig.fake.hold_interrupts(true);
    let mut request = request(&session);
    assert_eq!(rig.fake.serve(0, 1), 1);
    // Whatever became of the message: the look at the ring finds the completion.
    rig.device.move_interrupt(MsixEntry(1), elsewhere).unwrap();
    assert!(poll_once(request.as_mut()).is_ready());
    assert_eq!(rig.fake.message(1), Some(elsewhere));
    assert_ne!(rig.fake.message(2), Some(elsewhere));

    rig.fake.hold_interrupts(false);
    drop(request);
    drop(session);
    rig.serve_all();
    rig.device.recover(0).unwrap();
    assert_eq!(rig.fake.message(1), Some(elsewhere));

    let nowhere = rig.device.move_interrupt(MsixEntry(3), elsewhere);
    let entry = MsixEntry(3);
    assert_eq!(nowhere, Err(Error::NoSuchVector { entry, used: 3 }));
}
