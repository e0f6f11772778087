//! The AEAD service.

use aes_gcm::{Aes128Gcm, Aes256Gcm, KeyInit, aead::AeadInOut};
use ghash::{GHash, universal_hash::UniversalHash};
use virtio_crypto::{AeadAlgorithm, AeadDecrypt, AeadEncrypt, DmaBuffer, Error, Requirement};

use crate::{
    rig::{FakePlatform, Fault, Rig, Setup, run},
    ways::{Cases, EVERY_WAY, How, Random, buffer, concat, exactly, hex, invalid, times},
};

type Pair = (AeadEncrypt<FakePlatform>, AeadDecrypt<FakePlatform>);

/// Both directions, with tags and additional data of these lengths.
async fn try_open(
    rig: &Rig,
    how: How,
    algorithm: AeadAlgorithm,
    key: &[u8],
    (tag_len, aad_len): (usize, usize),
) -> Result<Pair, Error> {
    let device = &rig.device;
    Ok(match how.is_stateless() {
        true => (
            AeadEncrypt::stateless(device, algorithm, key, tag_len)?,
            AeadDecrypt::stateless(device, algorithm, key, tag_len)?,
        ),
        false => (
            AeadEncrypt::open(device, algorithm, key, tag_len, aad_len).await?,
            AeadDecrypt::open(device, algorithm, key, tag_len, aad_len).await?,
        ),
    })
}

struct Vector {
    algorithm: AeadAlgorithm,
    key: Vec<u8>,
    nonce: Vec<u8>,
    aad: Vec<u8>,
    plaintext: Vec<u8>,
    ciphertext: Vec<u8>,
    tag: Vec<u8>,
}

/// J0 for a nonce that is not 12 bytes long (NIST SP 800-38D, 7.1), under AES-128.
fn counter_of(key: &[u8], nonce: &[u8]) -> Vec<u8> {
    use aes::cipher::BlockCipherEncrypt;
    let mut hash_key = aes::Block::default();
    aes::Aes128::new_from_slice(key)
        .unwrap()
        .encrypt_block(&mut hash_key);
    let mut hash = GHash::new(&hash_key);
    hash.update_padded(nonce);
    hash.update(&[(8 * nonce.len() as u128).to_be_bytes().into()]);
    hash.finalize().to_vec()
}

/// "The Galois/Counter Mode of Operation", test cases 1, 2, 4 and 5; NIST SP 800-38C, examples 1 to
/// 4; RFC 8439, 2.8.2.
fn known() -> Vec<Vector> {
    use AeadAlgorithm::{Ccm, ChaCha20Poly1305, Gcm};
    let zeros = "00".repeat(16);
    let gcm_key = "feffe9928665731c6d6a8f9467308308";
    let gcm_aad = "feedfacedeadbeeffeedfacedeadbeefabaddad2";
    let gcm_text = "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72
                    1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39";
    let ccm_key = "404142434445464748494a4b4c4d4e4f";
    let ccm_nonce = "101112131415161718191a1b1c";
    let counting = |from: u8, len: u8| -> Vec<u8> { (from..from + len).collect() };
    let row = |algorithm, key: &str, nonce: &str, aad: &str, texts: [&str; 2], tag: &str| Vector {
        algorithm,
        key: hex(key),
        nonce: hex(nonce),
        aad: hex(aad),
        plaintext: hex(texts[0]),
        ciphertext: hex(texts[1]),
        tag: hex(tag),
    };
    let ccm = |nonce_len: usize, aad: Vec<u8>, plain_len, ciphertext: &str, tag: &str| Vector {
        algorithm: Ccm,
        key: hex(ccm_key),
        nonce: hex(ccm_nonce)[..nonce_len].to_vec(),
        aad,
        plaintext: counting(0x20, plain_len),
        ciphertext: hex(ciphertext),
        tag: hex(tag),
    };
    let mut other_nonce = row(
        Gcm,
        gcm_key,
        "",
        gcm_aad,
        [
            gcm_text,
            "61353b4c2806934a777ff51fa22a4755699b2a714fcdc6f83766e5f97b6c7423
             73806900e49f24b22b097544d4896b424989b5e1ebac0f07c23f4598",
        ],
        "3612d2e79e3b0785561be14aaca2fccb",
    );
    other_nonce.nonce = counter_of(&hex(gcm_key), &hex("cafebabefacedbad"));
    let sunscreen = b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip \
                      for the future, sunscreen would be it.";
    let mut chacha = row(
        ChaCha20Poly1305,
        "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f",
        "070000004041424344454647",
        "50515253c0c1c2c3c4c5c6c7",
        [
            "",
            "d31a8d34648e60db7b86afbc53ef7ec2a4aded51296e08fea9e2b5a736ee62d6
             3dbea45e8ca9671282fafb69da92728b1a71de0a9e060b2905d6a5b67ecd3b36
             92ddbd7f2d778b8c9803aee328091b58fab324e4fad675945585808b4831d7bc
             3ff4def08e4b7a9de576d26586cec64b6116",
        ],
        "1ae10b594f09e26a7e902ecbd0600691",
    );
    chacha.plaintext = sunscreen.to_vec();
    vec![
        row(
            Gcm,
            &zeros,
            &zeros[..24],
            "",
            ["", ""],
            "58e2fccefa7e3061367f1d57a4e7455a",
        ),
        row(
            Gcm,
            &zeros,
            &zeros[..24],
            "",
            [&zeros, "0388dace60b6a392f328c2b971b2fe78"],
            "ab6e47d42cec13bdf53a67b21257bddf",
        ),
        row(
            Gcm,
            gcm_key,
            "cafebabefacedbaddecaf888",
            gcm_aad,
            [
                gcm_text,
                "42831ec2217774244b7221b784d0d49ce3aa212f2c02a4e035c17e2329aca12e
                 21d514b25466931c7d8f6a5aac84aa051ba30b396a0aac973d58e091",
            ],
            "5bc94fbc3221a5db94fae95ae7121a47",
        ),
        other_nonce,
        ccm(7, counting(0, 8), 4, "7162015b", "4dac255d"),
        ccm(
            8,
            counting(0, 16),
            16,
            "d2a1f0e051ea5f62081a7792073d593d",
            "1fc64fbfaccd",
        ),
        ccm(
            12,
            counting(0, 20),
            24,
            "e3b201a9f5b71a7a9b1ceaeccd97e70b6176aad9a4428aa5",
            "484392fbc1b09951",
        ),
        ccm(
            13,
            (0..=255).cycle().take(65_536).collect(),
            32,
            "69915dad1e84c6376a68c2967e4dab615ae0fd1faec44cc484828529463ccf72",
            "b4ac6bec93e8598e7f0dadbcea5b",
        ),
        chacha,
    ]
}

#[test]
fn known_answers() {
    for how in EVERY_WAY {
        let rig = how.rig().go();
        run(async {
            for vector in known() {
                let Vector {
                    key,
                    nonce,
                    aad,
                    plaintext,
                    ciphertext,
                    tag,
                    ..
                } = &vector;
                let lens = (tag.len(), aad.len());
                let opened = try_open(&rig, how, vector.algorithm, key, lens).await;
                let (encrypt, decrypt) = opened.unwrap();
                let (mut data, mut got) = (plaintext.clone(), vec![0; tag.len()]);
                let sent = encrypt.encrypt_slice(nonce, aad, &mut data, &mut got);
                sent.await.unwrap();
                let name = (how, vector.algorithm, nonce.len());
                assert_eq!((&data, &got), (ciphertext, tag), "{name:?}");
                let sent = decrypt.decrypt_slice(nonce, aad, &mut data, tag);
                sent.await.unwrap();
                assert_eq!(&data, plaintext, "{name:?}");
                got.fill(0);
                let sent = encrypt.encrypt(nonce, aad, buffer(plaintext), &mut got);
                let sealed = sent.await.unwrap();
                assert_eq!((&sealed[..], &got), (&ciphertext[..], tag), "{name:?}");
                let opened = decrypt.decrypt(nonce, aad, sealed, tag).await.unwrap();
                assert_eq!(opened[..], plaintext[..], "{name:?}");
                encrypt.close().await.unwrap();
                decrypt.close().await.unwrap();
            }
        });
        assert_eq!(rig.far.sessions(), 0);
    }
}

/// What a library that is not the device's makes of `data`: ciphertext and tag.
fn oracle(
    algorithm: AeadAlgorithm,
    key: &[u8],
    nonce: &[u8],
    aad: &[u8],
    data: &[u8],
) -> (Vec<u8>, Vec<u8>) {
    let mut data = data.to_vec();
    macro_rules! with {
        ($aead:ty) => {
            <$aead>::new_from_slice(key)
                .unwrap()
                .encrypt_inout_detached(nonce.try_into().unwrap(), aad, data.as_mut_slice().into())
                .unwrap()
                .to_vec()
        };
    }
    use ccm::{
        Ccm,
        consts::{U13, U16},
    };
    let tag = match (algorithm, key.len()) {
        (AeadAlgorithm::Gcm, 16) => with!(Aes128Gcm),
        (AeadAlgorithm::Gcm, _) => with!(Aes256Gcm),
        (AeadAlgorithm::Ccm, 16) => with!(Ccm<aes::Aes128, U16, U13>),
        (AeadAlgorithm::Ccm, _) => with!(Ccm<aes::Aes256, U16, U13>),
        (AeadAlgorithm::ChaCha20Poly1305, _) => with!(chacha20poly1305::ChaCha20Poly1305),
        (other, _) => panic!("{other:?} is not computed here"),
    };
    (data, tag)
}

#[test]
fn every_form_equals_the_library() {
    for how in EVERY_WAY {
        let rig = how.rig().go();
        let mut random = Random::new(13);
        run(async {
            for round in 0..times(60, 3) {
                let algorithm = AeadAlgorithm::ALL[round % 3];
                let (key_len, nonce_len) = match algorithm {
                    AeadAlgorithm::Gcm => ([16, 32][random.below(2)], 12),
                    AeadAlgorithm::Ccm => ([16, 32][random.below(2)], 13),
                    AeadAlgorithm::ChaCha20Poly1305 => (32, 12),
                    other => panic!("{other:?}"),
                };
                let (len, aad_len) = (random.len(), random.len() * random.below(2));
                let (key, nonce) = (random.bytes(key_len), random.bytes(nonce_len));
                let (data, aad) = (random.bytes(len), random.bytes(aad_len));
                let (ciphertext, tag) = oracle(algorithm, &key, &nonce, &aad, &data);
                let name = (how, algorithm, len, aad_len);
                let opened = try_open(&rig, how, algorithm, &key, (16, aad_len)).await;
                let (encrypt, decrypt) = opened.unwrap();

                let (mut slice, mut got) = (data.clone(), [0; 16]);
                let sent = encrypt.encrypt_slice(&nonce, &aad, &mut slice, &mut got);
                sent.await.unwrap();
                assert_eq!((&slice, &got[..]), (&ciphertext, &tag[..]), "{name:?}");
                let sent = decrypt.decrypt_slice(&nonce, &aad, &mut slice, &tag);
                sent.await.unwrap();
                assert_eq!(slice, data, "{name:?}");

                got.fill(0);
                let sent = encrypt.encrypt(&nonce, &aad, buffer(&data), &mut got);
                let one = sent.await.unwrap();
                assert_eq!(
                    (&one[..], &got[..]),
                    (&ciphertext[..], &tag[..]),
                    "{name:?}"
                );
                let one = decrypt.decrypt(&nonce, &aad, one, &tag).await.unwrap();
                assert_eq!(one[..], data, "{name:?}");

                got.fill(0);
                let list = random.cut(&data);
                let sent = encrypt.encrypt_list(&nonce, &aad, list, &mut got);
                let list = sent.await.unwrap();
                assert_eq!(
                    (concat(&list), &got[..]),
                    (ciphertext, &tag[..]),
                    "{name:?}"
                );
                let list = decrypt
                    .decrypt_list(&nonce, &aad, list, &tag)
                    .await
                    .unwrap();
                assert_eq!(concat(&list), data, "{name:?}");
            }
        });
    }
}

#[test]
fn plaintext_of_a_wrong_tag_is_never_passed_on() {
    for how in EVERY_WAY {
        let rig = how.rig();
        for algorithm in AeadAlgorithm::ALL {
            let nonce_len = if algorithm == AeadAlgorithm::Ccm {
                13
            } else {
                12
            };
            let (key, nonce, aad) = ([5; 32], vec![6; nonce_len], [7; 20]);
            rig.far.be_eager();
            for len in [1, 100, 3000] {
                run(async {
                    let opened = try_open(&rig, how, algorithm, &key, (16, 20)).await;
                    let (encrypt, decrypt) = opened.unwrap();
                    let (mut sealed, mut tag) = (vec![1; len], [0; 16]);
                    let sent = encrypt.encrypt_slice(&nonce, &aad, &mut sealed, &mut tag);
                    sent.await.unwrap();
                    let mut wrong = tag;
                    wrong[15] ^= 1;
                    let refused = Error::TagMismatch;
                    let mut data = sealed.clone();
                    let outcome = decrypt.decrypt_slice(&nonce, &aad, &mut data, &wrong).await;
                    assert_eq!((outcome, &data), (Err(refused), &sealed));
                    // A device that writes the plaintext all the same, or is vague about it.
                    for fault in [
                        Fault::Status(2),
                        Fault::Status(1),
                        Fault::Length(1),
                        Fault::Length(0),
                        Fault::Status(99),
                    ] {
                        rig.far.set_fault(fault);
                        let outcome = decrypt.decrypt_slice(&nonce, &aad, &mut data, &tag).await;
                        assert!(outcome.is_err() && data == sealed, "{fault:?}");
                        rig.far.set_fault(fault);
                        let sent = decrypt.decrypt(&nonce, &aad, buffer(&sealed), &tag);
                        let failed = sent.await.unwrap_err();
                        let given = failed.returned.unwrap();
                        assert!(given.iter().all(|byte| *byte == 0), "{how:?} {fault:?}");
                        rig.far.set_fault(fault);
                        let list = Random::new(3).cut(&sealed);
                        let failed = decrypt.decrypt_list(&nonce, &aad, list, &tag).await;
                        let given = concat(&failed.unwrap_err().returned.unwrap());
                        assert!(given.len() == len && given.iter().all(|byte| *byte == 0));
                    }
                    let sent = decrypt.decrypt(&nonce, &aad, buffer(&sealed), &wrong);
                    assert_eq!(sent.await.unwrap_err().error, refused);
                    // Nor does other additional data do.
                    let outcome = decrypt
                        .decrypt_slice(&nonce, &[8; 20], &mut data, &tag)
                        .await;
                    assert_eq!(outcome, Err(refused));
                    decrypt
                        .decrypt_slice(&nonce, &aad, &mut data, &tag)
                        .await
                        .unwrap();
                    assert_eq!(data, vec![1; len]);
                });
            }
        }
    }
}

#[test]
fn refused_encryption_changes_nothing_of_the_callers() {
    for how in EVERY_WAY {
        let rig = how.rig();
        rig.far.be_eager();
        run(async {
            let opened = try_open(&rig, how, AeadAlgorithm::Gcm, &[1; 16], (16, 0)).await;
            let (encrypt, _) = opened.unwrap();
            for len in [20, 2000] {
                for fault in [
                    Fault::Status(3),
                    Fault::Length(len as u32),
                    Fault::Status(99),
                ] {
                    let (mut data, mut tag) = (vec![9; len], [9; 16]);
                    rig.far.set_fault(fault);
                    let outcome = encrypt.encrypt_slice(&[1; 12], &[], &mut data, &mut tag);
                    assert!(outcome.await.is_err(), "{fault:?}");
                    assert_eq!((data, tag), (vec![9; len], [9; 16]));
                    rig.far.set_fault(fault);
                    let sent = encrypt.encrypt(&[1; 12], &[], buffer(&vec![9; len]), &mut tag);
                    assert_eq!(sent.await.unwrap_err().returned.unwrap()[..], vec![0; len]);
                    assert_eq!(tag, [9; 16]);
                }
            }
        });
    }
}

#[test]
fn lengths_are_refused_before_they_are_sent() {
    let setup = Setup {
        max_size_bytes: 1 << 18,
        ..Setup::default()
    };
    for how in EVERY_WAY {
        let rig = how.rig_of(setup.clone()).go();
        run(async {
            let wrong = |algorithm, key_len, tag_len| {
                let (rig, key) = (&rig, vec![1; key_len]);
                async move {
                    let opened = try_open(rig, how, algorithm, &key, (tag_len, 5)).await;
                    opened.map(drop).unwrap_err()
                }
            };
            for algorithm in AeadAlgorithm::ALL {
                let lens_bytes = algorithm.key_lens_bytes();
                let expected = invalid("key", 31, Requirement::OneOf { lens_bytes });
                assert_eq!(wrong(algorithm, 31, 16).await, expected);
                let lens_bytes = algorithm.tag_lens_bytes();
                for tag_len in [0, 5, 17] {
                    let expected = invalid("tag", tag_len, Requirement::OneOf { lens_bytes });
                    assert_eq!(wrong(algorithm, 32, tag_len).await, expected);
                }
            }
            let opened = try_open(&rig, how, AeadAlgorithm::Ccm, &[1; 16], (8, 5)).await;
            let (encrypt, decrypt) = opened.unwrap();
            let before = rig.device.data_stats().submitted;
            let (aad, mut tag) = ([3; 5], [0; 8]);
            let lens_bytes = AeadAlgorithm::Ccm.nonce_lens_bytes();
            for nonce_len in [0, 6, 14, 16] {
                let nonce = vec![1; nonce_len];
                let failed = encrypt.encrypt(&nonce, &aad, buffer(&[4; 9]), &mut tag);
                let failed = failed.await.unwrap_err();
                let expected = invalid("nonce", nonce_len, Requirement::OneOf { lens_bytes });
                assert_eq!(failed.error, expected);
                // The device did not have it, so it is as it was.
                assert_eq!(failed.returned.unwrap()[..], [4; 9]);
            }
            let failed = decrypt.decrypt(&[1; 13], &aad, buffer(&[4; 9]), &tag[..7]);
            let failed = failed.await.unwrap_err();
            assert_eq!(failed.error, exactly("tag", 7, 8));
            assert_eq!(failed.returned.unwrap()[..], [4; 9]);
            if !how.is_stateless() {
                let mut data = [0; 4];
                let outcome = decrypt.decrypt_slice(&[1; 13], &[], &mut data, &tag);
                assert_eq!(outcome.await, Err(exactly("additional data", 0, 5)));
            }
            // A nonce of 13 bytes leaves two to count the data.
            let max_bytes = 0xffff;
            let too_long = invalid("data", 0x1_0000, Requirement::AtMost { max_bytes });
            let long = DmaBuffer::new(0x1_0000).unwrap();
            let failed = encrypt.encrypt(&[1; 13], &aad, long, &mut tag).await;
            let failed = failed.unwrap_err();
            assert_eq!((failed.error, failed.returned.is_some()), (too_long, true));
            assert_eq!(encrypt.max_len_bytes(13, 5), 0xffff);
            let max = encrypt.max_len_bytes(12, 5);
            let requirement = Requirement::AtMost {
                max_bytes: max as u64,
            };
            let long = DmaBuffer::new(max + 1).unwrap();
            let failed = encrypt.encrypt(&[1; 12], &aad, long, &mut tag).await;
            assert_eq!(
                failed.unwrap_err().error,
                invalid("data", max + 1, requirement)
            );
            if how.is_stateless() {
                let aad = vec![0; 1 << 18];
                let outcome = encrypt
                    .encrypt_slice(&[1; 12], &aad, &mut [], &mut tag)
                    .await;
                let Err(Error::InvalidLength { field, .. }) = outcome else {
                    panic!("{outcome:?}")
                };
                assert_eq!(field, "request without data");
            }
            assert_eq!(rig.device.data_stats().submitted, before);
            let largest = DmaBuffer::new(max).unwrap();
            encrypt
                .encrypt(&[1; 12], &aad, largest, &mut tag)
                .await
                .unwrap();
        });
    }
}
