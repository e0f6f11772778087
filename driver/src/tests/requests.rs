//! Requests that go well, and those that are refused before they are sent.

use alloc::{boxed::Box, vec, vec::Vec};
use core::{pin::pin, task::Poll};

use crate::{
    Cipher, CipherAlgorithm, Direction, DmaBuffer, Error, Features, Options, Requirement,
    fake::{IV, KEY, Rig, Setup, is_in_memory, oracle, poll_once, run, times},
};

/// NIST SP 800-38A, F.2.1, F.2.3 and F.2.5: the first block.
const NIST: [(&[u8], [u8; 16]); 3] = [
    (
        b"\x2b\x7e\x15\x16\x28\xae\xd2\xa6\xab\xf7\x15\x88\x09\xcf\x4f\x3c",
        *b"\x76\x49\xab\xac\x81\x19\xb2\x46\xce\xe9\x8e\x9b\x12\xe9\x19\x7d",
    ),
    (
        b"\x8e\x73\xb0\xf7\xda\x0e\x64\x52\xc8\x10\xf3\x2b\x80\x90\x79\xe5\
          \x62\xf8\xea\xd2\x52\x2c\x6b\x7b",
        *b"\x4f\x02\x1d\xb2\x43\xbc\x63\x3d\x71\x78\x18\x3a\x9f\xa0\x71\xe8",
    ),
    (
        b"\x60\x3d\xeb\x10\x15\xca\x71\xbe\x2b\x73\xae\xf0\x85\x7d\x77\x81\
          \x1f\x35\x2c\x07\x3b\x61\x08\xd7\x2d\x98\x10\xa3\x09\x14\xdf\xf4",
        *b"\xf5\x8c\x4c\x04\xd6\xe5\xf1\xba\x77\x9e\xab\xfb\x5f\x7b\xfb\xd6",
    ),
];
const NIST_IV: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];
const NIST_PLAINTEXT: [u8; 16] =
    *b"\x6b\xc1\xbe\xe2\x2e\x40\x9f\x96\xe9\x3d\x7e\x11\x73\x93\x17\x2a";

#[test]
fn nist_vectors() {
    let rig = Rig::simple().go();
    run(async {
        for (key, ciphertext) in NIST {
            let encrypt = Cipher::open(
                &rig.device,
                CipherAlgorithm::AesCbc,
                Direction::Encrypt,
                key,
            )
            .await
            .unwrap();
            let decrypt = Cipher::open(
                &rig.device,
                CipherAlgorithm::AesCbc,
                Direction::Decrypt,
                key,
            )
            .await
            .unwrap();
            let mut data = NIST_PLAINTEXT;
            encrypt.process_slice(&NIST_IV, &mut data).await.unwrap();
            assert_eq!(data, ciphertext);
            decrypt.process_slice(&NIST_IV, &mut data).await.unwrap();
            assert_eq!(data, NIST_PLAINTEXT);
        }
    });
}

#[test]
fn every_form_equals_the_oracle() {
    let rig = Rig::simple().go();
    run(async {
        for key_len in [16, 24, 32] {
            let key: Vec<u8> = (0..key_len).collect();
            let session = Cipher::open(
                &rig.device,
                CipherAlgorithm::AesCbc,
                Direction::Encrypt,
                &key,
            )
            .await
            .unwrap();
            for len in [16, 32, 496, 512, 528, 4080, times(65_536, 4096)] {
                let data: Vec<u8> = (0..len).map(|i| (i * 7) as u8).collect();
                let expected = oracle(&key, &IV, &data);
                let mut slice = data.clone();
                session.process_slice(&IV, &mut slice).await.unwrap();
                assert_eq!(slice, expected, "slice of {len}");
                let buffer = DmaBuffer::from_slice(&data).unwrap();
                let buffer = session.process(&IV, buffer).await.unwrap();
                assert_eq!(buffer[..], expected, "in place, {len}");
                let source = DmaBuffer::from_slice(&data).unwrap();
                let destination = DmaBuffer::new(len).unwrap();
                let (source, destination) = session
                    .process_into(&IV, source, destination)
                    .await
                    .unwrap();
                assert_eq!((&source[..], &destination[..]), (&data[..], &expected[..]));
            }
        }
    });
}

#[test]
fn answers_out_of_order_find_their_requests() {
    let rig = Rig::simple();
    let session = rig.session(Direction::Encrypt);
    rig.fake.shuffle(99);
    let rig = rig.go();
    run(async {
        let requests: Vec<_> = (0..60u8)
            .map(|i| {
                let session = &session;
                async move {
                    let mut data = [i; 32];
                    session.process_slice(&IV, &mut data).await.unwrap();
                    assert_eq!(data[..], oracle(&KEY, &IV, &[i; 32]));
                }
            })
            .collect();
        rig.device.batch(join(requests)).await;
    });
}

#[test]
fn requests_side_by_side_have_descriptors_of_their_own_without_tables() {
    let setup = Setup {
        features: Setup::default().features - Features::INDIRECT_DESC,
        ..Setup::default()
    };
    let rig = Rig::new(setup, Rig::options()).unwrap();
    let session = rig.session(Direction::Encrypt);
    let data = |number| vec![number; 32];
    let mut requests: Vec<_> = (0..8)
        .map(|number| {
            let buffer = DmaBuffer::from_slice(&data(number)).unwrap();
            let mut request = Box::pin(session.process(&IV, buffer));
            assert!(poll_once(request.as_mut()).is_pending());
            request
        })
        .collect();
    assert_eq!(rig.fake.serve(0, usize::MAX), 8);
    for (number, request) in (0..).zip(&mut requests) {
        let Poll::Ready(Ok(answer)) = poll_once(request.as_mut()) else {
            panic!("request {number} has no answer");
        };
        assert_eq!(answer[..], oracle(&KEY, &IV, &data(number)));
    }
}

#[test]
fn keys_and_plaintext_do_not_stay_in_device_memory() {
    let rig = Rig::simple();
    let key = *b"not to be found!";
    let secret = *b"nor is this text";
    let mut open = alloc::boxed::Box::pin(Cipher::open(
        &rig.device,
        CipherAlgorithm::AesCbc,
        Direction::Encrypt,
        &key,
    ));
    assert!(poll_once(open.as_mut()).is_pending());
    assert!(is_in_memory(&key), "the test looks in the wrong place");
    rig.fake.serve(1, 1);
    let session = match poll_once(open.as_mut()) {
        core::task::Poll::Ready(Ok(session)) => session,
        _ => panic!("no session"),
    };
    assert!(!is_in_memory(&key), "the key stays behind");
    // Cancelled: emptied by the next caller.
    let mut cancelled = alloc::boxed::Box::pin(Cipher::open(
        &rig.device,
        CipherAlgorithm::AesCbc,
        Direction::Encrypt,
        &key,
    ));
    assert!(poll_once(cancelled.as_mut()).is_pending());
    drop(cancelled);
    rig.serve_all();
    assert!(
        !is_in_memory(&key),
        "the key of a cancelled create stays behind"
    );
    let mut data = secret;
    let mut request = alloc::boxed::Box::pin(session.process_slice(&IV, &mut data));
    assert!(poll_once(request.as_mut()).is_pending());
    rig.fake.serve(0, 1);
    assert!(poll_once(request.as_mut()).is_ready());
    drop(request);
    assert!(
        !is_in_memory(&secret) && !is_in_memory(&data),
        "the text stays behind"
    );
    let buffer = DmaBuffer::<crate::fake::FakePlatform>::from_slice(&secret).unwrap();
    assert!(is_in_memory(&secret));
    drop(buffer);
    let again = DmaBuffer::<crate::fake::FakePlatform>::new(16).unwrap();
    assert_eq!(again[..], [0; 16]);
}

/// Awaits all of them side by side.
pub(super) async fn join<F: Future>(futures: Vec<F>) {
    let mut futures: Vec<_> = futures
        .into_iter()
        .map(|future| Some(alloc::boxed::Box::pin(future)))
        .collect();
    core::future::poll_fn(|context| {
        for place in &mut futures {
            if place
                .as_mut()
                .is_some_and(|future| future.as_mut().poll(context).is_ready())
            {
                *place = None;
            }
        }
        match futures.iter().all(Option::is_none) {
            true => core::task::Poll::Ready(()),
            false => core::task::Poll::Pending,
        }
    })
    .await;
}

#[test]
fn a_batch_rings_once() {
    let rig = Rig::simple();
    let session = rig.session(Direction::Encrypt);
    let mut data = vec![[3u8; 16]; 20];
    let requests: Vec<_> = data
        .iter_mut()
        .map(|data| session.process_slice(&IV, data))
        .collect();
    let before = rig.fake.kicks();
    let mut batch = pin!(rig.device.batch(join(requests)));
    assert!(poll_once(batch.as_mut()).is_pending());
    assert_eq!(rig.fake.kicks() - before, 1);
    assert_eq!(rig.fake.serve(0, usize::MAX), 20);
    assert!(poll_once(batch.as_mut()).is_ready());
}

#[test]
fn lengths_are_refused_before_they_are_sent() {
    let setup = Setup {
        max_size_bytes: 4096,
        ..Setup::default()
    };
    let rig = Rig::new(setup, Rig::options()).unwrap();
    let session = rig.session(Direction::Encrypt);
    let before = rig.device.data_stats().submitted;
    let max_bytes = (4096 - 72 - 16 - 1) / 2 / 16 * 16;
    for (len, requirement) in [
        (0, Requirement::BlocksOf { block_bytes: 16 }),
        (17, Requirement::BlocksOf { block_bytes: 16 }),
        (max_bytes as usize + 16, Requirement::AtMost { max_bytes }),
    ] {
        let buffer = DmaBuffer::new(len).unwrap();
        let failed = run(session.process(&IV, buffer)).unwrap_err();
        assert_eq!(
            failed.error,
            Error::InvalidLength {
                field: "data",
                len_bytes: len,
                requirement
            }
        );
        assert_eq!(failed.returned.unwrap().len(), len);
    }
    assert_eq!(rig.device.data_stats().submitted, before);
    let mut largest = pin!(session.process(&IV, DmaBuffer::new(max_bytes as usize).unwrap()));
    assert!(poll_once(largest.as_mut()).is_pending());
    rig.fake.serve(0, 1);
    assert!(poll_once(largest.as_mut()).is_ready());
}

#[test]
fn full_queue_gives_the_buffer_back_and_waiters_are_served_in_order() {
    let rig = Rig::new(
        Setup::default(),
        Options {
            data_slots: 2,
            ..Rig::options()
        },
    )
    .unwrap();
    let session = rig.session(Direction::Encrypt);
    let request = |byte| {
        alloc::boxed::Box::pin({
            let session = &session;
            async move {
                let mut data = [byte; 16];
                session.process_slice(&IV, &mut data).await.unwrap();
            }
        })
    };
    let mut waiting: Vec<_> = (0..6).map(request).collect();
    for request in &mut waiting {
        assert!(poll_once(request.as_mut()).is_pending());
    }
    let failed =
        run(session.try_process(&IV, DmaBuffer::from_slice(&[5; 16]).unwrap())).unwrap_err();
    assert_eq!(
        (failed.error, failed.returned.unwrap()[..].len()),
        (Error::QueueFull, 16)
    );
    // Waiter 3 leaves the line; the others come in their order.
    drop(waiting.remove(3));
    for _ in 0..10 {
        rig.fake.serve(0, 1);
        waiting.retain_mut(|request| poll_once(request.as_mut()).is_pending());
    }
    assert!(waiting.is_empty());
    let order: Vec<u8> = rig
        .fake
        .log()
        .iter()
        .filter_map(|served| match served {
            crate::fake::Served::Data(_, byte) => Some(*byte),
            _ => None,
        })
        .collect();
    assert_eq!(order, [0, 1, 2, 4, 5]);
}

#[test]
fn sessions_have_a_limit_with_its_number() {
    let rig = Rig::new(
        Setup::default(),
        Options {
            sessions: 3,
            ..Rig::options()
        },
    )
    .unwrap()
    .go();
    run(async {
        let open = || {
            Cipher::open(
                &rig.device,
                CipherAlgorithm::AesCbc,
                Direction::Encrypt,
                &KEY,
            )
        };
        let held = [
            open().await.unwrap(),
            open().await.unwrap(),
            open().await.unwrap(),
        ];
        assert_eq!(open().await.unwrap_err(), Error::TooManySessions { max: 3 });
        for session in held {
            session.close().await.unwrap();
        }
        open().await.unwrap().close().await.unwrap();
    });
    assert_eq!((rig.device.sessions_taken(), rig.fake.sessions()), (0, 0));
}

#[test]
fn recovery_starts_anew_and_old_sessions_are_stale() {
    let rig = Rig::simple().go();
    let old = run(Cipher::open(
        &rig.device,
        CipherAlgorithm::AesCbc,
        Direction::Encrypt,
        &KEY,
    ))
    .unwrap();
    rig.device.recover(1_000_000_000).unwrap();
    assert_eq!(rig.fake.sessions(), 0, "a session was left on the device");
    let mut data = [1; 16];
    assert_eq!(run(old.process_slice(&IV, &mut data)), Err(Error::ShutDown));
    assert_eq!(run(old.close()), Err(Error::ShutDown));
    let new = run(Cipher::open(
        &rig.device,
        CipherAlgorithm::AesCbc,
        Direction::Encrypt,
        &KEY,
    ))
    .unwrap();
    run(new.process_slice(&IV, &mut data)).unwrap();
    assert_eq!(data[..], oracle(&KEY, &IV, &[1; 16]));
}

#[test]
fn recovery_of_a_broken_device_ends_its_sessions() {
    let rig = Rig::simple();
    let sessions: Vec<_> = (0..5).map(|_| rig.session(Direction::Encrypt)).collect();
    let mut request = alloc::boxed::Box::pin(sessions[4].process(&IV, DmaBuffer::new(16).unwrap()));
    assert!(poll_once(request.as_mut()).is_pending());
    rig.fake.need_reset();
    rig.device.poll();
    let rig = rig.go();
    assert_eq!(rig.device.recover(1_000_000_000).unwrap().in_flight, 1);
    // The one with a request in flight is left alone: that request may still run.
    assert_eq!(rig.fake.sessions(), 1);
    drop(request);
    drop(sessions);
    let mut data = [1; 16];
    run(async {
        let new = Cipher::open(
            &rig.device,
            CipherAlgorithm::AesCbc,
            Direction::Encrypt,
            &KEY,
        )
        .await
        .unwrap();
        new.process_slice(&IV, &mut data).await.unwrap();
    });
    assert_eq!(data[..], oracle(&KEY, &IV, &[1; 16]));
}

#[test]
fn closed_queue_keeps_its_slots() {
    let rig = Rig::simple();
    let session = rig.session(Direction::Encrypt);
    rig.device.epoch().data[0].close(Error::ShutDown);
    for _ in 0..times(1000, 70) {
        let mut request = core::pin::pin!(session.try_process(&IV, DmaBuffer::new(16).unwrap()));
        let Poll::Ready(Err(failed)) = poll_once(request.as_mut()) else {
            panic!("a closed queue takes nothing and waits for nothing");
        };
        assert_eq!(failed.error, Error::ShutDown);
    }
    assert_eq!(
        rig.device.epoch().data[0].free_slots(),
        usize::from(Rig::options().data_slots)
    );
}
