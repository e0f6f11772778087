//! RSA: what is right, what is refused before it is sent, and what comes back short.

use md5::{Digest, Md5};
use sha1::Sha1;
use sha2::{Sha224, Sha256, Sha384, Sha512};
use virtio_crypto::{
    DeviceFault, Error, Features, Refusal, Requirement, RsaDecryptor, RsaEncryptor, RsaHash,
    RsaPrivateKey, RsaPublicKey, RsaRawDecryptor, RsaRawEncryptor, RsaSignature, RsaSigner,
    RsaVerifier,
};

use crate::{
    rig::{Fault, Results, Rig, Served, Setup, is_in_memory, live_pages, poll_once, run},
    ways::{EVERY_WAY, How},
};

const MESSAGE: &[u8] = include_bytes!("../../../driver/testdata/rsa/message");

macro_rules! rsa_file {
    ($($name:literal),+) => {
        include_bytes!(concat!("../../../driver/testdata/rsa/", $($name),+))
    };
}

struct Answers {
    key: &'static [u8],
    encrypted: &'static [u8],
    signatures: [(RsaHash, &'static [u8]); 6],
}

macro_rules! answers {
    ($bits:literal) => {
        Answers {
            key: rsa_file!($bits, ".pkcs1.der"),
            encrypted: rsa_file!($bits, ".encrypted"),
            signatures: [
                (RsaHash::Md5, rsa_file!($bits, ".md5.sig")),
                (RsaHash::Sha1, rsa_file!($bits, ".sha1.sig")),
                (RsaHash::Sha224, rsa_file!($bits, ".sha224.sig")),
                (RsaHash::Sha256, rsa_file!($bits, ".sha256.sig")),
                (RsaHash::Sha384, rsa_file!($bits, ".sha384.sig")),
                (RsaHash::Sha512, rsa_file!($bits, ".sha512.sig")),
            ],
        }
    };
}

const ALL: [Answers; 4] = [
    answers!("1024"),
    answers!("2048"),
    answers!("3072"),
    answers!("4096"),
];

fn private(bits: usize) -> RsaPrivateKey {
    RsaPrivateKey::from_pkcs1_der(ALL[bits / 1024 - 1].key).unwrap()
}

fn digest(hash: RsaHash, message: &[u8]) -> Vec<u8> {
    match hash {
        RsaHash::Md5 => Md5::digest(message).to_vec(),
        RsaHash::Sha1 => Sha1::digest(message).to_vec(),
        RsaHash::Sha224 => Sha224::digest(message).to_vec(),
        RsaHash::Sha256 => Sha256::digest(message).to_vec(),
        RsaHash::Sha384 => Sha384::digest(message).to_vec(),
        RsaHash::Sha512 => Sha512::digest(message).to_vec(),
        other => panic!("{other:?}"),
    }
}

/// How many data requests the device has seen.
pub(crate) fn requests(rig: &Rig) -> usize {
    let log = rig.far.log();
    log.iter()
        .filter(|served| matches!(served, Served::Data | Served::Stateless))
        .count()
}

/// Opens a session, or does without one where the device was set up for that.
macro_rules! open {
    ($rig:expr, $type:ident($($argument:expr),+)) => {{
        let device = &$rig.device;
        let is_stateless = device.features().contains(Features::AKCIPHER_STATELESS_MODE);
        match is_stateless {
            true => $type::stateless(device, $($argument),+).unwrap(),
            false => $type::open(device, $($argument),+).await.unwrap(),
        }
    }};
}
pub(crate) use open;

async fn signer(
    rig: &Rig,
    bits: usize,
    hash: RsaHash,
) -> (
    RsaSigner<crate::rig::FakePlatform>,
    RsaVerifier<crate::rig::FakePlatform>,
) {
    let key = private(bits);
    let signer = open!(rig, RsaSigner(&key, hash));
    let verifier = open!(rig, RsaVerifier(key.public_key(), hash));
    (signer, verifier)
}

#[test]
fn rsa_signatures_are_the_known_ones() {
    for how in EVERY_WAY {
        let rig = how.rig().go();
        run(async {
            for (index, answers) in ALL.iter().enumerate() {
                for (hash, expected) in answers.signatures {
                    let (signer, verifier) = signer(&rig, 1024 * (index + 1), hash).await;
                    let digest = digest(hash, MESSAGE);
                    let signature = signer.sign(&digest).await.unwrap();
                    assert_eq!(
                        signature.as_ref(),
                        expected,
                        "{hash:?} {:?}",
                        signer.public_key()
                    );
                    verifier.verify(&digest, expected).await.unwrap();
                    signer.close().await.unwrap();
                    verifier.close().await.unwrap();
                }
            }
        });
        assert_eq!(rig.far.sessions(), 0);
    }
}

#[test]
fn rsa_messages_come_back() {
    for how in EVERY_WAY {
        let rig = how.rig().go();
        run(async {
            for (index, answers) in ALL.iter().enumerate() {
                let key = private(1024 * (index + 1));
                let decrypt = open!(rig, RsaDecryptor(&key));
                let encrypt = open!(rig, RsaEncryptor(key.public_key()));
                let mut message = [0; 512];
                let len = decrypt
                    .decrypt(answers.encrypted, &mut message)
                    .await
                    .unwrap();
                assert_eq!(&message[..len], MESSAGE);
                let max = encrypt.max_message_len_bytes();
                assert_eq!(max, key.public_key().modulus_len_bytes() - 11);
                for len in [1, 2, 64, max - 1, max] {
                    let sent: Vec<u8> = (0..len).map(|i| i as u8).collect();
                    let mut ciphertext = vec![0; max + 11];
                    encrypt.encrypt(&sent, &mut ciphertext).await.unwrap();
                    let software = ::rsa::pkcs1::DecodeRsaPrivateKey::from_pkcs1_der(answers.key);
                    let software: rsa::PrivateKey = software.unwrap();
                    assert_eq!(software.pkcs1v15_decrypt(&ciphertext).unwrap(), sent);
                    let mut message = vec![0xee; max];
                    let got = decrypt.decrypt(&ciphertext, &mut message).await.unwrap();
                    assert_eq!(message[..got], sent);
                    assert!(message[got..].iter().all(|byte| *byte == 0xee));
                }
            }
        });
    }
}

/// QEMU counts all that is writable where a message is empty.
#[test]
fn empty_message_is_told_from_a_long_one() {
    let rig = Rig::simple().go();
    let decrypt = run(RsaDecryptor::open(&rig.device, &private(1024))).unwrap();
    let mut message = [0xee; 117];
    let ciphertext = rsa_file!("1024.empty.encrypted");
    assert_eq!(run(decrypt.decrypt(ciphertext, &mut message)), Ok(0));
    // Another device counts what it wrote: the status.
    rig.far.set_fault(Fault::Length(1));
    assert_eq!(run(decrypt.decrypt(ciphertext, &mut message)), Ok(0));
    assert_eq!(message, [0xee; 117]);
    for len in [119, 129] {
        rig.far.set_fault(Fault::Length(len));
        let answer = run(decrypt.decrypt(ALL[0].encrypted, &mut message));
        assert_eq!(answer, Err(Error::InvalidAnswer), "{len}");
    }
    assert_eq!(message, [0xee; 117]);
}

#[test]
fn length_beyond_the_result_is_not_believed() {
    for how in EVERY_WAY {
        let rig = how.rig().go();
        run(async {
            for (index, answers) in ALL.iter().enumerate() {
                let key = private(1024 * (index + 1));
                let decrypt = open!(rig, RsaDecryptor(&key));
                let raw = open!(rig, RsaRawDecryptor(&key));
                let len_bytes = answers.encrypted.len();
                for more in [len_bytes as u32 + 2, u32::MAX] {
                    rig.far.set_fault(Fault::Length(more));
                    let mut number = vec![0; len_bytes];
                    raw.decrypt(answers.encrypted, &mut number).await.unwrap();
                    assert!(number.ends_with(MESSAGE), "{how:?} {more}");
                    rig.far.set_fault(Fault::Length(more));
                    let mut message = vec![0xee; len_bytes];
                    let decrypted = decrypt.decrypt(answers.encrypted, &mut message).await;
                    assert_eq!(decrypted, Err(Error::InvalidAnswer), "{how:?} {more}");
                    assert!(message.iter().all(|byte| *byte == 0xee));
                }
            }
        });
    }
}

#[test]
fn rsa_primitives_undo_each_other() {
    for how in EVERY_WAY {
        let rig = how.rig().go();
        run(async {
            let key = private(2048);
            let encrypt = open!(rig, RsaRawEncryptor(key.public_key()));
            let decrypt = open!(rig, RsaRawDecryptor(&key));
            let mut number = [0; 256];
            number[255] = 2;
            let (mut raised, mut back) = ([0; 256], [0; 256]);
            encrypt.encrypt(&number, &mut raised).await.unwrap();
            decrypt.decrypt(&raised, &mut back).await.unwrap();
            assert_eq!(number, back);
            rig.far.set_results(Results::AlwaysCut);
            let short = Error::ShortAnswer {
                written_bytes: 256,
                expected_bytes: 257,
            };
            assert_eq!(encrypt.encrypt(&number, &mut raised).await, Err(short));
            rig.far.set_results(Results::Whole);
            let too_short = encrypt.encrypt(&number[1..], &mut raised).await;
            assert!(matches!(
                too_short,
                Err(Error::InvalidLength {
                    field: "number",
                    ..
                })
            ));
            let too_short = decrypt.decrypt(&number, &mut back[1..]).await;
            assert!(matches!(
                too_short,
                Err(Error::InvalidLength {
                    field: "result",
                    ..
                })
            ));
            for number in [[0; 256], [0xff; 256]] {
                let beyond = Err(Error::NotBelowModulus { field: "number" });
                assert_eq!(encrypt.encrypt(&number, &mut raised).await, beyond);
                assert_eq!(decrypt.decrypt(&number, &mut back).await, beyond);
            }
        });
        assert_eq!(requests(&rig), 3);
    }
}

#[test]
fn wrong_lengths_are_not_sent() {
    for how in EVERY_WAY {
        let rig = how.rig().go();
        run(async {
            let key = private(1024);
            let encrypt = open!(rig, RsaEncryptor(key.public_key()));
            let decrypt = open!(rig, RsaDecryptor(&key));
            let (signer, verifier) = signer(&rig, 1024, RsaHash::Sha256).await;
            let wrong = |field, len_bytes, requirement| {
                Err(Error::InvalidLength {
                    field,
                    len_bytes,
                    requirement,
                })
            };
            let exactly = |len_bytes| Requirement::Exactly { len_bytes };
            let mut out = [0; 200];
            let sent = encrypt.encrypt(&[], &mut out[..128]).await;
            assert_eq!(
                sent,
                wrong("message", 0, Requirement::AtLeast { min_bytes: 1 })
            );
            let sent = encrypt.encrypt(&[1; 118], &mut out[..128]).await;
            assert_eq!(
                sent,
                wrong("message", 118, Requirement::AtMost { max_bytes: 117 })
            );
            for len in [0, 127, 129, 200] {
                let sent = encrypt.encrypt(b"message", &mut out[..len]).await;
                assert_eq!(sent, wrong("ciphertext", len, exactly(128)));
                let sent = decrypt.decrypt(&[1; 200][..len], &mut out).await.map(drop);
                assert_eq!(sent, wrong("ciphertext", len, exactly(128)));
                let sent = verifier.verify(&[1; 32], &[1; 200][..len]).await;
                assert_eq!(sent, wrong("signature", len, exactly(128)));
            }
            let sent = decrypt.decrypt(&[1; 128], &mut out[..116]).await.map(drop);
            assert_eq!(
                sent,
                wrong("message", 116, Requirement::AtLeast { min_bytes: 117 })
            );
            for len in [0, 1, 16, 20, 31, 33, 64] {
                let sent = signer.sign(&[1; 64][..len]).await.map(drop);
                assert_eq!(sent, wrong("digest", len, exactly(32)));
                let sent = verifier.verify(&[1; 64][..len], &[1; 128]).await;
                assert_eq!(sent, wrong("digest", len, exactly(32)));
            }
            for number in [[0; 128], [0xff; 128]] {
                let beyond = Err(Error::NotBelowModulus {
                    field: "ciphertext",
                });
                assert_eq!(decrypt.decrypt(&number, &mut out).await, beyond);
                let signed = verifier.verify(&[1; 32], &number).await;
                assert_eq!(signed, Err(Error::InvalidSignature));
            }
        });
        assert_eq!(requests(&rig), 0);
    }
}

#[test]
fn what_does_not_verify_is_told_from_what_failed() {
    for how in EVERY_WAY {
        let rig = how.rig().go();
        run(async {
            let (signer, verifier) = signer(&rig, 1024, RsaHash::Sha256).await;
            let digest = digest(RsaHash::Sha256, MESSAGE);
            let signature = signer.sign(&digest).await.unwrap();
            let mut other = digest.clone();
            other[31] ^= 1;
            let verified = verifier.verify(&other, signature.as_ref()).await;
            assert_eq!(verified, Err(Error::InvalidSignature));
            let mut other = signature.as_ref().to_vec();
            other[127] ^= 1;
            assert_eq!(
                verifier.verify(&digest, &other).await,
                Err(Error::InvalidSignature)
            );
            for (status, error) in [
                (1, Error::Refused(Refusal::Error)),
                (2, Error::InvalidSignature),
                (3, Error::Refused(Refusal::NotSupported)),
                (4, Error::Refused(Refusal::InvalidSession)),
                (6, Error::InvalidSignature),
            ] {
                rig.far.set_fault(Fault::Status(status));
                let verified = verifier.verify(&digest, signature.as_ref()).await;
                assert_eq!(verified, Err(error));
            }
            verifier.verify(&digest, signature.as_ref()).await.unwrap();
            rig.far.set_fault(Fault::NoStatus);
            let verified = verifier.verify(&digest, signature.as_ref()).await;
            let unanswered = matches!(verified, Err(Error::Broken(DeviceFault::Unanswered { .. })));
            assert!(unanswered, "{verified:?}");
        });
    }
}

#[test]
fn a_ciphertext_of_another_key_is_refused() {
    for how in EVERY_WAY {
        let rig = how.rig().go();
        let decrypt = run(async { open!(rig, RsaDecryptor(&private(1024))) });
        let mut message = [0xee; 117];
        let refused = run(decrypt.decrypt(&[0x55; 128], &mut message));
        assert_eq!(refused, Err(Error::Refused(Refusal::Error)));
        assert_eq!(message, [0xee; 117]);
    }
}

/// Signs until a signature begins with a zero byte.
async fn sign_a_short_one(rig: &Rig, results: Results) {
    let (signer, verifier) = signer(rig, 1024, RsaHash::Sha1).await;
    rig.far.set_results(results);
    for number in 0u32.. {
        let digest = Sha1::digest(number.to_le_bytes());
        let signature = signer.sign(&digest).await.unwrap();
        if signature.as_ref()[0] == 0 {
            verifier.verify(&digest, signature.as_ref()).await.unwrap();
            break;
        }
    }
    signer.close().await.unwrap();
    verifier.close().await.unwrap();
}

#[test]
fn short_signatures_are_completed_and_proved() {
    for how in EVERY_WAY {
        let rig = how.rig().go();
        run(sign_a_short_one(&rig, Results::Cut));
        run(sign_a_short_one(&rig, Results::Stripped));
        assert_eq!(rig.far.sessions(), 0);
    }
}

#[test]
fn what_cannot_be_proved_is_an_error() {
    for how in EVERY_WAY {
        let rig = how.rig().go();
        run(async {
            let (signer, _verifier) = signer(&rig, 1024, RsaHash::Sha256).await;
            let digest = digest(RsaHash::Sha256, MESSAGE);
            let short = |written_bytes| {
                Err(Error::ShortAnswer {
                    written_bytes,
                    expected_bytes: 129,
                })
            };
            rig.far.set_results(Results::AlwaysCut);
            assert_eq!(signer.sign(&digest).await, short(128));
            rig.far.set_results(Results::Whole);
            for len in [1, 2, 100, 127] {
                rig.far.set_fault(Fault::Length(len));
                assert_eq!(signer.sign(&digest).await, short(len));
            }
            signer.sign(&digest).await.unwrap();
        });
        rig.serve_all();
        assert_eq!(rig.far.sessions(), 0);
    }
}

/// The public half needs a session for a while: if there is none, that is said.
#[test]
fn no_session_for_the_proof_is_an_error() {
    let rig = Rig::simple().go();
    run(async {
        let (signer, verifier) = signer(&rig, 1024, RsaHash::Sha256).await;
        verifier.close().await.unwrap();
        rig.far.limit_sessions(1);
        rig.far.set_results(Results::AlwaysCut);
        let signed = signer.sign(&[7; 32]).await;
        assert_eq!(signed, Err(Error::Refused(Refusal::Error)));
    });
}

#[test]
fn a_signature_cancelled_in_its_proof_leaves_no_session() {
    let rig = Rig::simple();
    let mut open = Box::pin(signer(&rig, 1024, RsaHash::Sha256));
    let (signer, verifier) = loop {
        match poll_once(open.as_mut()) {
            core::task::Poll::Ready(both) => break both,
            core::task::Poll::Pending => rig.serve_all(),
        }
    };
    drop((open, verifier));
    rig.serve_all();
    rig.far.set_results(Results::AlwaysCut);
    for served in [0, 1, 2] {
        let mut sign = Box::pin(signer.sign(&[7; 32]));
        for step in 0..=served {
            assert!(poll_once(sign.as_mut()).is_pending(), "{step} of {served}");
            if step < served {
                assert_eq!(rig.far.serve(step % 2, 1), 1);
                rig.device.poll();
            }
        }
        drop(sign);
        rig.serve_all();
        assert_eq!(rig.far.sessions(), 1, "after {served}");
    }
}

#[test]
fn short_ciphertexts_are_made_anew() {
    for how in EVERY_WAY {
        let rig = how.rig().go();
        run(async {
            let key = private(1024);
            let encrypt = open!(rig, RsaEncryptor(key.public_key()));
            let decrypt = open!(rig, RsaDecryptor(&key));
            rig.far.set_results(Results::Cut);
            let mut encrypted = 0;
            while requests(&rig) <= 2 * encrypted {
                assert!(encrypted < 5000, "no short one");
                let (mut ciphertext, mut message) = ([0; 128], [0; 117]);
                encrypt.encrypt(b"message", &mut ciphertext).await.unwrap();
                let len = decrypt.decrypt(&ciphertext, &mut message).await.unwrap();
                assert_eq!(&message[..len], b"message");
                encrypted += 1;
            }
            rig.far.set_results(Results::AlwaysCut);
            let before = requests(&rig);
            let short = Error::ShortAnswer {
                written_bytes: 128,
                expected_bytes: 129,
            };
            assert_eq!(encrypt.encrypt(b"message", &mut [0; 128]).await, Err(short));
            assert_eq!(requests(&rig) - before, 16);
        });
    }
}

#[test]
fn private_keys_do_not_stay_in_device_memory() {
    let rig = Rig::simple();
    for bits in [1024, 4096] {
        let key = private(bits);
        let der = ALL[bits / 1024 - 1].key;
        let mut open = Box::pin(RsaSigner::open(&rig.device, &key, RsaHash::Sha1));
        assert!(poll_once(open.as_mut()).is_pending());
        assert!(is_in_memory(der), "the test looks in the wrong place");
        rig.far.serve(1, 1);
        rig.device.poll();
        assert!(poll_once(open.as_mut()).is_ready());
        assert!(!is_in_memory(&der[der.len() / 2..]), "the key stays behind");
        drop(open);
        rig.serve_all();
    }
}

#[test]
fn decrypted_messages_do_not_stay_in_device_memory() {
    let rig = Rig::simple();
    let key = private(1024);
    let mut open = Box::pin(RsaDecryptor::open(&rig.device, &key));
    assert!(poll_once(open.as_mut()).is_pending());
    rig.serve_all();
    let core::task::Poll::Ready(Ok(decrypt)) = poll_once(open.as_mut()) else {
        panic!("no session");
    };
    let mut message = [0; 117];
    let mut request = Box::pin(decrypt.decrypt(ALL[0].encrypted, &mut message));
    assert!(poll_once(request.as_mut()).is_pending());
    rig.far.serve(0, 1);
    assert!(is_in_memory(MESSAGE), "the test looks in the wrong place");
    assert!(poll_once(request.as_mut()).is_ready());
    assert!(!is_in_memory(MESSAGE), "the message stays behind");
}

/// A key that each request brings leaves no room in a slot from 3072 bits on.
#[test]
fn private_keys_without_a_session_do_not_stay_in_device_memory() {
    let rig = How::Stateless.rig();
    for bits in [1024, 2048, 3072, 4096] {
        let key = private(bits);
        let der = ALL[bits / 1024 - 1].key;
        let (signer, pages) = (
            RsaSigner::stateless(&rig.device, &key, RsaHash::Sha1).unwrap(),
            live_pages(),
        );
        for (is_served, is_dropped) in [(true, false), (true, true), (false, true)] {
            let mut sign = Box::pin(signer.sign(&[7; 20]));
            assert!(poll_once(sign.as_mut()).is_pending());
            assert!(is_in_memory(der), "the test looks in the wrong place");
            if is_served {
                rig.far.serve(0, 1);
            }
            if !is_dropped {
                assert!(poll_once(sign.as_mut()).is_ready());
            }
            drop(sign);
            rig.serve_all();
            assert!(!is_in_memory(&der[der.len() / 2..]), "the key stays behind");
            assert_eq!(live_pages(), pages);
        }
    }
}

#[test]
fn long_keys_without_a_session_go_through_queues_of_four_entries() {
    for refuse in [Features::empty(), Features::INDIRECT_DESC] {
        let setup = Setup {
            features: How::Stateless.features() & !refuse,
            queue_size: 4,
            ..Setup::default()
        };
        let rig = Rig::new(setup, Rig::options()).unwrap().go();
        run(async {
            let (signer, verifier) = signer(&rig, 4096, RsaHash::Sha512).await;
            let signature = signer.sign(&[7; 64]).await.unwrap();
            verifier.verify(&[7; 64], signature.as_ref()).await.unwrap();
        });
    }
}

/// The key counts as a part of the request.
#[test]
fn keys_that_the_device_has_no_room_for_are_not_sent() {
    let options = Rig::options_with(|options| options.max_size_bytes = 1024);
    let setup = Setup {
        features: How::Stateless.features(),
        ..Setup::default()
    };
    let rig = Rig::new(setup, options).unwrap().go();
    run(async {
        let (short, _) = signer(&rig, 1024, RsaHash::Sha256).await;
        short.sign(&[7; 32]).await.unwrap();
        let (long, _) = signer(&rig, 2048, RsaHash::Sha256).await;
        let sent = long.sign(&[7; 32]).await;
        assert!(matches!(sent, Err(Error::InvalidLength { .. })), "{sent:?}");
    });
    assert_eq!(requests(&rig), 1);
}

#[cfg(feature = "signature")]
mod traits {
    use signature::{AsyncSigner, AsyncVerifier, SignatureEncoding, hazmat::AsyncPrehashSigner};

    use super::*;

    #[test]
    fn messages_are_hashed_and_signed() {
        let rig = Rig::simple().go();
        run(async {
            for (hash, expected) in ALL[0].signatures {
                let (signer, verifier) = signer(&rig, 1024, hash).await;
                let signature: RsaSignature = signer.sign_async(MESSAGE).await.unwrap();
                assert_eq!(signature.to_bytes().as_ref(), expected);
                let digest = digest(hash, MESSAGE);
                let again: RsaSignature = signer.sign_prehash_async(&digest).await.unwrap();
                assert_eq!(again.to_vec(), expected);
                verifier.verify_async(MESSAGE, &signature).await.unwrap();
                let other = verifier
                    .verify_async(b"another", &signature)
                    .await
                    .unwrap_err();
                let source = core::error::Error::source(&other).unwrap();
                let source = source.downcast_ref::<Error>();
                assert_eq!(source, Some(&Error::InvalidSignature));
                assert!(signer.sign_prehash_async(&digest[1..]).await.is_err());
            }
        });
    }
}

/// The trait a caller would otherwise miss: a signature from bytes.
#[test]
fn signatures_are_made_from_bytes() {
    assert_eq!(
        RsaSignature::try_from(&[7; 512][..]).unwrap().as_ref(),
        [7; 512]
    );
    assert!(matches!(
        RsaSignature::try_from(&[7; 513][..]),
        Err(Error::InvalidLength { len_bytes: 513, .. })
    ));
    let _public: fn(&[u8]) -> Result<RsaPublicKey, Error> = RsaPublicKey::from_pkcs1_der;
}
