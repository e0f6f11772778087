//! Data longer than one request, and data units: cut where the mode allows it.

use core::{num::NonZeroU32, task::Poll};

use virtio_crypto::{
    Cipher, CipherAlgorithm, DeviceFault, Direction, DmaBuffer, Error, Features, Refusal,
    Requirement,
};

use crate::{
    oracle::{CIPHERS, cipher_oracle},
    rig::{FakePlatform, Fault, Rig, Setup, is_in_freed_memory, live_pages, poll_once, run},
    ways::How,
};

const CUTTABLE: [CipherAlgorithm; 8] = [
    CipherAlgorithm::AesEcb,
    CipherAlgorithm::AesCbc,
    CipherAlgorithm::AesCtr,
    CipherAlgorithm::DesEcb,
    CipherAlgorithm::DesCbc,
    CipherAlgorithm::TripleDesEcb,
    CipherAlgorithm::TripleDesCbc,
    CipherAlgorithm::TripleDesCtr,
];

/// A device that takes so little that everything is cut.
pub(crate) fn small(max_size_bytes: u64) -> Rig {
    let setup = Setup {
        max_size_bytes,
        ..Setup::default()
    };
    Rig::new(setup, Rig::options()).unwrap()
}

pub(crate) fn key_of(algorithm: CipherAlgorithm) -> Vec<u8> {
    let len_bytes = *algorithm.key_lens_bytes()[0].start() as u8;
    (1..=len_bytes).collect()
}

pub(crate) fn text(len_bytes: usize) -> Vec<u8> {
    (0..len_bytes).map(|i| (i * 7 + i / 251) as u8).collect()
}

async fn open(rig: &Rig, algorithm: CipherAlgorithm, direction: Direction) -> Cipher<FakePlatform> {
    let key = key_of(algorithm);
    Cipher::open(&rig.device, algorithm, direction, &key)
        .await
        .unwrap()
}

#[test]
fn long_data_equals_the_oracle_for_every_algorithm_that_can_be_cut() {
    // Room for 96 bytes of a block cipher's data, and for a piece that is no whole block.
    for max_size_bytes in [72 + 16 + 1 + 200, 72 + 16 + 1 + 2 * 1013] {
        let rig = small(max_size_bytes).go();
        run(async {
            for algorithm in CUTTABLE {
                for direction in [Direction::Encrypt, Direction::Decrypt] {
                    let session = open(&rig, algorithm, direction).await;
                    let max = session.max_len_bytes();
                    let iv = &[0xff; 16][..algorithm.iv_len_bytes()];
                    let granule = algorithm.granule_len_bytes();
                    for len in [1, max, max + 1, 5 * max, 5 * max + 3, 5000] {
                        let data = text(len.next_multiple_of(granule));
                        let key = key_of(algorithm);
                        let expected = cipher_oracle(algorithm, direction, &key, iv, &data);
                        let mut slice = data.clone();
                        session.process_slice(iv, &mut slice).await.unwrap();
                        let case = (algorithm, direction, data.len(), max);
                        assert!(slice == expected, "slice {case:?}");
                        let buffer = DmaBuffer::from_slice(&data).unwrap();
                        let buffer = session.process_long(iv, buffer).await.unwrap();
                        assert!(buffer[..] == expected, "buffer {case:?}");
                    }
                }
            }
        });
    }
}

#[test]
fn pieces_go_side_by_side_where_they_can() {
    let rig = small(2 * 1024 + 89);
    for (algorithm, direction, at_once) in [
        (CipherAlgorithm::AesCbc, Direction::Encrypt, 1),
        (CipherAlgorithm::AesCbc, Direction::Decrypt, 10),
        (CipherAlgorithm::AesCtr, Direction::Encrypt, 10),
        (CipherAlgorithm::AesEcb, Direction::Encrypt, 10),
    ] {
        let mut session = Box::pin(open(&rig, algorithm, direction));
        assert!(poll_once(session.as_mut()).is_pending());
        rig.far.serve(1, 1);
        let Poll::Ready(session) = poll_once(session.as_mut()) else {
            panic!("no session");
        };
        let iv = &[5; 16][..algorithm.iv_len_bytes()];
        let mut data = text(10 * 1024);
        let mut request = Box::pin(session.process_slice(iv, &mut data));
        while poll_once(request.as_mut()).is_pending() {
            assert_eq!(rig.far.serve(0, usize::MAX), at_once, "{algorithm:?}");
        }
        drop(request);
        assert!(data == cipher_oracle(algorithm, direction, &key_of(algorithm), iv, &text(10_240)));
        drop(session);
        rig.serve_all();
    }
}

#[test]
fn algorithms_with_a_hidden_state_are_not_cut() {
    let setup = Setup {
        features: How::Stateless.features(),
        max_size_bytes: 1000,
        ..Setup::default()
    };
    let rig = Rig::new(setup, Rig::options()).unwrap().go();
    run(async {
        for algorithm in CipherAlgorithm::ALL {
            if CUTTABLE.contains(&algorithm) {
                continue;
            }
            // Also of those that the device does not compute.
            let (direction, key) = (Direction::Encrypt, key_of(algorithm));
            let session = Cipher::stateless(&rig.device, algorithm, direction, &key).unwrap();
            let iv = &[1; 16][..algorithm.iv_len_bytes()];
            let max = session.max_len_bytes();
            let expected = Error::InvalidLength {
                field: "data",
                len_bytes: max + 1,
                requirement: Requirement::AtMost {
                    max_bytes: max as u64,
                },
            };
            let mut data = text(max + 1);
            let refused = session.process_slice(iv, &mut data).await;
            assert_eq!(refused, Err(expected), "{algorithm:?}");
            let buffer = DmaBuffer::new(max + 1).unwrap();
            let failed = session.process_long(iv, buffer).await.unwrap_err();
            assert_eq!(failed.error, expected);
            assert_eq!(failed.returned.unwrap().len(), max + 1);
            let whole = session.process_slice(iv, &mut data[..max]).await;
            let refused = Err(Error::Refused(Refusal::NotSupported));
            let is_computed = CIPHERS.contains(&algorithm);
            assert_eq!(whole, if is_computed { Ok(()) } else { refused });
        }
    });
}

#[test]
fn single_requests_are_not_cut() {
    let rig = small(1000).go();
    run(async {
        let session = open(&rig, CipherAlgorithm::AesCbc, Direction::Decrypt).await;
        let (iv, max) = ([0; 16], session.max_len_bytes());
        let at_most = |error| match error {
            Error::InvalidLength { requirement, .. } => {
                let max_bytes = max as u64;
                assert_eq!(requirement, Requirement::AtMost { max_bytes });
            }
            other => panic!("{other:?}"),
        };
        let buffer = || DmaBuffer::new(max + 16).unwrap();
        at_most(session.process(&iv, buffer()).await.unwrap_err().error);
        at_most(session.try_process(&iv, buffer()).await.unwrap_err().error);
        let into = session.process_into(&iv, buffer(), buffer()).await;
        at_most(into.unwrap_err().error);
        let list = [buffer()].into();
        at_most(session.process_list(&iv, list).await.unwrap_err().error);
        let batch = session.process_batch([(iv, buffer())].into()).await;
        for result in batch.unwrap() {
            at_most(result.unwrap_err().error);
        }
    });
}

#[test]
fn device_without_room_for_a_block_is_an_error() {
    let rig = small(72 + 16 + 1 + 31).go();
    run(async {
        for algorithm in [CipherAlgorithm::AesCbc, CipherAlgorithm::AesCtr] {
            let session = open(&rig, algorithm, Direction::Encrypt).await;
            let outcome = session.process_slice(&[0; 16], &mut [0; 32]).await;
            assert!(matches!(
                outcome,
                Err(Error::InvalidLength {
                    requirement: Requirement::AtMost { max_bytes: 0 | 15 },
                    ..
                })
            ));
        }
    });
}

#[test]
fn kernel_may_ask_for_shorter_requests() {
    let options = Rig::options_with(|options| options.max_size_bytes = 1000);
    let rig = Rig::new(Setup::default(), options).unwrap().go();
    run(async {
        let session = open(&rig, CipherAlgorithm::AesCbc, Direction::Encrypt).await;
        assert_eq!(session.max_len_bytes(), 448);
    });
}

#[test]
fn failed_piece_leaves_nothing_of_what_the_device_made() {
    let rig = small(2 * 1024 + 89);
    for (direction, refused_at) in [(Direction::Encrypt, 3), (Direction::Decrypt, 3)] {
        let session = rig.session(direction);
        for in_slice in [true, false] {
            let mut data = text(8 * 1024);
            let buffer = DmaBuffer::from_slice(&data).unwrap();
            let mut request: core::pin::Pin<Box<dyn Future<Output = _>>> = if in_slice {
                let data = &mut data;
                let session = &session;
                Box::pin(async move { session.process_slice(&[0; 16], data).await.map(|()| 0) })
            } else {
                let session = &session;
                Box::pin(async move {
                    let failed = session.process_long(&[0; 16], buffer).await.unwrap_err();
                    let given = failed.returned.unwrap();
                    assert_eq!(given.len(), 8 * 1024, "in one piece again");
                    // In turn, those behind the refused one have not been sent.
                    let had_bytes = match direction {
                        Direction::Encrypt => 1024 * (refused_at + 1),
                        Direction::Decrypt => 8 * 1024,
                    };
                    assert!(given[..had_bytes].iter().all(|byte| *byte == 0));
                    assert!(given[had_bytes..] == text(8 * 1024)[had_bytes..]);
                    Err(failed.error)
                })
            };
            let mut served = 0;
            let outcome = loop {
                if let Poll::Ready(outcome) = poll_once(request.as_mut()) {
                    break outcome;
                }
                if served == refused_at {
                    rig.far.set_fault(Fault::Status(1));
                }
                served += rig.far.serve(0, 1);
            };
            assert_eq!(outcome, Err(Error::Refused(virtio_crypto::Refusal::Error)));
            drop(request);
            assert!(data == text(8 * 1024));
        }
        drop(session);
        rig.serve_all();
    }
}

#[test]
fn failed_unit_leaves_nothing_of_what_the_device_made() {
    let rig = Rig::simple().go();
    run(async {
        let session = open(&rig, CipherAlgorithm::AesXts, Direction::Decrypt).await;
        for fault in [Fault::Status(1), Fault::Length(3)] {
            rig.far.set_fault(fault);
            let buffer = DmaBuffer::from_slice(&text(8 * 512)).unwrap();
            let failed = session.process_units(7, 512, buffer).await.unwrap_err();
            let given = failed.returned.unwrap();
            assert_eq!(given.len(), 8 * 512, "in one piece again");
            assert!(given.iter().all(|byte| *byte == 0), "{fault:?}");
            rig.far.set_fault(fault);
            let mut data = text(8 * 512);
            let refused = session.process_units_slice(7, 512, &mut data).await;
            assert!(refused.is_err() && data == text(8 * 512), "{fault:?}");
        }
    });
}

#[test]
fn cancelled_pieces_stay_with_the_device_and_leave_nothing() {
    let rig = small(2 * 1024 + 89);
    let before = live_pages();
    let secret = *b"these 16 bytes are not to be left behind";
    for direction in [Direction::Encrypt, Direction::Decrypt] {
        for polls in 0..4 {
            let session = rig.session(direction);
            let mut data = text(8 * 1024);
            data[4000..4040].copy_from_slice(&secret);
            let original = data.clone();
            let mut request = Box::pin(session.process_slice(&[0; 16], &mut data));
            for _ in 0..polls {
                assert!(poll_once(request.as_mut()).is_pending());
                rig.far.serve(0, 1);
            }
            drop(request);
            assert!(data == original, "changed by a call that was cancelled");
            let buffer = DmaBuffer::from_slice(&data).unwrap();
            let mut request = Box::pin(session.process_long(&[0; 16], buffer));
            for _ in 0..polls {
                assert!(poll_once(request.as_mut()).is_pending());
                rig.far.serve(0, 1);
            }
            drop(request);
            drop(session);
            rig.serve_all();
            assert_eq!(live_pages(), before, "{direction:?}, {polls} polls");
            assert_eq!((rig.far.sessions(), rig.device.sessions_taken()), (0, 0));
        }
    }
    assert!(!is_in_freed_memory(&secret), "freed without wiping");
}

#[test]
fn broken_device_keeps_the_pages_of_a_cut_buffer() {
    let rig = small(2 * 1024 + 89);
    let session = rig.session(Direction::Decrypt);
    let before = live_pages();
    let buffer = DmaBuffer::from_slice(&text(8 * 1024)).unwrap();
    let mut request = Box::pin(session.process_long(&[0; 16], buffer));
    assert!(poll_once(request.as_mut()).is_pending());
    rig.far.serve(0, 2);
    rig.far.need_reset();
    rig.device.poll();
    let Poll::Ready(Err(failed)) = poll_once(request.as_mut()) else {
        panic!("waits for ever");
    };
    assert_eq!(failed.error, Error::Broken(DeviceFault::NeedsReset));
    assert!(failed.returned.is_none(), "the device has some of it");
    drop(request);
    assert_eq!(live_pages() - before, 2, "pieces share the buffer's pages");
    rig.device.recover(0).unwrap();
    drop(session);
    // Six pieces were in flight at the reset: their pages are never used again.
    assert!(live_pages() >= 2);
}

#[test]
fn data_units_have_their_numbers_as_tweaks() {
    let rig = Rig::simple().go();
    let algorithm = CipherAlgorithm::AesXts;
    run(async {
        for direction in [Direction::Encrypt, Direction::Decrypt] {
            let session = open(&rig, algorithm, direction).await;
            for (first, unit_len, count) in [
                (0u64, 512, 1),
                (0, 512, 9),
                (7, 4096, 5),
                (u64::MAX - 1, 512, 4),
                (3, 16, 100),
                (3, 520, 10),
            ] {
                let data = text(unit_len * count);
                let mut expected = Vec::new();
                for (unit, number) in data.chunks(unit_len).zip(u128::from(first)..) {
                    let tweak = number.to_le_bytes();
                    let key = key_of(algorithm);
                    expected.extend(cipher_oracle(algorithm, direction, &key, &tweak, unit));
                }
                let mut slice = data.clone();
                session
                    .process_units_slice(first, unit_len, &mut slice)
                    .await
                    .unwrap();
                assert!(slice == expected, "{first} {unit_len} {count}");
                let buffer = DmaBuffer::from_slice(&data).unwrap();
                let buffer = session.process_units(first, unit_len, buffer).await;
                assert!(buffer.unwrap()[..] == expected);
            }
        }
    });
}

#[test]
fn numbers_of_data_units_have_steps() {
    let rig = Rig::simple().go();
    let (algorithm, direction) = (CipherAlgorithm::AesXts, Direction::Encrypt);
    run(async {
        let session = open(&rig, algorithm, direction).await;
        for (step, first) in [(1, 5), (8, 16), (u32::MAX, u64::MAX)] {
            let data = text(4096 * 3);
            let mut expected = Vec::new();
            for (unit, count) in data.chunks(4096).zip(0..) {
                let tweak = (u128::from(first) + count * u128::from(step)).to_le_bytes();
                let key = key_of(algorithm);
                expected.extend(cipher_oracle(algorithm, direction, &key, &tweak, unit));
            }
            let buffer = DmaBuffer::from_slice(&data).unwrap();
            let step = NonZeroU32::new(step).unwrap();
            let buffer = session.process_units_by(step, first, 4096, buffer).await;
            assert!(buffer.unwrap()[..] == expected, "{step} {first}");
        }
    });
}

#[test]
fn data_units_share_one_kick() {
    let rig = Rig::simple();
    let mut session = Box::pin(open(&rig, CipherAlgorithm::AesXts, Direction::Encrypt));
    let _ = poll_once(session.as_mut());
    rig.far.serve(1, 1);
    let Poll::Ready(session) = poll_once(session.as_mut()) else {
        panic!("no session");
    };
    let pages = live_pages();
    let before = rig.far.kicks();
    let mut sectors = text(32 * 512);
    let mut request = Box::pin(session.process_units_slice(100, 512, &mut sectors));
    assert!(poll_once(request.as_mut()).is_pending());
    assert_eq!(live_pages() - pages, 4, "more memory than the sectors have");
    assert_eq!(rig.far.serve(0, usize::MAX), 32);
    assert!(poll_once(request.as_mut()).is_ready());
    assert_eq!(rig.far.kicks() - before, 1);
}

#[test]
fn data_units_that_do_not_fit_are_refused() {
    let rig = small(2 * 4096 + 89).go();
    run(async {
        let cbc = open(&rig, CipherAlgorithm::AesCbc, Direction::Encrypt).await;
        let unfit = Error::UnfitAlgorithm {
            algorithm: CipherAlgorithm::AesCbc,
        };
        let outcome = cbc.process_units_slice(0, 512, &mut [0; 512]).await;
        assert_eq!(outcome, Err(unfit));
        let xts = open(&rig, CipherAlgorithm::AesXts, Direction::Encrypt).await;
        let data = |len_bytes, requirement| Error::InvalidLength {
            field: "data",
            len_bytes,
            requirement,
        };
        let whole = |block_bytes| Requirement::BlocksOf { block_bytes };
        for (unit_len, len, expected) in [
            (0, 512, data(0, Requirement::AtLeast { min_bytes: 16 })),
            (15, 30, data(15, Requirement::AtLeast { min_bytes: 16 })),
            (
                8192,
                8192,
                data(8192, Requirement::AtMost { max_bytes: 4096 }),
            ),
            (512, 0, data(0, whole(512))),
            (512, 700, data(700, whole(512))),
        ] {
            let outcome = xts.process_units_slice(0, unit_len, &mut text(len)).await;
            assert_eq!(outcome, Err(expected));
            let buffer = DmaBuffer::new(len).unwrap();
            let failed = xts.process_units(0, unit_len, buffer).await.unwrap_err();
            assert_eq!(
                (failed.error, failed.returned.unwrap().len()),
                (expected, len)
            );
        }
    });
}

#[test]
fn requests_without_a_session_are_cut_and_batched_too() {
    let setup = Setup {
        features: Setup::default().features
            | Features::REVISION_1
            | Features::CIPHER_STATELESS_MODE,
        max_size_bytes: 2000,
        ..Setup::default()
    };
    let rig = Rig::new(setup, Rig::options()).unwrap().go();
    run(async {
        for algorithm in CUTTABLE {
            for direction in [Direction::Encrypt, Direction::Decrypt] {
                let key = key_of(algorithm);
                let cipher = Cipher::stateless(&rig.device, algorithm, direction, &key).unwrap();
                let iv = &[0xff; 16][..algorithm.iv_len_bytes()];
                let mut data = text(5 * cipher.max_len_bytes().next_multiple_of(16));
                let expected = cipher_oracle(algorithm, direction, &key, iv, &data);
                let buffer = DmaBuffer::from_slice(&data).unwrap();
                cipher.process_slice(iv, &mut data).await.unwrap();
                assert!(data == expected, "slice {algorithm:?}");
                let buffer = cipher.process_long(iv, buffer).await.unwrap();
                assert!(buffer[..] == expected, "buffer {algorithm:?}");
            }
        }
    });
    assert_eq!(rig.far.sessions(), 0);
}
