//! Every cipher algorithm, in every form of request.

use core::task::Poll;

use virtio_crypto::{
    Cipher, CipherAlgorithm, Direction, DmaBuffer, Error, Failed, Features, Refusal, Requirement,
};

use crate::{
    long::{key_of, text},
    oracle::{CIPHERS, cipher_oracle},
    rig::{
        FakePlatform, Fault, IV, KEY, MAX_CIPHER_KEY_LEN, Rig, Setup, live_pages, oracle,
        poll_once, request, run,
    },
    ways::{EVERY_WAY, How, buffer, concat, times},
};

/// Lengths that the algorithm takes.
fn lens(algorithm: CipherAlgorithm) -> impl Iterator<Item = usize> {
    let (granule, min) = (algorithm.granule_len_bytes(), algorithm.min_len_bytes());
    let lens = [
        1, 8, 15, 16, 17, 31, 33, 100, 496, 511, 512, 513, 1000, 4097,
    ];
    let fit = move |len: &usize| *len >= min && len.is_multiple_of(granule);
    lens.into_iter().filter(fit).chain([16 * granule])
}

fn buffers(parts: &[&[u8]]) -> Vec<DmaBuffer<FakePlatform>> {
    let buffer = |part: &&[u8]| DmaBuffer::from_slice(part).unwrap();
    parts.iter().map(buffer).collect()
}

fn lens_of(buffers: &[DmaBuffer<FakePlatform>]) -> Vec<usize> {
    buffers.iter().map(|buffer| buffer.len()).collect()
}

#[test]
fn every_algorithm_key_and_form_equals_the_oracle() {
    let rig = Rig::simple().go();
    run(async {
        for algorithm in CIPHERS {
            let iv = &IV[..algorithm.iv_len_bytes()];
            for key_len in algorithm
                .key_lens_bytes()
                .iter()
                .flat_map(|lens| [*lens.start(), *lens.end()])
                .map(|len| len.min(MAX_CIPHER_KEY_LEN as usize))
            {
                // Ciphers may give halves that are equal a meaning of their own.
                let key: Vec<u8> = (0..key_len).map(|i| i as u8 ^ 0x5a).collect();
                for direction in [Direction::Encrypt, Direction::Decrypt] {
                    let session = Cipher::open(&rig.device, algorithm, direction, &key)
                        .await
                        .unwrap();
                    for len in lens(algorithm) {
                        let data = text(len);
                        let expected = cipher_oracle(algorithm, direction, &key, iv, &data);
                        let case = (algorithm, direction, key_len, len);
                        let mut slice = data.clone();
                        session.process_slice(iv, &mut slice).await.unwrap();
                        assert!(slice == expected, "slice {case:?}");
                        let [buffer, source] = [(); 2].map(|()| DmaBuffer::from_slice(&data));
                        let buffer = session.process(iv, buffer.unwrap()).await.unwrap();
                        assert!(buffer[..] == expected, "in place {case:?}");
                        let (source, destination) = (source.unwrap(), DmaBuffer::new(len));
                        let into = session.process_into(iv, source, destination.unwrap());
                        let (source, destination) = into.await.unwrap();
                        assert!(
                            source[..] == data && destination[..] == expected,
                            "{case:?}"
                        );
                        // Parts that end within blocks, and two bytes if it has so many.
                        let (first, rest) = data.split_at(len.min(1));
                        let (second, third) = rest.split_at(rest.len() / 3);
                        let parts: Vec<_> = [first, second, third]
                            .into_iter()
                            .filter(|part| !part.is_empty())
                            .collect();
                        let list = session.process_list(iv, buffers(&parts)).await.unwrap();
                        assert_eq!(
                            lens_of(&list),
                            parts.iter().map(|part| part.len()).collect::<Vec<_>>()
                        );
                        let together: Vec<u8> =
                            list.iter().flat_map(|part| part.to_vec()).collect();
                        assert!(together == expected, "list {case:?}");
                    }
                }
            }
        }
    });
}

#[test]
fn keys_and_ivs_of_other_lengths_are_refused() {
    let rig = How::Stateless.rig().go();
    run(async {
        for algorithm in CipherAlgorithm::ALL {
            let lens_bytes = algorithm.key_lens_bytes();
            let submitted = rig.device.control_stats().submitted;
            for len in (0..=300).step_by(times(1, 7)) {
                if lens_bytes.iter().any(|lens| lens.contains(&len)) {
                    continue;
                }
                let key = vec![1; len];
                let opened = Cipher::open(&rig.device, algorithm, Direction::Encrypt, &key).await;
                let expected = Error::InvalidLength {
                    field: "key",
                    len_bytes: len,
                    requirement: Requirement::OneOf { lens_bytes },
                };
                assert_eq!(opened.map(drop), Err(expected), "{algorithm:?}");
            }
            assert_eq!(rig.device.control_stats().submitted, submitted);

            // Also of those that the device does not compute.
            let (direction, key) = (Direction::Encrypt, key_of(algorithm));
            let session = Cipher::stateless(&rig.device, algorithm, direction, &key).unwrap();
            let submitted = rig.device.data_stats().submitted;
            for len in 0..=32 {
                let len_bytes = algorithm.iv_len_bytes();
                if len == len_bytes {
                    continue;
                }
                let expected = Error::InvalidLength {
                    field: "IV",
                    len_bytes: len,
                    requirement: Requirement::Exactly { len_bytes },
                };
                let iv = vec![0; len];
                let buffer = || DmaBuffer::new(48).unwrap();
                let outcome = session.process_slice(&iv, &mut [0; 48]).await;
                assert_eq!(outcome, Err(expected), "{algorithm:?}");
                let outcome = session.process_slice(&iv, &mut vec![0; 1 << 20]).await;
                assert_eq!(outcome, Err(expected), "{algorithm:?}");
                let list = vec![buffer(), buffer()];
                for error in [
                    session.process(&iv, buffer()).await.unwrap_err().error,
                    session.try_process(&iv, buffer()).await.unwrap_err().error,
                    session.process_long(&iv, buffer()).await.unwrap_err().error,
                    session.process_list(&iv, list).await.unwrap_err().error,
                ] {
                    assert_eq!(error, expected, "{algorithm:?}");
                }
            }
            assert_eq!(rig.device.data_stats().submitted, submitted);
        }
    });
}

#[test]
fn parts_of_blocks_go_where_the_mode_takes_them() {
    let rig = How::Stateless.rig().go();
    run(async {
        for algorithm in CipherAlgorithm::ALL {
            let (direction, key) = (Direction::Encrypt, key_of(algorithm));
            let session = Cipher::stateless(&rig.device, algorithm, direction, &key).unwrap();
            let is_computed = CIPHERS.contains(&algorithm);
            let iv = &IV[..algorithm.iv_len_bytes()];
            let (granule, min) = (algorithm.granule_len_bytes(), algorithm.min_len_bytes());
            for len in 0..50 {
                let outcome = session.process_slice(iv, &mut text(len)).await;
                let fits = len > 0 && len >= min && len.is_multiple_of(granule);
                let expected = match (fits, is_computed) {
                    (true, true) => matches!(outcome, Ok(())),
                    (true, false) => outcome == Err(Error::Refused(Refusal::NotSupported)),
                    (false, _) => matches!(outcome, Err(Error::InvalidLength { .. })),
                };
                assert!(expected, "{algorithm:?} {len}: {outcome:?}");
            }
        }
        // QEMU takes none in counter mode, and says so.
        rig.far.want_whole_blocks();
        let key = key_of(CipherAlgorithm::AesCtr);
        let session = Cipher::open(
            &rig.device,
            CipherAlgorithm::AesCtr,
            Direction::Encrypt,
            &key,
        )
        .await
        .unwrap();
        let mut data = text(17);
        let refused = session.process_slice(&IV, &mut data).await;
        assert_eq!(refused, Err(Error::Refused(Refusal::Error)));
        assert_eq!(data, text(17));
    });
}

#[test]
fn list_comes_back_in_order_with_every_error() {
    let rig = Rig::simple();
    let session = rig.session(Direction::Encrypt);
    let list = |lens: &[usize]| -> Vec<DmaBuffer<FakePlatform>> {
        lens.iter()
            .map(|len| DmaBuffer::new(*len).unwrap())
            .collect()
    };
    let submitted = rig.device.data_stats().submitted;
    let blocks = Requirement::BlocksOf { block_bytes: 16 };
    let at_least = Requirement::AtLeast { min_bytes: 1 };
    for (lens, field, len_bytes, requirement) in [
        (&[][..], "data", 0, blocks),
        (&[0], "data", 0, blocks),
        (&[16, 1], "data", 17, blocks),
        (&[5, 4, 6], "data", 15, blocks),
        (&[0, 16], "buffer", 0, at_least),
        (&[16, 0], "buffer", 0, at_least),
        (&[5, 0, 11], "buffer", 0, at_least),
    ] {
        let failed = run(session.process_list(&IV, list(lens))).unwrap_err();
        let expected = Error::InvalidLength {
            field,
            len_bytes,
            requirement,
        };
        assert_eq!(failed.error, expected, "{lens:?}");
        assert_eq!(lens_of(&failed.returned.unwrap()), lens);
    }
    assert_eq!(rig.device.data_stats().submitted, submitted);

    // The device's own refusal.
    let mut request = Box::pin(session.process_list(&IV, list(&[1, 2, 13])));
    assert!(poll_once(request.as_mut()).is_pending());
    rig.far.set_fault(Fault::Status(1));
    rig.far.serve(0, 1);
    let Poll::Ready(Err(Failed {
        error, returned, ..
    })) = poll_once(request.as_mut())
    else {
        panic!("it was answered");
    };
    assert_eq!(error, Error::Refused(Refusal::Error));
    assert_eq!(lens_of(&returned.unwrap()), [1, 2, 13]);

    // A shutdown, before it was sent.
    rig.device.shutdown(0).unwrap();
    let failed = run(session.process_list(&IV, list(&[4, 12]))).unwrap_err();
    assert_eq!(failed.error, Error::ShutDown);
    assert_eq!(lens_of(&failed.returned.unwrap()), [4, 12]);
}

#[test]
fn list_of_too_many_buffers_comes_back() {
    let indirect = Setup::default();
    let mut direct = Setup::default();
    direct.features.remove(Features::INDIRECT_DESC);
    for (setup, max, most) in [(indirect, 16, 7), (direct, 8, 3)] {
        let options = Rig::options_with(|options| options.data_slots = 2);
        let rig = Rig::new(setup, options).unwrap();
        let session = rig.session(Direction::Encrypt);
        let pages = live_pages();
        for count in [most + 1, 20, 400] {
            let list: Vec<_> = (0..count).map(|_| DmaBuffer::new(16).unwrap()).collect();
            let failed = run(session.process_list(&IV, list)).unwrap_err();
            let descriptors = 2 + 2 * count;
            assert_eq!(failed.error, Error::TooManyBuffers { descriptors, max });
            assert_eq!(failed.returned.unwrap().len(), count);
        }
        assert_eq!(live_pages(), pages);
        // Both slots are free.
        let sent = [(); 2].map(|()| request(&session));
        assert_eq!(rig.device.data_stats().in_flight, 2);
        assert_eq!(rig.far.serve(0, 2), 2);
        drop(sent);
        // The most that fit do go.
        let data = text(16 * most);
        let list = data.chunks(16).collect::<Vec<_>>();
        let mut request = Box::pin(session.process_list(&IV, buffers(&list)));
        assert!(poll_once(request.as_mut()).is_pending());
        assert_eq!(rig.far.serve(0, 1), 1);
        let Poll::Ready(Ok(list)) = poll_once(request.as_mut()) else {
            panic!("it was answered");
        };
        let together: Vec<u8> = list.iter().flat_map(|part| part.to_vec()).collect();
        assert_eq!(together, oracle(&KEY, &IV, &data));
    }
}

#[test]
fn cancelled_list_stays_with_the_device() {
    let options = Rig::options_with(|options| options.data_slots = 2);
    let rig = Rig::new(Setup::default(), options).unwrap();
    let session = rig.session(Direction::Encrypt);
    let before = live_pages();
    let list = (0..5).map(|_| DmaBuffer::new(4096).unwrap()).collect();
    let mut request = Box::pin(session.process_list(&IV, list));
    assert!(poll_once(request.as_mut()).is_pending());
    drop(request);
    assert_eq!(live_pages() - before, 5);
    rig.far.serve(0, 1);
    rig.device.poll();
    assert_eq!(live_pages(), before);
}

/// Half an answer is none, in every mode and form; what was only read stays as it was.
#[test]
fn what_does_not_count_is_wiped() {
    for how in EVERY_WAY {
        let rig = how.rig().go();
        let (device, algorithm) = (&rig.device, CipherAlgorithm::AesCbc);
        let (direction, plain) = (Direction::Encrypt, [9; 64]);
        run(async {
            let session = match how.is_stateless() {
                true => Cipher::stateless(device, algorithm, direction, &KEY),
                false => Cipher::open(device, algorithm, direction, &KEY).await,
            };
            let session = session.unwrap();
            for fault in [Fault::Status(1), Fault::Length(3)] {
                rig.far.set_fault(fault);
                let failed = session.process(&IV, buffer(&plain)).await.unwrap_err();
                assert_eq!(failed.returned.unwrap()[..], [0; 64], "{how:?} {fault:?}");
                rig.far.set_fault(fault);
                let list = buffers(&[&plain[..16], &plain[16..]]);
                let failed = session.process_list(&IV, list).await.unwrap_err();
                assert_eq!(
                    concat(&failed.returned.unwrap()),
                    [0; 64],
                    "{how:?} {fault:?}"
                );
                rig.far.set_fault(fault);
                let sent = session.process_into(&IV, buffer(&plain), buffer(&plain));
                let (source, destination) = sent.await.unwrap_err().returned.unwrap();
                assert_eq!((&source[..], &destination[..]), (&plain[..], &[0; 64][..]));
                rig.far.set_fault(fault);
                let requests = vec![(IV, buffer(&plain)), (IV, buffer(&plain))];
                let mut results = session.process_batch(requests).await.unwrap();
                let whole = results.pop().unwrap().unwrap();
                assert_eq!(whole[..], oracle(&KEY, &IV, &plain));
                let failed = results.pop().unwrap().unwrap_err();
                assert_eq!(failed.returned.unwrap()[..], [0; 64], "{how:?} {fault:?}");
                rig.far.set_fault(fault);
                let mut slice = plain;
                session.process_slice(&IV, &mut slice).await.unwrap_err();
                assert_eq!(slice, plain, "{how:?} {fault:?}");
            }
        });
    }
}
