//! Devices that use requests in order, and tell of a batch by its last one.

use alloc::{vec, vec::Vec};

use super::requests::join;
use crate::{
    DeviceFault, Direction, Error, Features, Options,
    fake::{Fault, IV, KEY, Rig, Setup, oracle, poll_once, request, run},
};

const FORMATS: [Features; 2] = [Features::empty(), Features::RING_PACKED];

/// A device with rings of this format that uses requests in order.
fn setup(format: Features, batch: usize) -> Setup {
    let features = Setup::default().features - Features::RING_PACKED;
    Setup {
        features: features | format | Features::IN_ORDER,
        batch,
        ..Setup::default()
    }
}

#[test]
fn batches_told_of_by_their_last_request_complete_all_of_them() {
    let without = [
        Features::empty(),
        Features::EVENT_IDX,
        Features::INDIRECT_DESC,
    ];
    for (format, refuse) in FORMATS.into_iter().flat_map(|f| without.map(|w| (f, w))) {
        for batch in [1, 3, 64] {
            let options = Options {
                refuse,
                ..Rig::options()
            };
            let rig = Rig::new(setup(format, batch), options).unwrap().go();
            assert!(rig.device.features().contains(format | Features::IN_ORDER));
            run(async {
                let session = rig.open().await.unwrap();
                let expected = oracle(&KEY, &IV, &[1; 16]);
                for round in 0..40 {
                    let mut data = vec![[1u8; 16]; 1 + 7 * round % 61];
                    let requests: Vec<_> = data
                        .iter_mut()
                        .map(|data| session.process_slice(&IV, data))
                        .collect();
                    rig.device.batch(join(requests)).await;
                    assert!(data.iter().all(|data| data[..] == expected));
                }
                session.close().await.unwrap();
            });
            let stats = rig.device.data_stats();
            assert_eq!(stats.submitted, stats.completed);
            assert_eq!(rig.device.interrupt_stats().unhandled, 0);
        }
    }
}

#[test]
fn batch_that_ends_at_no_request_in_flight_breaks_the_device() {
    for format in FORMATS {
        let rig = Rig::new(setup(format, 1), Rig::options()).unwrap();
        let session = rig.session(Direction::Encrypt);
        let mut requests = [request(&session), request(&session)];
        rig.fake.set_fault(Fault::Id(63));
        rig.fake.serve(0, 1);
        let broken = Error::Broken(DeviceFault::BadUsedId { id: 63 });
        assert_eq!(rig.device.ended(), Some(broken));
        for request in &mut requests {
            assert_eq!(
                poll_once(request.as_mut()),
                core::task::Poll::Ready(Err(broken))
            );
        }
    }
}

#[test]
fn batch_that_ends_beyond_what_the_device_has_used_breaks_it() {
    for format in FORMATS {
        let rig = Rig::new(setup(format, 1), Rig::options()).unwrap();
        let session = rig.session(Direction::Encrypt);
        let _requests = [request(&session), request(&session)];
        // Of the data queue's first two requests the second one is named.
        rig.fake.use_unserved(0, 1);
        let fault = match format == Features::RING_PACKED {
            // A batch of two, neither of which is answered.
            true => DeviceFault::Unanswered { id: 0 },
            // The index has moved by one.
            false => DeviceFault::BadUsedId { id: 1 },
        };
        assert_eq!(rig.device.ended(), Some(Error::Broken(fault)));
    }
}
