//! Algorithm chaining.

use virtio_crypto::{
    Chain, ChainInput, ChainOrder, ChainParameters, ChainedHash, CipherAlgorithm, Direction, Error,
    HashAlgorithm, MacAlgorithm, Requirement,
};

use crate::{
    digests::{compute_digest, compute_tag},
    rig::{FakePlatform, Fault, Rig, oracle, run},
    ways::{Cases, EVERY_WAY, How, Random, buffer, concat, exactly, hex, invalid, times},
};

async fn try_open(
    rig: &Rig,
    how: How,
    parameters: &ChainParameters<'_>,
    aad_len: usize,
) -> Result<Chain<FakePlatform>, Error> {
    match how.is_stateless() {
        true => Chain::stateless(&rig.device, parameters),
        false => Chain::open(&rig.device, parameters, aad_len).await,
    }
}

/// RFC 7518, B.1: AES-128-CBC, then HMAC-SHA-256 over additional data, IV, ciphertext and the bits
/// of the additional data.
#[test]
fn known_answer_of_encryption_then_authentication() {
    let key: Vec<u8> = (0..32).collect();
    let (mac_key, cipher_key) = key.split_at(16);
    let text = b"A cipher system must not be required to be secret, and it must be able to fall \
                 into the hands of the enemy without inconvenience";
    let iv = hex("1af38c2dc2b96ffdd86694092341bc04");
    let aad = b"The second principle of Auguste Kerckhoffs";
    let ciphertext = hex(
        "c80edfa32ddf39d5ef00c0b468834279a2e46a1b8049f792f76bfe54b903a9c9
         a94ac9b47ad2655c5f10f9aef71427e2fc6f9b3f399a221489f16362c7032336
         09d45ac69864e3321cf82935ac4096c86e133314c54019e8ca7980dfa4b9cf1b
         384c486f3a54c51078158ee5d79de59fbd34d848b3d69550a67646344427ade5
         4b8851ffb598f7f80074b9473c82e2db",
    );
    let tag = hex("652c3fa36b0a7c5b3219fab3a30bc1c4");
    let pad = 16 - text.len() % 16;
    let mut data = iv.clone();
    data.extend(text);
    data.resize(data.len() + pad, pad as u8);
    let cipher = 16..data.len();
    data.extend((8 * aad.len() as u64).to_be_bytes());
    let sealed = [&iv[..], &ciphertext, &data[cipher.end..]].concat();
    for how in EVERY_WAY {
        let rig = how.rig().go();
        run(async {
            let parameters = |order, direction| ChainParameters {
                order,
                cipher: CipherAlgorithm::AesCbc,
                direction,
                cipher_key,
                hash: ChainedHash::Authenticated(MacAlgorithm::HmacSha256, mac_key),
                digest_len_bytes: 16,
            };
            let input = ChainInput {
                iv: &iv,
                aad,
                cipher: cipher.clone(),
                hash: 0..data.len(),
            };
            let seal = parameters(ChainOrder::CipherThenHash, Direction::Encrypt);
            let seal = try_open(&rig, how, &seal, aad.len()).await.unwrap();
            let (mut slice, mut got) = (data.clone(), [0; 16]);
            let sent = seal.process_slice(input.clone(), &mut slice, &mut got);
            sent.await.unwrap();
            assert_eq!((&slice, &got[..]), (&sealed, &tag[..]), "{how:?}");
            // The way back: the tag first, then the cipher.
            let open = parameters(ChainOrder::HashThenCipher, Direction::Decrypt);
            let open = try_open(&rig, how, &open, aad.len()).await.unwrap();
            got.fill(0);
            let opened = open.process(input, buffer(&slice), &mut got).await.unwrap();
            assert_eq!((&opened[..], &got[..]), (&data[..], &tag[..]), "{how:?}");
            seal.close().await.unwrap();
            open.close().await.unwrap();
        });
        assert_eq!(rig.far.sessions(), 0);
    }
}

#[test]
fn every_form_equals_the_software() {
    let orders = [ChainOrder::HashThenCipher, ChainOrder::CipherThenHash];
    for how in EVERY_WAY {
        let rig = how.rig().go();
        let mut random = Random::new(14);
        run(async {
            for round in 0..times(60, 3) {
                let key_len = 1 + random.below(2000);
                let key = random.bytes(key_len);
                let hash = match round % 3 {
                    0 => ChainedHash::Plain(HashAlgorithm::Sha1),
                    1 => ChainedHash::Authenticated(MacAlgorithm::HmacSha1, &key),
                    _ => ChainedHash::Nested(HashAlgorithm::Sha1),
                };
                let cipher_key = random.bytes(32);
                let order = orders[random.below(2)];
                let parameters = ChainParameters {
                    order,
                    cipher: CipherAlgorithm::AesCbc,
                    direction: Direction::Encrypt,
                    cipher_key: &cipher_key,
                    hash,
                    digest_len_bytes: 20,
                };
                let aad_len = random.len() * random.below(2);
                let aad = random.bytes(aad_len);
                let len = 16 + random.len();
                let data = random.bytes(len);
                let start = random.below(len - 15);
                let cipher = start..start + 16 * (1 + random.below((len - start) / 16));
                let hash_start = random.below(len + 1);
                let hashed = hash_start..hash_start + random.below(len - hash_start + 1);
                let iv: [u8; 16] = random.bytes(16).try_into().unwrap();

                let mut expected = data.clone();
                let part = oracle(&cipher_key, &iv, &data[cipher.clone()]);
                expected[cipher.clone()].copy_from_slice(&part);
                let over = match order {
                    ChainOrder::HashThenCipher => &data,
                    ChainOrder::CipherThenHash => &expected,
                };
                let over = [&aad[..], &over[hashed.clone()]].concat();
                let sha1 = |data: &[u8]| compute_digest(HashAlgorithm::Sha1, data, 20);
                let digest = match hash {
                    ChainedHash::Plain(_) => sha1(&over),
                    ChainedHash::Nested(_) => sha1(&sha1(&over)),
                    ChainedHash::Authenticated(algorithm, key) => {
                        compute_tag(algorithm, key, &over).unwrap()
                    }
                    other => panic!("{other:?}"),
                };
                let name = (how, parameters.hash, len, aad_len, &cipher, &hashed);
                let chain = try_open(&rig, how, &parameters, aad_len).await.unwrap();
                let input = ChainInput {
                    iv: &iv,
                    aad: &aad,
                    cipher: cipher.clone(),
                    hash: hashed.clone(),
                };
                let (mut slice, mut got) = (data.clone(), [0; 20]);
                let sent = chain.process_slice(input.clone(), &mut slice, &mut got);
                sent.await.unwrap();
                assert_eq!((&slice, &got[..]), (&expected, &digest[..]), "{name:?}");
                got.fill(0);
                let sent = chain.process(input.clone(), buffer(&data), &mut got);
                let one = sent.await.unwrap();
                assert_eq!(
                    (&one[..], &got[..]),
                    (&expected[..], &digest[..]),
                    "{name:?}"
                );
                got.fill(0);
                let list = random.cut(&data);
                let list = chain.process_list(input, list, &mut got).await.unwrap();
                assert_eq!(
                    (concat(&list), &got[..]),
                    (expected, &digest[..]),
                    "{name:?}"
                );
            }
        });
    }
}

const PARAMETERS: ChainParameters<'_> = ChainParameters {
    order: ChainOrder::CipherThenHash,
    cipher: CipherAlgorithm::AesCbc,
    direction: Direction::Encrypt,
    cipher_key: &[1; 16],
    hash: ChainedHash::Authenticated(MacAlgorithm::HmacSha256, &[2; 20]),
    digest_len_bytes: 32,
};

const INPUT: ChainInput<'_> = ChainInput {
    iv: &[3; 16],
    aad: &[4; 5],
    cipher: 0..32,
    hash: 0..40,
};

#[test]
fn lengths_are_refused_before_they_are_sent() {
    for how in EVERY_WAY {
        let rig = how.rig().go();
        run(async {
            let wrong = |parameters: ChainParameters<'static>| {
                let rig = &rig;
                async move {
                    let opened = try_open(rig, how, &parameters, 5).await;
                    opened.map(drop).unwrap_err()
                }
            };
            let keys = CipherAlgorithm::AesCbc.key_lens_bytes();
            let parameters = ChainParameters {
                cipher_key: &[1; 17],
                ..PARAMETERS
            };
            let expected = invalid("key", 17, Requirement::OneOf { lens_bytes: keys });
            assert_eq!(wrong(parameters).await, expected);
            let keys = MacAlgorithm::HmacSha256.key_lens_bytes();
            let parameters = ChainParameters {
                hash: ChainedHash::Authenticated(MacAlgorithm::HmacSha256, &[]),
                ..PARAMETERS
            };
            let expected = invalid("key", 0, Requirement::OneOf { lens_bytes: keys });
            assert_eq!(wrong(parameters).await, expected);
            let parameters = ChainParameters {
                hash: ChainedHash::Plain(HashAlgorithm::Sha1),
                ..PARAMETERS
            };
            assert_eq!(wrong(parameters).await, exactly("digest", 32, 20));
            let parameters = ChainParameters {
                digest_len_bytes: 33,
                ..PARAMETERS
            };
            let expected = invalid("tag", 33, Requirement::AtMost { max_bytes: 32 });
            assert_eq!(wrong(parameters).await, expected);

            let chain = try_open(&rig, how, &PARAMETERS, 5).await.unwrap();
            let before = rig.device.data_stats().submitted;
            let wrong = |input: ChainInput<'static>| {
                let chain = &chain;
                async move {
                    let (data, mut digest) = (buffer(&[9; 40]), [0; 32]);
                    let failed = chain.process(input, data, &mut digest).await.unwrap_err();
                    assert_eq!(failed.returned.unwrap()[..], [9; 40]);
                    failed.error
                }
            };
            let input = ChainInput { iv: &[], ..INPUT };
            assert_eq!(wrong(input).await, exactly("IV", 0, 16));
            if !how.is_stateless() {
                let input = ChainInput { aad: &[], ..INPUT };
                assert_eq!(wrong(input).await, exactly("additional data", 0, 5));
            }
            let out_of_range = |field, start, end| Error::OutOfRange {
                field,
                start,
                end,
                len_bytes: 40,
            };
            let ranges = [(0, 48), (41, 41), (32, 16), (usize::MAX, usize::MAX)];
            for (start, end) in ranges {
                let input = ChainInput {
                    cipher: start..end,
                    ..INPUT
                };
                assert_eq!(wrong(input).await, out_of_range("cipher", start, end));
                let input = ChainInput {
                    hash: start..end,
                    ..INPUT
                };
                assert_eq!(wrong(input).await, out_of_range("hash", start, end));
            }
            let input = ChainInput {
                cipher: 0..0,
                ..INPUT
            };
            let at_least = Requirement::AtLeast { min_bytes: 16 };
            assert_eq!(wrong(input).await, invalid("cipher", 0, at_least));
            let input = ChainInput {
                cipher: 1..40,
                ..INPUT
            };
            let blocks = Requirement::BlocksOf { block_bytes: 16 };
            assert_eq!(wrong(input).await, invalid("cipher", 39, blocks));
            let outcome = chain.process_slice(INPUT, &mut [0; 40], &mut [0; 31]).await;
            assert_eq!(outcome, Err(exactly("digest", 31, 32)));
            let max = chain.max_len_bytes(5);
            let requirement = Requirement::AtMost {
                max_bytes: max as u64,
            };
            let (mut long, mut digest) = (vec![0; max + 1], [0; 32]);
            let outcome = chain.process_slice(INPUT, &mut long, &mut digest);
            assert_eq!(outcome.await, Err(invalid("data", max + 1, requirement)));
            assert_eq!(rig.device.data_stats().submitted, before);
        });
    }
}

#[test]
fn refused_requests_change_nothing_of_the_callers() {
    for how in EVERY_WAY {
        let rig = how.rig();
        rig.far.be_eager();
        run(async {
            let chain = try_open(&rig, how, &PARAMETERS, 5).await.unwrap();
            for len in [40, 3000] {
                for fault in [
                    Fault::Status(1),
                    Fault::Length(len as u32),
                    Fault::Status(99),
                ] {
                    let (mut data, mut digest) = (vec![9; len], [9; 32]);
                    rig.far.set_fault(fault);
                    let sent = chain.process_slice(INPUT, &mut data, &mut digest);
                    assert!(sent.await.is_err(), "{fault:?}");
                    rig.far.set_fault(fault);
                    let sent = chain.process(INPUT, buffer(&data), &mut digest);
                    let failed = sent.await.unwrap_err();
                    assert_eq!(failed.returned.unwrap()[..], vec![0; len], "{fault:?}");
                    assert_eq!((data, digest), (vec![9; len], [9; 32]));
                }
            }
        });
    }
}

#[test]
fn keys_are_not_printed() {
    let printed = alloc::format!("{PARAMETERS:?}");
    assert!(printed.contains("HmacSha256") && !printed.contains("[1,") && !printed.contains("[2,"));
}
