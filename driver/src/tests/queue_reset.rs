//! One data queue is reset by itself: the others, and the sessions, go on.

use alloc::{boxed::Box, sync::Arc, task::Wake, vec, vec::Vec};
use core::{
    pin::Pin,
    task::{Context, Poll, Waker},
};
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::{
    Cipher, DeviceFault, Direction, DmaBuffer, Error, Failed, Features, ForcedReset, Options,
    fake::{
        FakePlatform, IV, KEY, Rig, Setup, Wakes, as_cpu, live_pages, message, oracle, poll_once,
        trusted,
    },
    transport::{MsixEntry, QueueIndex},
};

const LIMIT_NS: u64 = 1_000_000;

fn setup() -> Setup {
    let setup = Setup::default();
    Setup {
        features: setup.features | Features::RING_RESET,
        data_queues: 2,
        msix_entries: 4,
        ..setup
    }
}

fn options(forced_reset: ForcedReset) -> Options {
    Options {
        messages: vec![message(1, 2); 4],
        data_slots: 4,
        forced_reset,
        ..Rig::options()
    }
}

fn rig() -> Rig {
    Rig::new(setup(), options(ForcedReset::Quarantine)).unwrap()
}

type Answer = Result<DmaBuffer<FakePlatform>, Failed<DmaBuffer<FakePlatform>>>;
type Sent<'s> = Pin<Box<dyn Future<Output = Answer> + 's>>;

fn send(session: &Cipher<FakePlatform>, cpu: u32) -> Sent<'_> {
    let mut request = Box::pin(session.process(&IV, DmaBuffer::new(32).unwrap()));
    as_cpu(cpu, || assert!(poll_once(request.as_mut()).is_pending()));
    request
}

fn outcome(request: &mut Sent<'_>) -> Result<(), Error> {
    match poll_once(request.as_mut()) {
        Poll::Ready(Ok(buffer)) => {
            assert_eq!(buffer[..], oracle(&KEY, &IV, &[0; 32]));
            Ok(())
        }
        Poll::Ready(Err(failed)) => Err(failed.error),
        Poll::Pending => panic!("no answer"),
    }
}

fn encrypt(rig: &Rig, session: &Cipher<FakePlatform>, cpu: u32) {
    let mut request = send(session, cpu);
    assert_eq!(rig.fake.serve(cpu as usize, 1), 1);
    assert_eq!(outcome(&mut request), Ok(()));
}

#[test]
fn silent_queue_comes_back_and_the_others_go_on() {
    for forced_reset in [ForcedReset::Quarantine, ForcedReset::Reclaim(trusted())] {
        let is_trusted = forced_reset != ForcedReset::Quarantine;
        let rig = Rig::new(setup(), options(forced_reset)).unwrap();
        let session = rig.session(Direction::Encrypt);
        encrypt(&rig, &session, 0);
        let before = live_pages();
        let (mut lost, mut other) = (send(&session, 0), send(&session, 1));
        let mut dropped = send(&session, 0);
        drop(dropped);
        dropped = send(&session, 0);

        assert_eq!(rig.device.reset_queue(0, LIMIT_NS), Ok(3));
        assert_eq!(outcome(&mut lost), Err(Error::QueueReset));
        assert_eq!(outcome(&mut dropped), Err(Error::QueueReset));
        drop((lost, dropped));
        assert_eq!(rig.device.given_up_bytes() == 0, is_trusted);

        let stats = rig.device.data_queue_stats(0).unwrap();
        assert_eq!((stats.submitted, stats.completed, stats.lost), (4, 1, 3));
        assert_eq!(stats.in_flight, 0);
        assert_eq!(rig.fake.enabled(), [0, 1, 2]);
        assert_eq!(rig.fake.vector(0), Some(MsixEntry(1)));
        for _ in 0..20 {
            encrypt(&rig, &session, 0);
        }
        assert_eq!(rig.fake.serve(1, 1), 1);
        assert_eq!(outcome(&mut other), Ok(()));
        drop(other);
        assert_eq!(rig.device.interrupt_stats().unhandled, 0);

        let mut close = Box::pin(session.close());
        let mut closed = poll_once(close.as_mut());
        rig.serve_all();
        if closed.is_pending() {
            closed = poll_once(close.as_mut());
        }
        let expected = if is_trusted {
            Ok(())
        } else {
            Err(Error::QueueReset)
        };
        assert_eq!(closed, Poll::Ready(expected));
        assert_eq!(rig.device.sessions_taken(), usize::from(!is_trusted));
        drop(close);
        if is_trusted {
            // The queue's own memory is kept: blocks and ring.
            assert!(live_pages() > before, "{} {before}", live_pages());
        }
        rig.fake.be_eager();
        rig.device.recover(LIMIT_NS).unwrap();
        assert_eq!(rig.device.sessions_left_behind(), u64::from(!is_trusted));
        if is_trusted {
            // Three of the device's queues, as before.
            rig.device.poll();
            assert_eq!(live_pages(), before);
        }
    }
}

#[test]
fn requests_have_time_to_end_before_the_reset() {
    let rig = rig().go();
    let session = crate::fake::run(rig.open()).unwrap();
    let mut requests: Vec<_> = (0..2)
        .map(|_| {
            let mut request: Sent<'_> = Box::pin(session.process(&IV, DmaBuffer::new(32).unwrap()));
            let first = as_cpu(0, || poll_once(request.as_mut()));
            (request, first)
        })
        .collect();
    assert_eq!(rig.device.reset_queue(0, 10_000_000_000), Ok(0));
    for (request, first) in &mut requests {
        if first.is_pending() {
            assert_eq!(outcome(request), Ok(()));
        }
    }
    drop(requests);
    assert_eq!(rig.device.given_up_bytes(), 0);
}

#[test]
fn answer_that_nobody_has_taken_is_there_after_the_reset() {
    let rig = rig();
    let session = rig.session(Direction::Encrypt);
    let mut answered = send(&session, 0);
    assert_eq!(rig.fake.serve(0, 1), 1);
    assert_eq!(rig.device.reset_queue(0, LIMIT_NS), Ok(0));
    assert_eq!(outcome(&mut answered), Ok(()));
    drop(answered);
    encrypt(&rig, &session, 0);
}

#[test]
fn callers_in_the_line_get_slots_of_the_queue_that_comes() {
    let rig = rig();
    let session = rig.session(Direction::Encrypt);
    let mut requests: Vec<_> = (0..7).map(|_| send(&session, 0)).collect();
    assert_eq!(rig.device.reset_queue(0, LIMIT_NS), Ok(4));
    for request in &mut requests[..4] {
        assert_eq!(outcome(request), Err(Error::QueueReset));
    }
    for request in &mut requests[4..] {
        assert!(poll_once(request.as_mut()).is_pending(), "it is sent now");
    }
    assert_eq!(rig.fake.serve(0, usize::MAX), 3);
    for request in &mut requests[4..] {
        assert_eq!(outcome(request), Ok(()));
    }
}

#[test]
fn caller_that_was_handed_a_slot_before_goes_on_with_the_queue_that_comes() {
    let rig = rig();
    let session = rig.session(Direction::Encrypt);
    let mut requests: Vec<_> = (0..5).map(|_| send(&session, 0)).collect();
    let mut waiting = requests.pop().unwrap();
    assert_eq!(rig.fake.serve(0, usize::MAX), 4);
    for mut request in requests {
        assert_eq!(outcome(&mut request), Ok(()));
    }
    // It has its slot, and has not come for it yet.
    assert_eq!(rig.device.reset_queue(0, LIMIT_NS), Ok(0));
    assert!(poll_once(waiting.as_mut()).is_pending(), "it is sent now");
    assert_eq!(rig.fake.serve(0, usize::MAX), 1);
    assert_eq!(outcome(&mut waiting), Ok(()));
}

#[test]
fn batch_goes_on_with_the_queue_that_comes() {
    let rig = rig();
    let session = rig.session(Direction::Encrypt);
    let requests = (0..6).map(|_| (IV, DmaBuffer::new(32).unwrap())).collect();
    let mut batch = Box::pin(session.process_batch(requests));
    as_cpu(0, || assert!(poll_once(batch.as_mut()).is_pending()));
    assert_eq!(rig.device.reset_queue(0, LIMIT_NS), Ok(4));
    assert!(poll_once(batch.as_mut()).is_pending(), "two are sent now");
    assert_eq!(rig.fake.serve(0, usize::MAX), 2);
    let Poll::Ready(Ok(results)) = poll_once(batch.as_mut()) else {
        panic!("no answer");
    };
    for (number, result) in results.into_iter().enumerate() {
        match result {
            Ok(buffer) => assert_eq!(buffer[..], oracle(&KEY, &IV, &[0; 32]), "{number}"),
            Err(failed) => {
                assert!(number < 4, "{number}: {}", failed.error);
                assert_eq!(failed.error, Error::QueueReset);
            }
        }
    }
}

#[test]
fn waker_that_panics_while_the_queue_is_closed_leaves_nobody_waiting() {
    let rig = rig();
    let session = rig.session(Direction::Encrypt);
    let mut requests: Vec<_> = (0..5).map(|_| send(&session, 0)).collect();
    let panics = Waker::from(Arc::new(Panics));
    let mut context = Context::from_waker(&panics);
    assert!(requests[0].as_mut().poll(&mut context).is_pending());
    rig.fake.hold_interrupts(true);
    assert_eq!(rig.fake.serve(0, 1), 1);
    // It drains, and wakes somebody who panics.
    let reset = || rig.device.reset_queue(0, LIMIT_NS);
    assert!(catch_unwind(AssertUnwindSafe(reset)).is_err());
    let fault = Error::Broken(DeviceFault::QueueNotReset {
        queue: QueueIndex(0),
    });
    assert_eq!(rig.device.ended(), Some(fault));
    assert_eq!(outcome(&mut requests[4]), Err(fault));
}

struct Panics;

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        panic!("a waker, on purpose");
    }
}

#[test]
fn closer_that_waits_for_a_lost_request_is_told() {
    let rig = rig();
    let session = rig.session(Direction::Encrypt);
    let request = send(&session, 0);
    drop(request);
    let mut close = Box::pin(session.close());
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(wakes.clone());
    let polled = close.as_mut().poll(&mut Context::from_waker(&waker));
    assert!(polled.is_pending(), "a request is in flight");
    assert_eq!(rig.device.reset_queue(0, LIMIT_NS), Ok(1));
    assert_eq!(wakes.count(), 1);
    assert_eq!(
        poll_once(close.as_mut()),
        Poll::Ready(Err(Error::QueueReset))
    );
}

#[test]
fn device_that_does_not_finish_is_broken_and_can_be_recovered() {
    let rig = rig();
    let session = rig.session(Direction::Encrypt);
    let mut request = send(&session, 0);
    rig.fake.refuse_resets();
    let fault = Error::Broken(DeviceFault::QueueNotReset {
        queue: QueueIndex(0),
    });
    assert_eq!(rig.device.reset_queue(0, 0), Err(fault));
    assert_eq!(outcome(&mut request), Err(fault));
    assert_eq!(rig.device.reset_queue(0, 0), Err(fault));
    drop(request);
    drop(session);
    rig.fake.allow_resets();
    rig.fake.be_eager();
    rig.device.recover(LIMIT_NS).unwrap();
    assert_eq!(rig.device.reset_queue(0, LIMIT_NS), Ok(0));
}

#[test]
fn vector_that_is_refused_breaks_the_device() {
    let rig = rig();
    rig.fake.refuse_vectors();
    let fault = Error::Broken(DeviceFault::QueueNotReset {
        queue: QueueIndex(1),
    });
    assert_eq!(rig.device.reset_queue(1, LIMIT_NS), Err(fault));
    assert_eq!(rig.device.ended(), Some(fault));
}

#[test]
fn pollers_and_sections_live_through_a_reset() {
    let rig = rig();
    let session = rig.session(Direction::Encrypt);
    let poller = rig.device.poller();
    let section = || {
        let before = rig.fake.kicks();
        assert_eq!(rig.device.reset_queue(0, LIMIT_NS), Ok(0));
        let requests = Vec::from([send(&session, 0), send(&session, 0)]);
        assert_eq!(rig.fake.kicks(), before, "they are put off still");
        requests
    };
    let mut requests = as_cpu(0, || rig.device.share_kicks(section));
    let messages = rig.fake.messages();
    assert_eq!(rig.fake.serve(0, usize::MAX), 2);
    // The first index of a split ring is one that the device is not asked to be quiet about.
    assert!(rig.fake.messages() <= messages + 1, "a caller polls");
    let messages = rig.fake.messages();
    poller.drain();
    for request in &mut requests {
        assert_eq!(outcome(request), Ok(()));
    }
    drop((requests, poller));
    encrypt(&rig, &session, 0);
    assert!(rig.fake.messages() > messages);
}

#[test]
fn kicks_put_off_are_made_up_for_before_the_reset() {
    let rig = rig();
    let session = rig.session(Direction::Encrypt);
    rig.fake.be_eager();
    let section = || {
        let request = send(&session, 0);
        assert_eq!(rig.device.reset_queue(0, LIMIT_NS), Ok(0));
        request
    };
    let mut request = as_cpu(0, || rig.device.share_kicks(section));
    assert_eq!(outcome(&mut request), Ok(()));
}

#[test]
fn reset_that_cannot_be_changes_nothing() {
    let plain = Rig::new(
        Setup {
            features: Setup::default().features,
            ..setup()
        },
        options(ForcedReset::Quarantine),
    );
    let plain = plain.unwrap();
    let missing = Error::FeatureMissing {
        feature: "VIRTIO_F_RING_RESET",
    };
    assert_eq!(plain.device.reset_queue(0, LIMIT_NS), Err(missing));
    drop(plain);

    let rig = rig();
    let session = rig.session(Direction::Encrypt);
    for queue in [2, 3, usize::MAX] {
        let outcome = rig.device.reset_queue(queue, LIMIT_NS);
        assert!(
            matches!(outcome, Err(Error::QueueMissing { .. })),
            "{outcome:?}"
        );
    }
    for _ in 0..16 {
        assert_eq!(rig.device.reset_queue(0, LIMIT_NS), Ok(0));
        encrypt(&rig, &session, 0);
    }
    let too_many = Error::TooManyQueueResets { max: 16 };
    assert_eq!(rig.device.reset_queue(0, LIMIT_NS), Err(too_many));
    encrypt(&rig, &session, 0);
    assert_eq!(rig.device.reset_queue(1, LIMIT_NS), Ok(0));
    rig.fake.vanish();
    let gone = Error::Broken(DeviceFault::Gone);
    assert_eq!(rig.device.reset_queue(0, LIMIT_NS), Err(gone));
}

#[test]
fn old_elements_of_a_queue_that_was_reset_break_the_device_and_nothing_else() {
    let rig = rig();
    let session = rig.session(Direction::Encrypt);
    let mut lost = send(&session, 0);
    assert_eq!(rig.device.reset_queue(0, LIMIT_NS), Ok(1));
    let mut sent = send(&session, 0);
    // What the device had before, as some give it back afterwards.
    rig.fake.use_unserved(0, 0);
    assert!(matches!(rig.device.ended(), Some(Error::Broken(_))));
    assert_eq!(outcome(&mut lost), Err(Error::QueueReset));
    assert!(matches!(outcome(&mut sent), Err(Error::Broken(_))));
}
