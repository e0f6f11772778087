//! Devices that care how a request lies in descriptors, and drop what they do not like.

use core::task::Poll;

use device::options;
use virtio_crypto::{Direction, DmaBuffer, Error, Features, Framing, transport::QueueIndex};

use crate::rig::{FakePlatform, IV, KEY, Rig, Served, Setup, oracle, poll_once};

fn rig(framing: Framing, refuse: Features) -> Rig {
    let options = Rig::options_with(|options| {
        options.framing = framing;
        options.refuse = refuse;
    });
    let setup = Setup {
        framing: options::Framing::OnePerField,
        ..Setup::default()
    };
    let rig = Rig::new(setup, options).unwrap();
    rig.far.drop_what_is_refused();
    rig
}

/// What tells a queue whose device drops requests from one that is broken.
#[test]
fn dropped_requests_stay_in_flight_on_a_device_that_is_not_broken() {
    let rig = rig(Framing::Compact, Features::empty());
    // A *create* that is compact is dropped, too.
    drop(rig.begin_open());
    rig.far.serve(1, usize::MAX);
    assert_eq!(rig.far.log(), [Served::Dropped]);
    rig.device.poll();
    let stats = rig.device.control_stats();
    assert_eq!((stats.in_flight, stats.completed), (1, 0));
    assert_eq!(rig.device.ended(), None);
    // Nothing waits for it for ever: it ends with the device.
    let mut open = rig.begin_open();
    let limit_ns = 1_000_000;
    let drained = rig.device.shutdown(limit_ns).unwrap();
    assert_eq!(drained.in_flight, 2);
    let outcome = poll_once(open.as_mut()).map(|outcome| outcome.map(drop));
    assert_eq!(outcome, Poll::Ready(Err(Error::ShutDown)));
}

#[test]
fn one_descriptor_a_field_is_answered_with_and_without_indirect_tables() {
    for refuse in [Features::empty(), Features::INDIRECT_DESC] {
        let rig = rig(Framing::OnePerField, refuse);
        let session = rig.session(Direction::Encrypt);
        for len in [16, 496, 512, 5000 / 16 * 16] {
            let data = vec![3; len];
            let expected = oracle(&KEY, &IV, &data);
            let mut slice = data.clone();
            let mut request = Box::pin(session.process_slice(&IV, &mut slice));
            assert!(poll_once(request.as_mut()).is_pending());
            rig.far.serve(0, 1);
            assert_eq!(poll_once(request.as_mut()), Poll::Ready(Ok(())));
            drop(request);
            assert!(slice == expected);
            let part = |part: &[u8]| DmaBuffer::<FakePlatform>::from_slice(part).unwrap();
            let list = data.chunks(len / 2).map(part).collect();
            let mut request = Box::pin(session.process_list(&IV, list));
            assert!(poll_once(request.as_mut()).is_pending());
            rig.far.serve(0, 1);
            let Poll::Ready(Ok(list)) = poll_once(request.as_mut()) else {
                panic!("not answered");
            };
            assert!(list.iter().flat_map(|part| part.iter()).eq(&expected));
        }
        assert!(!rig.far.log().contains(&Served::Dropped));
        // Of its 16 descriptors head, IV and status take three.
        let parts = || DmaBuffer::from_slice(&[1; 16]).unwrap();
        let many = (0..7).map(|_| parts()).collect();
        let mut request = Box::pin(session.process_list(&IV, many));
        let Poll::Ready(Err(failed)) = poll_once(request.as_mut()) else {
            panic!("sent");
        };
        let (descriptors, max) = (17, 16);
        assert_eq!(failed.error, Error::TooManyBuffers { descriptors, max });
        assert_eq!(failed.returned.unwrap().len(), 7);
    }
}

#[test]
fn queue_without_room_for_a_request_is_refused() {
    let setup = Setup {
        queue_size: 4,
        ..Setup::default()
    };
    let options = Rig::options_with(|options| options.framing = Framing::OnePerField);
    let refused = Rig::new(setup, options).map(drop);
    let small = Error::QueueTooSmall {
        queue: QueueIndex(0),
        entries: 4,
        needed: 5,
    };
    assert_eq!(refused, Err(small));
}
