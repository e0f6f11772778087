//! Streams: pieces of any length make what one call makes.

use core::task::Poll;
use std::sync::Arc;

use virtio_crypto::{Cipher, CipherAlgorithm, CipherStream, Direction, Error, Requirement};

use crate::{
    checks::random::Random,
    long::{key_of, small, text},
    oracle::cipher_oracle,
    rig::{Fault, IV, Rig, poll_once, run},
    ways::How,
};

const COUNTERS: [CipherAlgorithm; 2] = [CipherAlgorithm::AesCtr, CipherAlgorithm::TripleDesCtr];
const CHAINS: [CipherAlgorithm; 3] = [
    CipherAlgorithm::AesCbc,
    CipherAlgorithm::DesCbc,
    CipherAlgorithm::TripleDesCbc,
];

#[test]
fn counter_stream_takes_any_number_of_bytes() {
    // Cut by the device too, and not.
    for rig in [|| small(72 + 16 + 1 + 2 * 700), Rig::simple] {
        let rig = rig().go();
        rig.far.want_whole_blocks();
        let mut random = Random::new(0x1234_5678_9abc_def1);
        run(async {
            for algorithm in COUNTERS {
                for direction in [Direction::Encrypt, Direction::Decrypt] {
                    let key = key_of(algorithm);
                    let session = Cipher::open(&rig.device, algorithm, direction, &key)
                        .await
                        .unwrap();
                    // It wraps within the first call, at a cut, and in a last, partial block.
                    for before_wrap in [0, 1, 2, 40, 87, 5000] {
                        let block = algorithm.block_len_bytes();
                        let mut iv = vec![0xff; block];
                        let low = u64::MAX - before_wrap;
                        iv[block - 8..].copy_from_slice(&low.to_be_bytes());
                        let data = text(9000);
                        let expected = cipher_oracle(algorithm, direction, &key, &iv, &data);
                        let mut stream = CipherStream::new(&session, &iv).unwrap();
                        let mut streamed = data.clone();
                        let mut rest = &mut streamed[..];
                        while !rest.is_empty() {
                            let most = [2, 20, 600, 3000][random.below(4)];
                            let len = random.below(most).min(rest.len());
                            let (piece, behind) = rest.split_at_mut(len);
                            stream.process(piece).await.unwrap();
                            rest = behind;
                        }
                        let case = (algorithm, direction, before_wrap);
                        assert!(streamed == expected, "{case:?}");
                    }
                }
            }
        });
    }
}

#[test]
fn chaining_stream_goes_on_with_the_last_ciphertext() {
    for rig in [|| small(72 + 16 + 1 + 2 * 700), Rig::simple] {
        let rig = rig().go();
        run(async {
            for algorithm in CHAINS {
                for direction in [Direction::Encrypt, Direction::Decrypt] {
                    let key = key_of(algorithm);
                    let session = Cipher::open(&rig.device, algorithm, direction, &key)
                        .await
                        .unwrap();
                    let iv = &IV[..algorithm.iv_len_bytes()];
                    let mut data = text(16 * 400);
                    let expected = cipher_oracle(algorithm, direction, &key, iv, &data);
                    let mut stream = CipherStream::new(Arc::new(session), iv).unwrap();
                    let mut at = 0;
                    for blocks in [1, 1, 5, 0, 100, 200, 93] {
                        let piece = &mut data[at..at + 16 * blocks];
                        stream.process(piece).await.unwrap();
                        at += 16 * blocks;
                    }
                    assert!(data == expected, "{algorithm:?} {direction:?}");
                    assert_eq!(stream.session().algorithm(), algorithm);
                    drop(stream.into_session());
                }
            }
        });
    }
}

#[test]
fn keystream_that_is_left_takes_no_request() {
    let rig = Rig::simple().go();
    run(async {
        let algorithm = CipherAlgorithm::AesCtr;
        let key = key_of(algorithm);
        let session = Cipher::open(&rig.device, algorithm, Direction::Encrypt, &key)
            .await
            .unwrap();
        let mut stream = CipherStream::new(session, &IV).unwrap();
        let before = rig.device.data_stats().submitted;
        let mut data = text(48);
        for byte in data.chunks_mut(1) {
            stream.process(byte).await.unwrap();
        }
        stream.process(&mut []).await.unwrap();
        assert_eq!(rig.device.data_stats().submitted - before, 3);
        let expected = cipher_oracle(algorithm, Direction::Encrypt, &key, &IV, &text(48));
        assert_eq!(data, expected);
    });
}

#[test]
fn cancelled_or_failed_call_leaves_the_stream_where_it_was() {
    let rig = Rig::simple();
    for algorithm in [CipherAlgorithm::AesCtr, CipherAlgorithm::AesCbc] {
        let key = key_of(algorithm);
        let mut open = Box::pin(Cipher::open(
            &rig.device,
            algorithm,
            Direction::Encrypt,
            &key,
        ));
        assert!(poll_once(open.as_mut()).is_pending());
        rig.far.serve(1, usize::MAX);
        let Poll::Ready(Ok(session)) = poll_once(open.as_mut()) else {
            panic!("no session");
        };
        let unit = match algorithm {
            CipherAlgorithm::AesCtr => 13,
            _ => 16,
        };
        let mut stream = CipherStream::new(&session, &IV).unwrap();
        let mut data: Vec<u8> = text(unit * 60);
        for (number, piece) in data.chunks_mut(unit * 3).enumerate() {
            let original = piece.to_vec();
            // Dropped before, with and after the answer; refused.
            if number % 4 < 3 {
                let mut call = Box::pin(stream.process(piece));
                if number % 4 > 0 {
                    assert!(poll_once(call.as_mut()).is_pending());
                }
                if number % 4 > 1 {
                    rig.far.serve(0, 1);
                }
            } else {
                rig.far.set_fault(Fault::Status(1));
                let mut call = Box::pin(stream.process(piece));
                assert!(poll_once(call.as_mut()).is_pending());
                rig.far.serve(0, 1);
                assert!(matches!(
                    poll_once(call.as_mut()),
                    Poll::Ready(Err(Error::Refused(_)))
                ));
            }
            assert_eq!(piece, original, "changed without a result");
            rig.serve_all();
            let mut call = Box::pin(stream.process(piece));
            assert!(poll_once(call.as_mut()).is_pending());
            rig.far.serve(0, 1);
            assert!(matches!(poll_once(call.as_mut()), Poll::Ready(Ok(()))));
        }
        let expected = cipher_oracle(algorithm, Direction::Encrypt, &key, &IV, &text(unit * 60));
        assert!(data == expected, "{algorithm:?}");
    }
}

#[test]
fn streams_are_for_modes_with_a_state_that_an_iv_tells() {
    let rig = How::Stateless.rig().go();
    run(async {
        for algorithm in CipherAlgorithm::ALL {
            // Also of those that the device does not compute.
            let (direction, key) = (Direction::Encrypt, key_of(algorithm));
            let session = Cipher::stateless(&rig.device, algorithm, direction, &key).unwrap();
            let iv_len_bytes = algorithm.iv_len_bytes();
            let stream = CipherStream::new(&session, &IV[..iv_len_bytes]);
            if COUNTERS.contains(&algorithm) || CHAINS.contains(&algorithm) {
                let mut stream = stream.unwrap();
                let short = CipherStream::new(&session, &IV[1..iv_len_bytes]);
                let expected = Error::InvalidLength {
                    field: "IV",
                    len_bytes: iv_len_bytes - 1,
                    requirement: Requirement::Exactly {
                        len_bytes: iv_len_bytes,
                    },
                };
                assert_eq!(short.map(drop), Err(expected));
                let odd = stream.process(&mut [0; 7]).await;
                assert_eq!(odd.is_ok(), COUNTERS.contains(&algorithm));
            } else {
                let unfit = Error::UnfitAlgorithm { algorithm };
                assert_eq!(stream.map(drop), Err(unfit));
            }
        }
    });
}
