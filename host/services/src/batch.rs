//! Many requests, one kick, one await.

use core::{
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
};
use std::sync::Arc;

use virtio_crypto::{Direction, DmaBuffer, Error, Requirement, join_all};

use crate::rig::{
    FakePlatform, Fault, IV, KEY, Rig, Setup, Wakes, live_pages, oracle, poll_once, run,
};

fn iv(number: u8) -> [u8; 16] {
    [number; 16]
}

fn requests(count: u8) -> Vec<([u8; 16], DmaBuffer<FakePlatform>)> {
    let buffer = |number| DmaBuffer::from_slice(&[number; 48]).unwrap();
    (0..count)
        .map(|number| (iv(number), buffer(number)))
        .collect()
}

fn expected(number: u8) -> Vec<u8> {
    oracle(&KEY, &iv(number), &[number; 48])
}

#[test]
fn batch_of_buffers_rings_once_and_keeps_its_order() {
    let setup = Setup {
        shuffled: Some(5),
        ..Setup::default()
    };
    let rig = Rig::new(setup, Rig::options()).unwrap();
    let session = rig.session(Direction::Encrypt);
    let before = rig.far.kicks();
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(wakes.clone());
    let mut batch = pin!(session.process_batch(requests(30)));
    let poll = |batch: Pin<&mut _>| Future::poll(batch, &mut Context::from_waker(&waker));
    assert!(poll(batch.as_mut()).is_pending());
    assert_eq!(rig.far.kicks() - before, 1);
    assert_eq!(rig.far.serve(0, usize::MAX), 30);
    assert_eq!(wakes.count(), 1, "woken for more than the one waited for");
    let Poll::Ready(Ok(results)) = poll(batch.as_mut()) else {
        panic!("all were answered");
    };
    for (number, result) in (0..).zip(results) {
        assert_eq!(result.unwrap()[..], expected(number));
    }
}

#[test]
fn batch_longer_than_the_queue_goes_on_as_slots_come_free() {
    for slots in [1, 3, 16] {
        let options = Rig::options_with(|options| options.data_slots = slots);
        let rig = Rig::new(Setup::default(), options).unwrap();
        let session = rig.session(Direction::Encrypt);
        let before = rig.far.kicks();
        let mut batch = Box::pin(session.process_batch(requests(40)));
        let mut rounds = 0;
        let results = loop {
            if let Poll::Ready(Ok(results)) = poll_once(batch.as_mut()) {
                break results;
            }
            rounds += 1;
            assert!(rig.far.serve(0, usize::MAX) <= usize::from(slots));
        };
        assert_eq!(rounds, 40u64.div_ceil(u64::from(slots)));
        // A device that is served by hand asks for no further kick by itself.
        assert!(rig.far.kicks() - before <= rounds, "a kick a round");
        for (number, result) in (0..).zip(results) {
            assert_eq!(result.unwrap()[..], expected(number), "{slots} slots");
        }
    }
}

#[test]
fn batches_of_many_tasks_share_the_slots() {
    let options = Rig::options_with(|options| options.data_slots = 4);
    let rig = Rig::new(Setup::default(), options).unwrap();
    let session = rig.session(Direction::Encrypt);
    let _rig = rig.go();
    run(async {
        let batch = |_| Box::pin(session.process_batch(requests(50)));
        let batches = join_all((0..5).map(batch).collect()).await.unwrap();
        for results in batches.into_iter().map(Result::unwrap) {
            assert_eq!(results.len(), 50);
            for (number, result) in (0..).zip(results) {
                assert_eq!(result.unwrap()[..], expected(number));
            }
        }
    });
}

#[test]
fn batch_works_where_the_driver_polls() {
    let rig = Rig::polled();
    let session = rig.session(Direction::Encrypt);
    let _rig = rig.go();
    run(async {
        let results = session.process_batch(requests(90)).await.unwrap();
        for (number, result) in (0..).zip(results) {
            assert_eq!(result.unwrap()[..], expected(number));
        }
    });
}

#[test]
fn empty_batch_is_done_at_once() {
    let rig = Rig::simple();
    let session = rig.session(Direction::Encrypt);
    let before = rig.far.kicks();
    let mut batch = pin!(session.process_batch(requests(0)));
    assert!(matches!(poll_once(batch.as_mut()), Poll::Ready(Ok(results)) if results.is_empty()));
    assert_eq!(rig.far.kicks(), before);
}

#[test]
fn each_request_of_a_batch_has_its_own_error() {
    let rig = Rig::simple();
    let session = rig.session(Direction::Encrypt);
    let mut requests: Vec<(Vec<u8>, _)> = Vec::new();
    for (iv_len, len) in [(16, 32), (16, 17), (15, 32), (16, 0), (16, 32), (16, 48)] {
        requests.push((vec![1; iv_len], DmaBuffer::new(len).unwrap()));
    }
    let submitted = rig.device.data_stats().submitted;
    let mut batch = pin!(session.process_batch(requests));
    assert!(poll_once(batch.as_mut()).is_pending());
    assert_eq!(rig.device.data_stats().submitted - submitted, 3);
    rig.far.serve(0, 1);
    rig.far.set_fault(Fault::Status(1));
    rig.far.serve(0, 2);
    let Poll::Ready(Ok(results)) = poll_once(batch.as_mut()) else {
        panic!("all were answered");
    };
    let outcomes: Vec<_> = results
        .iter()
        .map(|result| match result {
            Ok(buffer) => (None, buffer.len()),
            Err(failed) => (Some(failed.error), failed.returned.as_ref().unwrap().len()),
        })
        .collect();
    let invalid = |field, len_bytes, requirement| {
        Some(Error::InvalidLength {
            field,
            len_bytes,
            requirement,
        })
    };
    let blocks = Requirement::BlocksOf { block_bytes: 16 };
    assert_eq!(
        outcomes,
        [
            (None, 32),
            (invalid("data", 17, blocks), 17),
            (
                invalid("IV", 15, Requirement::Exactly { len_bytes: 16 }),
                32
            ),
            (invalid("data", 0, blocks), 0),
            (Some(Error::Refused(virtio_crypto::Refusal::Error)), 32),
            (None, 48),
        ]
    );
}

#[test]
fn dropped_batch_sends_no_more_and_leaks_nothing() {
    let options = Rig::options_with(|options| options.data_slots = 4);
    let rig = Rig::new(Setup::default(), options).unwrap();
    let session = rig.session(Direction::Encrypt);
    let before = live_pages();
    let mut batch = Box::pin(session.process_batch(requests(10)));
    assert!(poll_once(batch.as_mut()).is_pending());
    drop(batch);
    assert_eq!(live_pages() - before, 4, "what the device has, and no more");
    assert_eq!(rig.far.serve(0, usize::MAX), 4);
    rig.device.poll();
    assert_eq!(live_pages(), before);
    // All four slots are free again.
    let mut batch = Box::pin(session.process_batch(requests(10)));
    assert!(poll_once(batch.as_mut()).is_pending());
    assert_eq!(rig.device.data_stats().in_flight, 4);
}

#[test]
fn broken_device_ends_a_batch_with_what_it_never_had() {
    let options = Rig::options_with(|options| options.data_slots = 2);
    let rig = Rig::new(Setup::default(), options).unwrap();
    let session = rig.session(Direction::Encrypt);
    let mut batch = Box::pin(session.process_batch(requests(5)));
    assert!(poll_once(batch.as_mut()).is_pending());
    rig.far.serve(0, 1);
    rig.far.need_reset();
    rig.device.poll();
    let Poll::Ready(Ok(results)) = poll_once(batch.as_mut()) else {
        panic!("waits for ever");
    };
    let kinds: Vec<_> = results
        .iter()
        .map(|result| match result {
            Ok(_) => "done",
            Err(failed) => {
                assert!(matches!(failed.error, Error::Broken(_)));
                match &failed.returned {
                    Some(_) => "back",
                    None => "gone",
                }
            }
        })
        .collect();
    assert_eq!(kinds, ["done", "gone", "back", "back", "back"]);
}

#[test]
fn join_all_inside_a_batch_rings_once() {
    let rig = Rig::simple();
    let session = rig.session(Direction::Encrypt);
    let mut data = vec![[3u8; 16]; 20];
    let requests = data.iter_mut();
    let requests = requests.map(|data| Box::pin(session.process_slice(&IV, data)));
    let before = rig.far.kicks();
    let mut batch = Box::pin(rig.device.batch(join_all(requests.collect())));
    assert!(poll_once(batch.as_mut()).is_pending());
    assert_eq!(rig.far.kicks() - before, 1);
    assert_eq!(rig.far.serve(0, usize::MAX), 20);
    let Poll::Ready(Ok(results)) = poll_once(batch.as_mut()) else {
        panic!("the batch does not end well");
    };
    assert!(results.iter().all(Result::is_ok));
    drop(results);
    drop(batch);
    assert!(
        data.iter()
            .all(|data| data[..] == oracle(&KEY, &IV, &[3; 16]))
    );
}
