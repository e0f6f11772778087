//! REVISION_1, requests without a session, and what all services have alike: futures dropped at
//! every point where they wait.

use core::{future::Future, pin::Pin};
use std::rc::Rc;

use virtio_crypto::{
    AeadAlgorithm, AeadDecrypt, AeadEncrypt, Chain, ChainInput, ChainOrder, ChainParameters,
    ChainedHash, Cipher, CipherAlgorithm, Curve, Direction, DmaBuffer, EcdsaNumber,
    EcdsaPrivateKey, EcdsaSigner, Error, Features, HashAlgorithm, Mac, MacAlgorithm, MessageDigest,
    Refusal, RsaHash, RsaPrivateKey, RsaSigner,
};

use crate::{
    rig::{
        FakePlatform, IV, KEY, Rig, Served, Setup, is_in_memory, live_pages, oracle, poll_once, run,
    },
    ways::{Cases, EVERY_WAY, How, Random, STATELESS, buffer, concat, times},
};

const CHAIN: ChainParameters<'_> = ChainParameters {
    order: ChainOrder::HashThenCipher,
    cipher: CipherAlgorithm::AesCtr,
    direction: Direction::Decrypt,
    cipher_key: &[1; 16],
    hash: ChainedHash::Plain(HashAlgorithm::Sha256),
    digest_len_bytes: 32,
};

fn rsa_key() -> RsaPrivateKey {
    RsaPrivateKey::from_pkcs1_der(include_bytes!(
        "../../../driver/testdata/rsa/1024.pkcs1.der"
    ))
    .unwrap()
}

fn ecdsa_key() -> EcdsaPrivateKey {
    EcdsaPrivateKey::from_scalar(Curve::P256, &[7; 32]).unwrap()
}

/// What each service without a session says on this device.
fn open_all(rig: &Rig) -> [Result<(), Error>; 8] {
    let device = &rig.device;
    let (cbc, encrypt) = (CipherAlgorithm::AesCbc, Direction::Encrypt);
    let gcm = AeadAlgorithm::Gcm;
    [
        Cipher::stateless(device, cbc, encrypt, &KEY).map(drop),
        Chain::stateless(device, &CHAIN).map(drop),
        MessageDigest::stateless(device, HashAlgorithm::Sha1, 20).map(drop),
        Mac::stateless(device, MacAlgorithm::HmacSha1, &KEY, 20).map(drop),
        AeadEncrypt::stateless(device, gcm, &KEY, 16).map(drop),
        AeadDecrypt::stateless(device, gcm, &KEY, 16).map(drop),
        RsaSigner::stateless(device, &rsa_key(), RsaHash::Sha1).map(drop),
        EcdsaSigner::stateless(device, &ecdsa_key(), EcdsaNumber::Specification).map(drop),
    ]
}

#[test]
fn missing_modes_are_named() {
    let names = [
        (
            Features::CIPHER_STATELESS_MODE,
            "VIRTIO_CRYPTO_F_CIPHER_STATELESS_MODE",
        ),
        (
            Features::CIPHER_STATELESS_MODE,
            "VIRTIO_CRYPTO_F_CIPHER_STATELESS_MODE",
        ),
        (
            Features::HASH_STATELESS_MODE,
            "VIRTIO_CRYPTO_F_HASH_STATELESS_MODE",
        ),
        (
            Features::MAC_STATELESS_MODE,
            "VIRTIO_CRYPTO_F_MAC_STATELESS_MODE",
        ),
        (
            Features::AEAD_STATELESS_MODE,
            "VIRTIO_CRYPTO_F_AEAD_STATELESS_MODE",
        ),
        (
            Features::AEAD_STATELESS_MODE,
            "VIRTIO_CRYPTO_F_AEAD_STATELESS_MODE",
        ),
        (
            Features::AKCIPHER_STATELESS_MODE,
            "VIRTIO_CRYPTO_F_AKCIPHER_STATELESS_MODE",
        ),
        (
            Features::AKCIPHER_STATELESS_MODE,
            "VIRTIO_CRYPTO_F_AKCIPHER_STATELESS_MODE",
        ),
    ];
    let offered = How::Stateless.features();
    let mixes = [
        Features::empty(),
        STATELESS,
        Features::HASH_STATELESS_MODE | Features::AEAD_STATELESS_MODE,
        Features::CIPHER_STATELESS_MODE,
        Features::AKCIPHER_STATELESS_MODE,
        // Without it there are no modes at all.
        Features::REVISION_1,
    ];
    for refuse in mixes {
        let setup = Setup {
            features: offered,
            ..Setup::default()
        };
        let options = Rig::options_with(|options| options.refuse = refuse);
        let rig = Rig::new(setup, options).unwrap();
        let mut expected = offered & !refuse;
        if refuse == Features::REVISION_1 {
            expected.remove(STATELESS);
        }
        assert_eq!(rig.device.features(), expected);
        for (opened, (bit, feature)) in open_all(&rig).into_iter().zip(names) {
            let missing = Err(Error::FeatureMissing { feature });
            let outcome = if expected.contains(bit) {
                Ok(())
            } else {
                missing
            };
            assert_eq!(opened, outcome, "{refuse:?}");
        }
    }
}

#[test]
fn modes_that_are_offered_without_revision_1_are_not_agreed_on() {
    let features = Setup::default().features | STATELESS;
    let setup = Setup {
        features,
        ..Setup::default()
    };
    let rig = Rig::new(setup, Rig::options()).unwrap();
    assert_eq!(rig.device.features(), Setup::default().features);
}

#[test]
fn sessions_run_out_with_a_status_of_their_own_under_revision_1() {
    for (how, refusal) in [
        (How::Padded, Refusal::Error),
        (How::Exact, Refusal::NoSpace),
    ] {
        let rig = how.rig().go();
        rig.far.limit_sessions(1);
        run(async {
            let open = || MessageDigest::open(&rig.device, HashAlgorithm::Sha1, 20);
            let first = open().await.unwrap();
            assert_eq!(open().await.unwrap_err(), Error::Refused(refusal));
            first.close().await.unwrap();
            open().await.unwrap().close().await.unwrap();
        });
    }
}

#[test]
fn ciphers_equal_the_software_in_every_form() {
    for how in EVERY_WAY {
        let rig = how.rig().go();
        let mut random = Random::new(15);
        run(async {
            for _ in 0..times(40, 3) {
                let key_len = random.one_of(&[16, 24, 32]);
                let key = random.bytes(key_len);
                let (algorithm, direction) = (CipherAlgorithm::AesCbc, Direction::Encrypt);
                let session = match how.is_stateless() {
                    true => Cipher::stateless(&rig.device, algorithm, direction, &key),
                    false => Cipher::open(&rig.device, algorithm, direction, &key).await,
                };
                let session = session.unwrap();
                let len = 16 + random.len() / 16 * 16;
                let data = random.bytes(len);
                let expected = oracle(&key, &IV, &data);
                let mut slice = data.clone();
                session.process_slice(&IV, &mut slice).await.unwrap();
                assert_eq!(slice, expected, "{how:?} {len}");
                let one = session.process(&IV, buffer(&data)).await.unwrap();
                assert_eq!(one[..], expected, "{how:?} {len}");
                let list = session.process_list(&IV, random.cut(&data)).await.unwrap();
                assert_eq!(concat(&list), expected, "{how:?} {len}");
                let apart = DmaBuffer::new(len).unwrap();
                let sent = session.process_into(&IV, buffer(&data), apart);
                let (source, apart) = sent.await.unwrap();
                assert_eq!((&source[..], &apart[..]), (&data[..], &expected[..]));
                session.close().await.unwrap();
            }
        });
    }
}

#[test]
fn keys_of_ciphers_are_checked_and_do_not_stay_in_device_memory() {
    let rig = How::Stateless.rig().go();
    let (algorithm, direction) = (CipherAlgorithm::AesCbc, Direction::Encrypt);
    let odd = Cipher::stateless(&rig.device, algorithm, direction, &[1; 17]);
    assert!(matches!(
        odd,
        Err(Error::InvalidLength { field: "key", .. })
    ));
    let key = *b"not to be found!";
    let session = Cipher::stateless(&rig.device, algorithm, direction, &key).unwrap();
    for len in [16, 512, 4096] {
        run(session.process_slice(&IV, &mut vec![0; len])).unwrap();
        run(session.process(&IV, DmaBuffer::new(len).unwrap())).unwrap();
        assert!(!is_in_memory(&key), "the key stays behind");
    }
}

/// Does something with every service; ends at the first error.
async fn use_all(rig: &Rig, how: How, len: usize) -> Result<(), Error> {
    let (device, key) = (&rig.device, &KEY);
    let (ctr, encrypt, gcm) = (
        CipherAlgorithm::AesCtr,
        Direction::Encrypt,
        AeadAlgorithm::Gcm,
    );
    let mut data = vec![1; len];
    let input = ChainInput {
        iv: &IV,
        aad: &[5; 9],
        cipher: 0..len,
        hash: 0..len,
    };
    let (rsa, ecdsa) = (rsa_key(), ecdsa_key());
    let (sha1, number) = (RsaHash::Sha1, EcdsaNumber::Specification);
    let (cipher, chain, hash, mac, seal, open, rsa, ecdsa) = match how.is_stateless() {
        true => (
            Cipher::stateless(device, ctr, encrypt, key)?,
            Chain::stateless(device, &CHAIN)?,
            MessageDigest::stateless(device, HashAlgorithm::Sha256, 32)?,
            Mac::stateless(device, MacAlgorithm::HmacSha256, &[7; 3000], 32)?,
            AeadEncrypt::stateless(device, gcm, key, 16)?,
            AeadDecrypt::stateless(device, gcm, key, 16)?,
            RsaSigner::stateless(device, &rsa, sha1)?,
            EcdsaSigner::stateless(device, &ecdsa, number)?,
        ),
        false => (
            Cipher::open(device, ctr, encrypt, key).await?,
            Chain::open(device, &CHAIN, 9).await?,
            MessageDigest::open(device, HashAlgorithm::Sha256, 32).await?,
            Mac::open(device, MacAlgorithm::HmacSha256, &[7; 3000], 32).await?,
            AeadEncrypt::open(device, gcm, key, 16, 2000).await?,
            AeadDecrypt::open(device, gcm, key, 16, 2000).await?,
            RsaSigner::open(device, &rsa, sha1).await?,
            EcdsaSigner::open(device, &ecdsa, number).await?,
        ),
    };
    let (mut digest, mut tag, aad) = ([0; 32], [0; 16], [9; 2000]);
    cipher.process_slice(&IV, &mut data).await?;
    let given = cipher.process_list(&IV, vec![buffer(&data)]).await?;
    assert_eq!(given.len(), 1);
    chain
        .process_slice(input.clone(), &mut data, &mut digest)
        .await?;
    chain.process(input, buffer(&data), &mut digest).await?;
    hash.digest_slice(&data, &mut digest).await?;
    hash.digest(buffer(&data), &mut digest).await?;
    mac.tag_slice(&data, &mut digest).await?;
    mac.verify(buffer(&data), &digest).await?;
    let plain = data.clone();
    seal.encrypt_slice(&[1; 12], &aad, &mut data, &mut tag)
        .await?;
    let opened = open.decrypt(&[1; 12], &aad, buffer(&data), &tag).await?;
    assert_eq!(opened[..], plain);
    open.decrypt_slice(&[1; 12], &aad, &mut data, &tag).await?;
    assert_eq!(data, plain);
    rsa.sign(&[7; 20]).await?;
    ecdsa.sign(&[7; 20]).await?;
    cipher.close().await?;
    chain.close().await?;
    hash.close().await?;
    mac.close().await?;
    seal.close().await?;
    open.close().await?;
    rsa.close().await?;
    ecdsa.close().await
}

#[test]
fn requests_without_a_session_need_no_control_queue() {
    let rig = How::Stateless.rig();
    rig.far.be_eager();
    for len in [1, 100, 3000] {
        run(use_all(&rig, How::Stateless, len)).unwrap();
    }
    assert_eq!(rig.device.control_stats().submitted, 0);
    assert_eq!((rig.far.sessions(), rig.device.sessions_taken()), (0, 0));
    let log = rig.far.log();
    assert!(!log.is_empty() && log.iter().all(|served| *served == Served::Stateless));
}

#[test]
fn every_service_works_on_small_queues_and_without_indirect_descriptors() {
    for how in EVERY_WAY {
        for refuse in [Features::empty(), Features::INDIRECT_DESC] {
            let setup = Setup {
                features: how.features() & !refuse,
                queue_size: 8,
                ..Setup::default()
            };
            let rig = Rig::new(setup, Rig::options()).unwrap().go();
            for len in [1, 100, 3000] {
                run(use_all(&rig, how, len)).unwrap();
            }
        }
    }
}

#[test]
fn futures_dropped_at_every_await_leave_nothing_behind() {
    for how in EVERY_WAY {
        for len in [20, 3000] {
            let rig = how.rig();
            // A first time, for what is allocated once.
            let pages = live_pages();
            let mut steps = 0;
            loop {
                let mut future = Box::pin(use_all(&rig, how, len));
                // So far, and then it is dropped: with a request in flight, or answered.
                let mut ready = false;
                for step in 0..=steps / 2 {
                    ready = poll_once(future.as_mut()).is_ready();
                    if ready {
                        break;
                    }
                    if step < steps / 2 || steps % 2 == 1 {
                        rig.far.serve(0, usize::MAX);
                        rig.far.serve(1, usize::MAX);
                    }
                }
                drop(future);
                rig.serve_all();
                let state = (rig.far.sessions(), rig.device.sessions_taken());
                assert_eq!(state, (0, 0), "{how:?} {len} {steps}");
                rig.device.poll();
                assert_eq!(live_pages(), pages, "{how:?} {len} {steps}");
                assert!(
                    !is_in_memory(&[7; 64]),
                    "a key stays behind, {how:?} {len} {steps}"
                );
                if ready {
                    break;
                }
                steps += 1;
            }
            assert!(steps > 20, "only {steps} places to drop it at");
        }
    }
}

#[test]
fn drops_at_random_leave_nothing_behind() {
    let mut random = Random::new(16);
    for how in EVERY_WAY {
        let options = Rig::options_with(|options| {
            options.data_slots = 3;
            options.control_slots = 2;
            options.sessions = 16;
        });
        let setup = Setup {
            features: how.features(),
            shuffled: Some(5),
            ..Setup::default()
        };
        let rig = Rc::new(Rig::new(setup, options).unwrap());
        let pages = live_pages();
        for _ in 0..times(60, 2) {
            let mut futures: Vec<Pin<Box<dyn Future<Output = ()>>>> = Vec::new();
            for _ in 0..1 + random.below(4) {
                let (rig, len) = (rig.clone(), 1 + random.below(1500));
                futures.push(Box::pin(async move {
                    match use_all(&rig, how, len).await {
                        Ok(()) | Err(Error::TooManySessions { .. }) => {}
                        Err(error) => panic!("{error}"),
                    }
                }));
            }
            for _ in 0..random.below(200) {
                if futures.is_empty() {
                    break;
                }
                let which = random.below(futures.len());
                match random.below(12) {
                    0 => drop(futures.swap_remove(which)),
                    1..6 => {
                        let queue = random.below(2) as u16;
                        rig.far.serve(queue, 1 + random.below(3));
                    }
                    _ => {
                        if poll_once(futures[which].as_mut()).is_ready() {
                            drop(futures.swap_remove(which));
                        }
                    }
                }
            }
            drop(futures);
            rig.serve_all();
            assert_eq!((rig.far.sessions(), rig.device.sessions_taken()), (0, 0));
            assert_eq!(live_pages(), pages);
        }
    }
}

#[test]
fn a_reset_ends_requests_without_a_session() {
    let rig = How::Stateless.rig();
    rig.far.be_eager();
    let hash = MessageDigest::stateless(&rig.device, HashAlgorithm::Sha1, 20).unwrap();
    let mut digest = [0; 20];
    run(hash.digest_slice(b"abc", &mut digest)).unwrap();
    rig.device.recover(1_000_000_000).unwrap();
    assert_eq!(
        run(hash.digest_slice(b"abc", &mut digest)),
        Err(Error::ShutDown)
    );
    let hash = MessageDigest::stateless(&rig.device, HashAlgorithm::Sha1, 20).unwrap();
    run(hash.digest_slice(b"abc", &mut digest)).unwrap();
}

#[test]
fn a_full_queue_gives_every_buffer_back() {
    let options = Rig::options_with(|options| options.data_slots = 1);
    let setup = Setup {
        features: How::Stateless.features(),
        ..Setup::default()
    };
    let rig = Rig::new(setup, options).unwrap();
    let device = &rig.device;
    let hash = MessageDigest::stateless(device, HashAlgorithm::Sha1, 20).unwrap();
    let mac = Mac::stateless(device, MacAlgorithm::HmacSha1, &[1; 3000], 20).unwrap();
    let seal = AeadEncrypt::stateless(device, AeadAlgorithm::Gcm, &KEY, 16).unwrap();
    let open = AeadDecrypt::stateless(device, AeadAlgorithm::Gcm, &KEY, 16).unwrap();
    let chain = Chain::stateless(device, &CHAIN).unwrap();
    let (mut first, mut out, mut tag) = ([0; 20], [0; 20], [0; 16]);
    let mut in_flight = Box::pin(hash.digest(buffer(&[1]), &mut first));
    assert!(poll_once(in_flight.as_mut()).is_pending());
    let given = |outcome: Result<
        DmaBuffer<FakePlatform>,
        virtio_crypto::Failed<DmaBuffer<FakePlatform>>,
    >| {
        let failed = outcome.unwrap_err();
        assert_eq!(failed.error, Error::QueueFull);
        assert_eq!(failed.returned.unwrap()[..], [6; 30]);
    };
    let data = || buffer(&[6; 30]);
    given(run(hash.try_digest(data(), &mut out)));
    given(run(mac.try_tag(data(), &mut out)));
    given(run(seal.try_encrypt(
        &[1; 12],
        &[2; 5000],
        data(),
        &mut tag,
    )));
    given(run(open.try_decrypt(&[1; 12], &[], data(), &tag)));
    let input = ChainInput {
        iv: &IV,
        aad: &[],
        cipher: 0..30,
        hash: 0..30,
    };
    given(run(chain.try_process(input, data(), &mut [0; 32])));
    rig.far.serve(0, 1);
    assert!(poll_once(in_flight.as_mut()).is_ready());
}
