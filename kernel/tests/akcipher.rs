//! Public keys on a real device. Which operations it has is its own affair: those that it refuses
//! have to be refused as errors, and to leave it as it was.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::{sync::Arc, vec, vec::Vec};

use kernel::{
    crypto::{self, CryptoDevice, Reach, Wiring},
    platform::KernelPlatform,
    println, smp,
    task::executor,
    time,
};
use rsa::pkcs1::DecodeRsaPublicKey;
use sha1::Sha1;
use spin::Once;
use virtio_crypto::{
    Cipher, CipherAlgorithm, Curve, Direction, EcdsaNumber, EcdsaPrivateKey, EcdsaSigner, Error,
    Options, Refusal, RsaDecryptor, RsaEncryptor, RsaHash, RsaPrivateKey, RsaRawDecryptor,
    RsaRawEncryptor, RsaSigner, RsaVerifier,
};

#[path = "support/rsa.rs"]
mod rsa_support;

use rsa_support::lacks_rsa;

kernel::tests! {
    machines: ["vectors=3", "vectors=0", "smp=4 vectors=3"],
    tests: [
        signatures_are_the_known_ones,
        ciphertexts_decrypt_to_the_known_message,
        messages_come_back,
        short_results_are_never_passed_on,
        moduli_of_any_length_serve,
        signatures_are_verified_first,
        what_does_not_verify_is_an_error,
        wrong_ciphertexts_are_errors,
        wrong_lengths_leave_the_device_as_it_was,
        what_the_device_refuses_is_an_error,
        cipher_sessions_come_and_go_beside,
        dropped_requests_leave_no_session,
    ],
}

const MESSAGE: &[u8] = include_bytes!("../../driver/testdata/rsa/message");

struct Answers {
    key: &'static [u8],
    encrypted: &'static [u8],
    signatures: [&'static [u8]; 6],
}

macro_rules! file {
    ($($name:literal),+) => {
        include_bytes!(concat!("../../driver/testdata/rsa/", $($name),+))
    };
}

macro_rules! answers {
    ($bits:literal) => {
        Answers {
            key: file!($bits, ".pkcs1.der"),
            encrypted: file!($bits, ".encrypted"),
            signatures: [
                file!($bits, ".md5.sig"),
                file!($bits, ".sha1.sig"),
                file!($bits, ".sha224.sig"),
                file!($bits, ".sha256.sig"),
                file!($bits, ".sha384.sig"),
                file!($bits, ".sha512.sig"),
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

/// Each hash with the digest of the message.
const DIGESTS: [(RsaHash, &[u8]); 6] = [
    (RsaHash::Md5, file!("message.md5")),
    (RsaHash::Sha1, file!("message.sha1")),
    (RsaHash::Sha224, file!("message.sha224")),
    (RsaHash::Sha256, file!("message.sha256")),
    (RsaHash::Sha384, file!("message.sha384")),
    (RsaHash::Sha512, file!("message.sha512")),
];

type Signer = RsaSigner<KernelPlatform>;
type Verifier = RsaVerifier<KernelPlatform>;

fn device() -> &'static Arc<CryptoDevice> {
    static DEVICE: Once<Arc<CryptoDevice>> = Once::new();
    DEVICE.call_once(|| {
        assert_eq!(smp::start_all(), 0, "CPUs did not come up");
        crypto::open_crypto(0, Reach::Pci, Wiring::Best, Options::default())
            .unwrap()
            .expect("a device")
    })
}

fn key(answers: &Answers) -> RsaPrivateKey {
    RsaPrivateKey::from_pkcs1_der(answers.key).unwrap()
}

fn open(key: &RsaPrivateKey, hash: RsaHash) -> Result<(Signer, Verifier), Error> {
    executor::block_on(async {
        let signer = RsaSigner::open(device(), key, hash).await?;
        let verifier = RsaVerifier::open(device(), key.public_key(), hash).await?;
        Ok((signer, verifier))
    })
}

/// Waits until nothing is in flight and no session is left; then the device has to be as it was.
fn settle() {
    crypto::wait_until_idle(device(), 0, 10_000_000_000);
    let mut block = [0; 16];
    executor::block_on(async {
        let open = Cipher::open(
            device(),
            CipherAlgorithm::AesCbc,
            Direction::Encrypt,
            &[0; 16],
        );
        let cipher = open.await.unwrap();
        cipher.process_slice(&[0; 16], &mut block).await.unwrap();
        cipher.close().await.unwrap();
    });
    // AES of zeros with a key of zeros.
    assert_eq!(block[..4], [0x66, 0xe9, 0x4b, 0xd4]);
}

fn signatures_are_the_known_ones() {
    if lacks_rsa(device()) {
        return;
    }
    let mut known = 0;
    for answers in &ALL {
        for ((hash, digest), expected) in DIGESTS.into_iter().zip(answers.signatures) {
            // QEMU's builtin backend knows four of the six.
            let (signer, verifier) = match open(&key(answers), hash) {
                Ok(both) => both,
                Err(Error::Refused(_)) if matches!(hash, RsaHash::Sha224 | RsaHash::Sha384) => {
                    continue;
                }
                Err(error) => panic!("{hash:?}: {error}"),
            };
            let signature = executor::block_on(signer.sign(digest)).unwrap();
            assert_eq!(
                signature.as_ref(),
                expected,
                "{hash:?}, {:?}",
                signer.public_key()
            );
            executor::block_on(verifier.verify(digest, expected)).unwrap();
            known += 1;
        }
    }
    assert!(known >= 16, "{known} signatures");
    settle();
}

fn ciphertexts_decrypt_to_the_known_message() {
    if lacks_rsa(device()) {
        return;
    }
    for answers in &ALL {
        let decrypt = executor::block_on(RsaDecryptor::open(device(), &key(answers))).unwrap();
        let mut message = [0; 512];
        let decrypted = decrypt.decrypt(answers.encrypted, &mut message);
        let len = executor::block_on(decrypted).unwrap();
        assert_eq!(&message[..len], MESSAGE);
    }
    let decrypt = executor::block_on(RsaDecryptor::open(device(), &key(&ALL[0]))).unwrap();
    let mut message = [0xee; 117];
    let decrypted = decrypt.decrypt(file!("1024.empty.encrypted"), &mut message);
    assert_eq!(executor::block_on(decrypted), Ok(0), "an empty message");
    assert_eq!(message, [0xee; 117]);
    drop(decrypt);
    settle();
}

fn messages_come_back() {
    if lacks_rsa(device()) {
        return;
    }
    for answers in &ALL {
        let key = key(answers);
        executor::block_on(async {
            let encrypt = RsaEncryptor::open(device(), key.public_key())
                .await
                .unwrap();
            let decrypt = RsaDecryptor::open(device(), &key).await.unwrap();
            let max = encrypt.max_message_len_bytes();
            for len in [1, 2, 64, max - 1, max] {
                let sent: Vec<u8> = (0..len).map(|i| (i * 7) as u8).collect();
                let (mut ciphertext, mut message) = (vec![0; max + 11], vec![0; max]);
                encrypt.encrypt(&sent, &mut ciphertext).await.unwrap();
                let got = decrypt.decrypt(&ciphertext, &mut message).await.unwrap();
                assert_eq!(message[..got], sent, "{len} bytes");
            }
        });
    }
    settle();
}

/// About one result in 256 begins with a zero byte; QEMU 7.2 gives those one byte short. Every
/// signature is verified in software.
fn short_results_are_never_passed_on() {
    const SIGNATURES: u32 = 1500;
    const ENCRYPTIONS: u32 = 800;
    if lacks_rsa(device()) {
        return;
    }
    let key = key(&ALL[0]);
    let (signer, verifier) = open(&key, RsaHash::Sha1).unwrap();
    let software = rsa::PublicKey::from_pkcs1_der(key.public_key().as_pkcs1_der()).unwrap();
    let requests = || device().data_stats().submitted;
    let (before, mut short) = (requests(), 0);
    for number in 0..SIGNATURES {
        let mut digest = [0x5a; 20];
        digest[..4].copy_from_slice(&number.to_le_bytes());
        let signature = executor::block_on(signer.sign(&digest)).unwrap();
        let verified = software.pkcs1v15_verify_prehash::<Sha1>(&digest, signature.as_ref());
        assert!(verified.is_ok(), "signature {number}: {signature:?}");
        short += u32::from(signature.as_ref()[0] == 0);
    }
    // The key and the digests are the same in every run, so this many begin with zero in every run.
    assert!(
        short > 0,
        "none of {SIGNATURES} signatures begins with a zero byte"
    );
    let proofs = requests() - before - u64::from(SIGNATURES);
    let before = requests();
    executor::block_on(async {
        let encrypt = RsaEncryptor::open(device(), key.public_key())
            .await
            .unwrap();
        let decrypt = RsaDecryptor::open(device(), &key).await.unwrap();
        for number in 0..ENCRYPTIONS {
            let (sent, mut ciphertext, mut message) = (number.to_le_bytes(), [0; 128], [0; 117]);
            encrypt.encrypt(&sent, &mut ciphertext).await.unwrap();
            let len = decrypt.decrypt(&ciphertext, &mut message).await.unwrap();
            assert_eq!(message[..len], sent);
        }
    });
    let again = requests() - before - 2 * u64::from(ENCRYPTIONS);
    println!(
        "rsa: signatures={SIGNATURES} with_leading_zero={short} verifies_to_complete_them={proofs} \
         encryptions={ENCRYPTIONS} made_anew={again}"
    );
    drop(signer);
    drop(verifier);
    settle();
}

/// Most results of these begin with a zero byte, and some with two.
fn moduli_of_any_length_serve() {
    const ODD: [&[u8]; 2] = [file!("1025.pkcs1.der"), file!("1026.pkcs1.der")];
    const ENCRYPTIONS: u32 = 100;
    const SIGNATURES: u32 = 16;
    if lacks_rsa(device()) {
        return;
    }
    let requests = || device().data_stats().submitted;
    for der in ODD {
        let key = RsaPrivateKey::from_pkcs1_der(der).unwrap();
        let (bits, len) = (
            key.public_key().modulus_bits(),
            key.public_key().modulus_len_bytes(),
        );
        let before = requests();
        executor::block_on(async {
            let encrypt = RsaEncryptor::open(device(), key.public_key())
                .await
                .unwrap();
            let decrypt = RsaDecryptor::open(device(), &key).await.unwrap();
            for number in 0..ENCRYPTIONS {
                let (mut ciphertext, mut message) = (vec![0; len], vec![0; len]);
                let sent = number.to_le_bytes();
                encrypt.encrypt(&sent, &mut ciphertext).await.unwrap();
                let got = decrypt.decrypt(&ciphertext, &mut message).await.unwrap();
                assert_eq!(message[..got], sent, "{bits} bits");
            }
        });
        let again = requests() - before - 2 * u64::from(ENCRYPTIONS);
        let (signer, verifier) = open(&key, RsaHash::Sha1).unwrap();
        let mut short = 0;
        let start_ns = time::now_ns();
        let numbers: Vec<_> = (0..SIGNATURES).map(|number| [number as u8; 20]).collect();
        let signs = numbers.iter().map(|digest| signer.sign(digest));
        let signed = executor::block_on(device().batch(crypto::join_all(signs)));
        let elapsed_us = (time::now_ns() - start_ns) / 1000;
        for (digest, signature) in numbers.iter().zip(signed) {
            let signature = signature.unwrap();
            executor::block_on(verifier.verify(digest, signature.as_ref())).unwrap();
            short += u32::from(signature.as_ref()[0] == 0);
        }
        assert!(short > 0, "none of {SIGNATURES} came short");
        println!(
            "rsa: bits={bits} encryptions={ENCRYPTIONS} made_anew={again} signatures={SIGNATURES} \
             with_leading_zero={short} us={elapsed_us}"
        );
    }
    settle();
}

fn signatures_are_verified_first() {
    if lacks_rsa(device()) {
        return;
    }
    let (mut signer, verifier) = open(&key(&ALL[1]), RsaHash::Sha256).unwrap();
    executor::block_on(async {
        signer.verify_signatures().await.unwrap();
        let before = device().data_stats().submitted;
        let signature = signer.sign(DIGESTS[3].1).await.unwrap();
        assert_eq!(signature.as_ref(), ALL[1].signatures[3]);
        assert_eq!(device().data_stats().submitted - before, 2);
        signer.close().await.unwrap();
    });
    drop(verifier);
    settle();
}

fn what_does_not_verify_is_an_error() {
    if lacks_rsa(device()) {
        return;
    }
    for answers in &ALL {
        let (signer, verifier) = open(&key(answers), RsaHash::Sha256).unwrap();
        executor::block_on(async {
            let digest = DIGESTS[3].1;
            let signature = signer.sign(digest).await.unwrap();
            let mut other = digest.to_vec();
            other[0] ^= 1;
            let verified = verifier.verify(&other, signature.as_ref()).await;
            assert_eq!(verified, Err(Error::InvalidSignature));
            let mut other = signature.as_ref().to_vec();
            other[100] ^= 1;
            let verified = verifier.verify(digest, &other).await;
            assert_eq!(verified, Err(Error::InvalidSignature));
            for number in [0, 0xff] {
                let other = vec![number; other.len()];
                let verified = verifier.verify(digest, &other).await;
                assert_eq!(verified, Err(Error::InvalidSignature));
            }
            verifier.verify(digest, signature.as_ref()).await.unwrap();
        });
    }
    settle();
}

fn wrong_ciphertexts_are_errors() {
    if lacks_rsa(device()) {
        return;
    }
    for answers in &ALL {
        let decrypt = executor::block_on(RsaDecryptor::open(device(), &key(answers))).unwrap();
        let mut message = [0xee; 512];
        for first in [1, 0x55, 0x7f] {
            let ciphertext = vec![first; answers.encrypted.len()];
            let refused = executor::block_on(decrypt.decrypt(&ciphertext, &mut message));
            assert_eq!(refused, Err(Error::Refused(Refusal::Error)));
        }
        assert_eq!(message, [0xee; 512]);
        let decrypted = executor::block_on(decrypt.decrypt(answers.encrypted, &mut message));
        assert_eq!(decrypted, Ok(MESSAGE.len()));
    }
    settle();
}

fn wrong_lengths_leave_the_device_as_it_was() {
    let key = key(&ALL[0]);
    let (signer, verifier) = open(&key, RsaHash::Sha256).unwrap();
    let before = device().data_stats().submitted;
    executor::block_on(async {
        let encrypt = RsaEncryptor::open(device(), key.public_key())
            .await
            .unwrap();
        let decrypt = RsaDecryptor::open(device(), &key).await.unwrap();
        let mut out = [0; 4096];
        for len in [0, 1, 20, 31, 33, 64, 128] {
            assert!(signer.sign(&[1; 128][..len]).await.is_err());
            assert!(verifier.verify(&[1; 128][..len], &[1; 128]).await.is_err());
        }
        for len in [0, 1, 127, 129, 4096] {
            assert!(verifier.verify(&[1; 32], &[1; 4096][..len]).await.is_err());
            assert!(encrypt.encrypt(b"message", &mut out[..len]).await.is_err());
            assert!(decrypt.decrypt(&[1; 4096][..len], &mut out).await.is_err());
        }
        for len in [0, 118, 128, 4096] {
            assert!(
                encrypt
                    .encrypt(&[1; 4096][..len], &mut out[..128])
                    .await
                    .is_err()
            );
        }
        assert!(decrypt.decrypt(&[1; 128], &mut out[..116]).await.is_err());
    });
    assert_eq!(
        device().data_stats().submitted,
        before,
        "something was sent"
    );
    drop((signer, verifier));
    settle();
}

/// The primitives alone, where the device has them not; ECDSA under both numbers.
fn what_the_device_refuses_is_an_error() {
    let key = key(&ALL[1]);
    executor::block_on(async {
        let (mut raised, mut back) = ([0; 256], [0; 256]);
        let mut number = [0; 256];
        number[255] = 2;
        let encrypt = RsaRawEncryptor::open(device(), key.public_key())
            .await
            .unwrap();
        let decrypt = RsaRawDecryptor::open(device(), &key).await.unwrap();
        match encrypt.encrypt(&number, &mut raised).await {
            Ok(()) => {
                decrypt.decrypt(&raised, &mut back).await.unwrap();
                assert_eq!(number, back);
            }
            Err(Error::Refused(_)) => {
                let refused = decrypt.decrypt(&number, &mut back).await;
                assert!(matches!(refused, Err(Error::Refused(_))), "{refused:?}");
            }
            Err(error) => panic!("{error}"),
        }
        let key = EcdsaPrivateKey::from_scalar(Curve::P256, &[1; 32]).unwrap();
        for number in [EcdsaNumber::Specification, EcdsaNumber::Linux] {
            let opened = EcdsaSigner::open(device(), &key, number).await;
            let opened = opened.map(drop);
            assert!(matches!(opened, Err(Error::Refused(_))), "{opened:?}");
        }
    });
    settle();
}

/// A session's id is given to the next one at once: requests never meet a session of another
/// service.
fn cipher_sessions_come_and_go_beside() {
    async fn ciphers(rounds: u32) {
        for _ in 0..rounds {
            let open = Cipher::open(
                device(),
                CipherAlgorithm::AesCbc,
                Direction::Encrypt,
                &[7; 16],
            );
            let cipher = open.await.unwrap();
            let mut block = [1; 16];
            cipher.process_slice(&[0; 16], &mut block).await.unwrap();
        }
    }
    async fn signatures(rounds: u32) {
        let (hash, digest) = DIGESTS[3];
        for _ in 0..rounds {
            let key = key(&ALL[0]);
            let signer = RsaSigner::open(device(), &key, hash).await.unwrap();
            match signer.sign(digest).await {
                Ok(signature) => assert_eq!(signature.as_ref(), ALL[0].signatures[3]),
                Err(error) => assert_eq!(error, Error::Refused(Refusal::NotSupported)),
            }
        }
    }
    device();
    executor::block_on(async {
        let mut tasks = Vec::new();
        for number in 0..24 {
            let cpu = number % smp::online();
            tasks.push(executor::spawn_on(cpu, ciphers(30)).unwrap());
            tasks.push(executor::spawn_on(cpu, signatures(20)).unwrap());
        }
        for task in tasks {
            task.await;
        }
    });
    settle();
}

fn dropped_requests_leave_no_session() {
    device();
    executor::block_on(async {
        for round in 0..50u64 {
            let task = executor::spawn(async {
                let key = key(&ALL[0]);
                let (hash, digest) = DIGESTS[3];
                let signer = RsaSigner::open(device(), &key, hash).await?;
                signer.sign(digest).await
            });
            kernel::time::sleep_ns(round * 20_000).await;
            drop(task);
        }
    });
    settle();
}
