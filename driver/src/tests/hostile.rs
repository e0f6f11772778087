//! A device that breaks the rules: the guest gets an error, and nothing else happens.

use alloc::{boxed::Box, sync::Arc, vec::Vec};
use core::{
    pin::pin,
    task::{Context, Poll, Waker},
};

use crate::{
    Cipher, CipherAlgorithm, DeviceFault, Direction, DmaBuffer, Error, Features, ForcedReset,
    Options, Refusal,
    fake::{
        Fault, IV, KEY, Rig, Setup, Wakes, is_in_memory, is_packed, live_pages, oracle, poll_once,
        request, times, trusted,
    },
};

/// Sends two requests, lets the device answer the first with `fault`, and returns what became of
/// both.
fn with_fault(fault: Fault) -> [Option<Error>; 2] {
    let rig = Rig::simple();
    let session = rig.session(Direction::Encrypt);
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(wakes.clone());
    let request = || Box::pin(session.process(&IV, DmaBuffer::new(32).unwrap()));
    let mut requests = [request(), request()];
    for request in &mut requests {
        assert!(
            request
                .as_mut()
                .poll(&mut Context::from_waker(&waker))
                .is_pending()
        );
    }
    rig.fake.set_fault(fault);
    assert_eq!(rig.fake.serve(0, 1), 1);
    assert!(wakes.count() > 0, "nobody was woken");
    let outcome = |poll| match poll {
        Poll::Pending => None,
        Poll::Ready(Ok::<DmaBuffer<_>, _>(_)) => panic!("success after {fault:?}"),
        Poll::Ready(Err(crate::Failed { error, .. })) => Some(error),
    };
    let [first, second] = &mut requests;
    let outcomes = [
        outcome(poll_once(first.as_mut())),
        outcome(poll_once(second.as_mut())),
    ];
    // Whatever happened, the driver can begin anew.
    drop(requests);
    drop(session);
    rig.device.recover(10_000_000).unwrap();
    let session = rig.session(Direction::Encrypt);
    let mut data = [2; 16];
    let mut request = pin!(session.process_slice(&IV, &mut data));
    let _ = poll_once(request.as_mut());
    rig.fake.serve(0, 1);
    assert_eq!(poll_once(request.as_mut()), Poll::Ready(Ok(())));
    outcomes
}

#[test]
fn ids_that_are_no_request_break_the_device() {
    // Beyond the queue, right in the low half only, a slot that is free, all ones.
    for id in [64, 0x1_0000, 0x8000_0000, 63, u32::MAX] {
        // In a packed ring an id has 16 bits.
        let id = if is_packed() { id & 0xffff } else { id };
        // The request's own.
        if id == 0 {
            continue;
        }
        let broken = Some(Error::Broken(DeviceFault::BadUsedId { id }));
        assert_eq!(with_fault(Fault::Id(id)), [broken, broken]);
    }
}

#[test]
fn id_used_twice_breaks_the_device() {
    let [_, second] = with_fault_tolerant(Fault::Twice);
    assert!(matches!(
        second,
        Some(Error::Broken(DeviceFault::BadUsedId { .. }))
    ));
}

/// Like `with_fault`, where the first request may succeed.
fn with_fault_tolerant(fault: Fault) -> [Option<Error>; 2] {
    let rig = Rig::simple();
    let session = rig.session(Direction::Encrypt);
    let request = || Box::pin(session.process(&IV, DmaBuffer::new(32).unwrap()));
    let mut requests = [request(), request()];
    for request in &mut requests {
        assert!(poll_once(request.as_mut()).is_pending());
    }
    rig.fake.set_fault(fault);
    rig.fake.serve(0, 1);
    requests.map(|mut request| match poll_once(request.as_mut()) {
        Poll::Ready(Err(failed)) => Some(failed.error),
        Poll::Ready(Ok(_)) | Poll::Pending => None,
    })
}

#[test]
fn index_that_jumps_breaks_the_device() {
    // One request in flight more than the index may have moved by.
    for by in [2, 100, 0x7fff] {
        // A packed ring has no index: as many are looked for as are too many.
        let advance = if is_packed() { 3 } else { 1 + by };
        let jump = DeviceFault::UsedIndexJump {
            advance,
            in_flight: 2,
        };
        let broken = Some(Error::Broken(jump));
        assert_eq!(with_fault(Fault::IndexJump(by)), [broken, broken]);
    }
}

#[test]
fn use_of_what_was_never_sent_breaks_the_device() {
    let rig = Rig::simple();
    let session = rig.session(Direction::Encrypt);
    rig.fake.use_unserved(0, 0);
    let jump = DeviceFault::UsedIndexJump {
        advance: 1,
        in_flight: 0,
    };
    assert_eq!(rig.device.ended(), Some(Error::Broken(jump)));
    drop(session);
}

/// What a device does next in `every_used_element_is_judged_by_what_is_in_flight`.
#[derive(Clone, Copy, Debug)]
enum Use {
    /// Serves the request that came first, and uses it.
    Honestly,
    /// Uses an id without having served anything.
    Unserved(u32),
}

/// What such a device has coming, by plain words: the fault that it is broken for, if there is one,
/// and how many requests are answered.
fn judged(uses: &[Use], in_flight: &mut Vec<u32>) -> (Option<DeviceFault>, usize) {
    let mut answered = 0;
    for used in uses {
        if in_flight.is_empty() {
            return match used {
                Use::Honestly => continue,
                Use::Unserved(_) => {
                    let (advance, in_flight) = (1, 0);
                    let jump = DeviceFault::UsedIndexJump { advance, in_flight };
                    (Some(jump), answered)
                }
            };
        }
        match *used {
            Use::Honestly => {
                in_flight.remove(0);
                answered += 1;
            }
            Use::Unserved(id) if in_flight.contains(&id) => {
                return (Some(DeviceFault::Unanswered { id }), answered);
            }
            Use::Unserved(id) => return (Some(DeviceFault::BadUsedId { id }), answered),
        }
    }
    (None, answered)
}

#[test]
fn every_used_element_is_judged_by_what_is_in_flight() {
    // As many slots as the ring has places; ids of each, and the first that there is none of. A
    // packed ring has no room for more than 16 bits.
    let far = if is_packed() { 0xffff } else { 0x1_0001 };
    let ids = [0, 1, 2, 3, 4, far].map(Use::Unserved);
    let all: Vec<_> = ids.into_iter().chain([Use::Honestly]).collect();
    let setup = Setup {
        queue_sizes: [4, 4],
        ..Setup::default()
    };
    // In Miri, those that begin honestly.
    for count in (0..=4).step_by(times(1, 3)) {
        for first in &all[times(0, all.len() - 1)..] {
            for second in &all {
                for third in &all {
                    let uses = [*first, *second, *third];
                    let rig = Rig::new(setup.clone(), Rig::options()).unwrap();
                    let session = rig.session(Direction::Encrypt);
                    let mut requests: Vec<_> = (0..count).map(|_| request(&session)).collect();
                    rig.fake.take(0);
                    let ids = rig.fake.taken_ids(0).into_iter().map(u32::from);
                    let (fault, answered) = judged(&uses, &mut ids.collect());
                    for used in uses.iter().take_while(|_| rig.device.ended().is_none()) {
                        match used {
                            Use::Honestly => drop(rig.fake.serve(0, 1)),
                            Use::Unserved(id) => rig.fake.use_unserved(0, *id),
                        }
                    }
                    let ended = fault.map(Error::Broken);
                    assert_eq!(rig.device.ended(), ended, "{count} in flight, {uses:?}");
                    let outcomes = requests.iter_mut().map(|it| poll_once(it.as_mut()));
                    let outcomes: Vec<_> = outcomes.collect();
                    let is_answer = |it: &&Poll<_>| matches!(it, Poll::Ready(Ok(())));
                    let answers = outcomes.iter().filter(is_answer).count();
                    assert_eq!(answers, answered, "{count} in flight, {uses:?}");
                    let is_told = |it: &Poll<_>| it.is_ready() == fault.is_some();
                    let mut others = outcomes.iter().filter(|it| !is_answer(it));
                    assert!(
                        others.all(is_told),
                        "{count} in flight, {uses:?}: {outcomes:?}"
                    );
                    drop(requests);
                }
            }
        }
    }
}

#[test]
fn id_inside_a_chain_breaks_the_device() {
    // In a packed ring a chain has one id, wherever its descriptors are.
    if is_packed() {
        return;
    }
    let setup = Setup {
        features: Setup::default().features - Features::INDIRECT_DESC,
        ..Setup::default()
    };
    for id in 1..8 {
        let rig = Rig::new(setup.clone(), Rig::options()).unwrap();
        let session = rig.session(Direction::Encrypt);
        let mut request = request(&session);
        rig.fake.set_fault(Fault::Id(id));
        assert_eq!(rig.fake.serve(0, 1), 1);
        let broken = Error::Broken(DeviceFault::BadUsedId { id });
        assert_eq!(poll_once(request.as_mut()), Poll::Ready(Err(broken)));
    }
}

#[test]
fn descriptor_that_is_marked_for_another_lap_is_not_used() {
    if !is_packed() {
        return;
    }
    let rig = Rig::simple();
    let session = rig.session(Direction::Encrypt);
    let mut request = request(&session);
    rig.fake.mark_for_another_lap(0);
    rig.device.poll();
    assert!(poll_once(request.as_mut()).is_pending());
    assert_eq!(rig.device.ended(), None);
    // It has only spoiled its own descriptor, of which it has taken note before.
    assert_eq!(rig.fake.serve(0, 1), 1);
    assert!(poll_once(request.as_mut()).is_ready());
}

#[test]
fn short_length_is_an_error_and_a_long_one_is_not_believed() {
    let short = Error::ShortAnswer {
        written_bytes: 5,
        expected_bytes: 33,
    };
    assert_eq!(with_fault(Fault::Length(5)), [Some(short), None]);
    assert_eq!(with_fault_tolerant(Fault::Length(u32::MAX)), [None, None]);
}

#[test]
fn status_decides_whatever_else_was_written() {
    let refused = |refusal| [Some(Error::Refused(refusal)), None];
    assert_eq!(with_fault(Fault::Status(1)), refused(Refusal::Error));
    assert_eq!(
        with_fault(Fault::Status(4)),
        refused(Refusal::InvalidSession)
    );
    assert_eq!(with_fault(Fault::Status(99)), refused(Refusal::Unknown(99)));
}

#[test]
fn used_element_without_a_status_breaks_the_device() {
    let broken = Some(Error::Broken(DeviceFault::Unanswered { id: 0 }));
    assert_eq!(with_fault(Fault::NoStatus), [broken, broken]);
    // No status that there is; a device that means it says nothing else.
    assert_eq!(with_fault(Fault::Status(0xff)), [broken, broken]);
}

#[test]
fn element_that_comes_again_does_not_answer_the_next_request() {
    let rig = Rig::simple();
    let session = rig.session(Direction::Encrypt);
    let request = || Box::pin(session.process(&IV, DmaBuffer::new(32).unwrap()));
    let mut first = request();
    assert!(poll_once(first.as_mut()).is_pending());
    rig.fake.serve(0, 1);
    assert!(poll_once(first.as_mut()).is_ready());
    let mut second = request();
    assert!(poll_once(second.as_mut()).is_pending());
    rig.fake.use_unserved(0, 0);
    let Poll::Ready(Err(failed)) = poll_once(second.as_mut()) else {
        panic!("it was not served")
    };
    let unanswered = Error::Broken(DeviceFault::Unanswered { id: 0 });
    assert_eq!(
        (failed.error, failed.returned.is_none()),
        (unanswered, true)
    );
}

#[test]
fn output_of_a_refused_request_is_not_copied() {
    let rig = Rig::simple();
    let session = rig.session(Direction::Encrypt);
    let mut data = [2; 16];
    let mut request = Box::pin(session.process_slice(&IV, &mut data));
    let _ = poll_once(request.as_mut());
    rig.fake.set_fault(Fault::Status(1));
    rig.fake.serve(0, 1);
    assert_eq!(
        poll_once(request.as_mut()),
        Poll::Ready(Err(Error::Refused(Refusal::Error)))
    );
    drop(request);
    assert_eq!(data, [2; 16]);
}

#[test]
fn refused_create_and_short_answers_are_errors() {
    let rig = Rig::simple();
    for fault in [Fault::Status(5), Fault::Length(11), Fault::Length(0)] {
        let mut open = rig.begin_open();
        rig.fake.set_fault(fault);
        rig.fake.serve(1, 1);
        let Poll::Ready(Err(error)) = poll_once(open.as_mut()) else {
            panic!("{fault:?}")
        };
        assert!(
            matches!(error, Error::Refused(_) | Error::ShortAnswer { .. }),
            "{error:?}"
        );
        assert_eq!(rig.device.sessions_taken(), 0);
    }
}

#[test]
fn short_answer_to_the_end_of_a_session_is_an_error() {
    let rig = Rig::simple();
    let mut close = Box::pin(rig.session(Direction::Encrypt).close());
    assert!(poll_once(close.as_mut()).is_pending());
    rig.fake.set_fault(Fault::Length(0));
    assert_eq!(rig.fake.serve(1, 1), 1);
    let short = Error::ShortAnswer {
        written_bytes: 0,
        expected_bytes: 1,
    };
    assert_eq!(poll_once(close.as_mut()), Poll::Ready(Err(short)));
}

#[test]
fn closer_that_waits_for_a_request_is_told_of_the_end() {
    let rig = Rig::simple();
    let session = rig.session(Direction::Encrypt);
    drop(request(&session));
    let mut close = Box::pin(session.close());
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(wakes.clone());
    let mut context = Context::from_waker(&waker);
    assert!(close.as_mut().poll(&mut context).is_pending());
    rig.fake.need_reset();
    rig.device.poll();
    assert_eq!(wakes.count(), 1);
    let broken = Error::Broken(DeviceFault::NeedsReset);
    assert_eq!(close.as_mut().poll(&mut context), Poll::Ready(Err(broken)));
}

#[test]
fn device_that_needs_a_reset_ends_every_wait() {
    let options = Options {
        data_slots: 1,
        control_slots: 2,
        ..Rig::options()
    };
    let rig = Rig::new(Setup::default(), options).unwrap();
    let session = rig.session(Direction::Encrypt);
    let closing = rig.session(Direction::Encrypt);
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(wakes.clone());
    let mut context = Context::from_waker(&waker);
    let mut in_flight = Box::pin(session.process(&IV, DmaBuffer::new(16).unwrap()));
    let mut in_line = Box::pin(session.process(&IV, DmaBuffer::new(16).unwrap()));
    let mut create = Box::pin(Cipher::open(
        &rig.device,
        CipherAlgorithm::AesCbc,
        Direction::Encrypt,
        &KEY,
    ));
    let mut close = Box::pin(closing.close());
    let mut create_in_line = Box::pin(Cipher::open(
        &rig.device,
        CipherAlgorithm::AesCbc,
        Direction::Encrypt,
        &KEY,
    ));
    assert!(in_flight.as_mut().poll(&mut context).is_pending());
    assert!(in_line.as_mut().poll(&mut context).is_pending());
    assert!(create.as_mut().poll(&mut context).is_pending());
    assert!(close.as_mut().poll(&mut context).is_pending());
    assert!(create_in_line.as_mut().poll(&mut context).is_pending());
    rig.fake.need_reset();
    rig.device.poll();
    assert!(wakes.count() >= 5, "{} of 5 were woken", wakes.count());
    let broken = Error::Broken(DeviceFault::NeedsReset);
    let Poll::Ready(Err(failed)) = in_flight.as_mut().poll(&mut context) else {
        panic!()
    };
    assert_eq!((failed.error, failed.returned.is_none()), (broken, true));
    let Poll::Ready(Err(failed)) = in_line.as_mut().poll(&mut context) else {
        panic!()
    };
    assert_eq!((failed.error, failed.returned.is_some()), (broken, true));
    assert_eq!(
        create.as_mut().poll(&mut context).map(Result::err),
        Poll::Ready(Some(broken))
    );
    assert_eq!(close.as_mut().poll(&mut context), Poll::Ready(Err(broken)));
    let in_line = create_in_line.as_mut().poll(&mut context).map(Result::err);
    assert_eq!(in_line, Poll::Ready(Some(broken)));
    let opened = crate::fake::run(Cipher::open(
        &rig.device,
        CipherAlgorithm::AesCbc,
        Direction::Encrypt,
        &KEY,
    ));
    assert_eq!(opened.err(), Some(broken));
}

#[test]
fn forced_reset_keeps_what_the_device_may_still_write() {
    for forced_reset in [ForcedReset::Quarantine, ForcedReset::Reclaim(trusted())] {
        let rig = Rig::new(
            Setup::default(),
            Options {
                forced_reset,
                ..Rig::options()
            },
        )
        .unwrap();
        let _alone = rig.alone.clone();
        let session = rig.session(Direction::Encrypt);
        let mut request = Box::pin(session.process(&IV, DmaBuffer::new(40 << 10).unwrap()));
        let _ = poll_once(request.as_mut());
        let drained = rig.device.shutdown(1_000_000).unwrap();
        assert_eq!(drained.in_flight, 1);
        let Poll::Ready(Err(failed)) = poll_once(request.as_mut()) else {
            panic!()
        };
        assert_eq!(
            (failed.error, failed.returned.is_none()),
            (Error::ShutDown, true)
        );
        drop(request);
        drop(session);
        let given_up_bytes = rig.device.given_up_bytes();
        drop(rig);
        assert_eq!(given_up_bytes, 4096 * live_pages() as u64);
        // The buffer, the blocks of 64 slots, the ring.
        let had_bytes = (40 + 128 + 4) << 10;
        match forced_reset {
            ForcedReset::Quarantine => assert_eq!(given_up_bytes, had_bytes),
            ForcedReset::Reclaim(_) => assert_eq!(given_up_bytes, 0, "not everything was freed"),
        }
    }
}

#[test]
fn what_is_given_up_for_good_is_wiped() {
    const NEW_KEY: &[u8; 16] = b"a key given up!!";
    const DATA: &[u8; 32] = b"data that the device may touch!!";
    let options = Options {
        forced_reset: ForcedReset::Quarantine,
        ..Rig::options()
    };
    let rig = Rig::new(Setup::default(), options).unwrap();
    let _alone = rig.alone.clone();
    let session = rig.session(Direction::Encrypt);
    let data = DmaBuffer::from_slice(DATA).unwrap();
    let mut request = Box::pin(session.process(&IV, data));
    let algorithm = CipherAlgorithm::AesCbc;
    let open = Cipher::open(&rig.device, algorithm, Direction::Encrypt, NEW_KEY);
    let mut open = Box::pin(open);
    let _ = (poll_once(request.as_mut()), poll_once(open.as_mut()));
    assert!(is_in_memory(NEW_KEY) && is_in_memory(DATA));
    let drained = rig.device.shutdown(1_000_000).unwrap();
    assert_eq!(drained.in_flight, 2);
    drop((request, open));
    drop(session);
    drop(rig);
    assert!(!is_in_memory(NEW_KEY), "the key stays behind");
    assert!(!is_in_memory(DATA), "the data stay behind");
}

#[test]
fn device_that_does_not_confirm_its_reset_keeps_everything() {
    let rig = Rig::simple();
    let _alone = rig.alone.clone();
    rig.fake.refuse_resets();
    let held = live_pages();
    assert!(matches!(
        rig.device.shutdown(0),
        Err(Error::ResetTimeout { .. })
    ));
    drop(rig);
    assert_eq!(live_pages(), held);
}

#[test]
fn shutdown_takes_what_the_device_finishes_in_time() {
    let rig = Rig::simple();
    let session = rig.session(Direction::Encrypt);
    let mut requests: Vec<_> = (0..3)
        .map(|_| Box::pin(session.process(&IV, DmaBuffer::new(16).unwrap())))
        .collect();
    for request in &mut requests {
        let _ = poll_once(request.as_mut());
    }
    let rig = rig.go();
    rig.fake.interrupt(0);
    let mut kick = pin!(session.process(&IV, DmaBuffer::new(16).unwrap()));
    let _ = poll_once(kick.as_mut());
    assert_eq!(rig.device.shutdown(5_000_000_000).unwrap().in_flight, 0);
    for mut request in requests {
        let Poll::Ready(Ok(buffer)) = poll_once(request.as_mut()) else {
            panic!()
        };
        assert_eq!(buffer[..], oracle(&KEY, &IV, &[0; 16]));
    }
    assert_eq!(rig.fake.sessions(), 0, "a session was left on the device");
}

#[test]
fn reset_that_is_asked_for_ends_those_who_poll() {
    let rig = Rig::polled();
    let session = rig.session(Direction::Encrypt);
    rig.fake.need_reset();
    let request = session.process(&IV, DmaBuffer::new(16).unwrap());
    // Nobody calls `poll`, and no interrupt comes.
    let failed = crate::fake::run(request).unwrap_err();
    assert_eq!(failed.error, Error::Broken(DeviceFault::NeedsReset));
}
