//! What is left of keys and plaintext in the heap: nothing, once who had them has dropped them.
//!
//! Futures are in boxes here, as an executor has them, so what one leaves where it was is found.

use core::{future::Future, task::Poll};

use pkcs1::{RsaPrivateKeyRef, der::Decode};
use virtio_crypto::{
    AeadAlgorithm, AeadDecrypt, AeadEncrypt, Chain, ChainInput, ChainOrder, ChainParameters,
    ChainedHash, Cipher, CipherAlgorithm, CipherStream, Curve, Direction, DmaBuffer, EcdsaNumber,
    EcdsaPrivateKey, EcdsaSigner, Error, Features, Mac, MacAlgorithm, RsaDecryptor, RsaHash,
    RsaPrivateKey, RsaRawDecryptor, RsaSigner, SessionCache,
};

use crate::{
    heap::{Watch, unwatched},
    rig::{Fault, Results, Rig, is_in_freed_memory, is_in_memory, poll_once},
    ways::{EVERY_WAY, How},
};

const KEYS: [&[u8]; 3] = [
    include_bytes!("../../../driver/testdata/rsa/1024.pkcs1.der"),
    include_bytes!("../../../driver/testdata/rsa/2048.pkcs1.der"),
    include_bytes!("../../../driver/testdata/rsa/4096.pkcs1.der"),
];
const ENCRYPTED: [&[u8]; 3] = [
    include_bytes!("../../../driver/testdata/rsa/1024.encrypted"),
    include_bytes!("../../../driver/testdata/rsa/2048.encrypted"),
    include_bytes!("../../../driver/testdata/rsa/4096.encrypted"),
];
const MESSAGE: &[u8] = include_bytes!("../../../driver/testdata/rsa/message");

/// The secret numbers of a key.
fn numbers(der: &[u8]) -> [&[u8]; 6] {
    let key = RsaPrivateKeyRef::from_der(der).unwrap();
    [
        key.private_exponent,
        key.prime1,
        key.prime2,
        key.exponent1,
        key.exponent2,
        key.coefficient,
    ]
    .map(|number| number.as_bytes())
}

/// Bytes that stand nowhere else: in statics, since what moves over a stack stays there, and comes
/// into the heap with the unused bytes of whatever is moved there next.
const fn unique<const LEN: usize>(seed: u64) -> [u8; LEN] {
    let mut state = 0x9e37_79b9_7f4a_7c15u64 ^ seed;
    let mut bytes = [0; LEN];
    let mut at = 0;
    while at < LEN {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(99);
        bytes[at] = (state >> 56) as u8;
        at += 1;
    }
    bytes
}

static SCALAR: [u8; 32] = unique(1);
static KEY: [u8; 32] = unique(2);
static MAC_KEY: [u8; 32] = unique(3);
static PLAINTEXT: [u8; 1520] = unique(4);
static IV: [u8; 16] = unique(8);
static CACHED: [[u8; 32]; 3] = [unique(5), unique(6), unique(7)];

/// Overwrites the stack below, in which driver and device have computed.
#[inline(never)]
fn scrub_stack() {
    core::hint::black_box(&mut [0u8; 1 << 17]);
}

/// Lets the device do all that it has.
fn serve(rig: &Rig) {
    loop {
        let serve = |queue| unwatched(|| rig.far.serve(queue, usize::MAX));
        let served: usize = rig.far.queues().map(serve).sum();
        scrub_stack();
        rig.device.poll();
        if served == 0 {
            return;
        }
    }
}

/// Runs a future in a box.
fn drive<F: Future>(rig: &Rig, future: F) -> F::Output {
    let mut future = Box::pin(future);
    for _ in 0..100 {
        let polled = poll_once(future.as_mut());
        scrub_stack();
        if let Poll::Ready(output) = polled {
            return output;
        }
        serve(rig);
    }
    panic!("no end")
}

/// Drops a future, made anew each time, after each of its first polls, answered or not.
macro_rules! drop_at_each_wait {
    ($rig:expr, $future:expr) => {
        for (polls, is_served) in [(1, false), (1, true), (2, false), (2, true), (3, false)] {
            let mut future = Box::pin($future);
            for poll in 1..=polls {
                let polled = poll_once(future.as_mut());
                scrub_stack();
                if polled.is_ready() {
                    break;
                }
                if poll < polls || is_served {
                    serve($rig);
                }
            }
            drop(future);
            serve($rig);
        }
    };
}

/// Opens a session, or does without one where the device was set up for that.
macro_rules! open {
    ($rig:expr, $type:ident($($argument:expr),+) $(, $aad:expr)?) => {{
        let device = &$rig.device;
        match device.features().contains(Features::CIPHER_STATELESS_MODE) {
            true => $type::stateless(device, $($argument),+).unwrap(),
            false => drive($rig, $type::open(device, $($argument,)+ $($aad)?)).unwrap(),
        }
    }};
}

#[test]
fn rsa_keys_leave_nothing_in_the_heap() {
    for der in KEYS {
        let watch = Watch::new(&numbers(der));
        let key = RsaPrivateKey::from_pkcs1_der(der).unwrap();
        assert!(
            watch.live_with_secret() > 0,
            "the test looks in the wrong place"
        );
        drop(key.clone());
        drop(key);
        watch.check("after a key");
        let mut changed = unwatched(|| der.to_vec());
        // The coefficient comes last; a number above its prime is refused.
        let at = changed.len() - numbers(der)[5].len();
        changed[at..].fill(0xff);
        assert!(RsaPrivateKey::from_pkcs1_der(&changed).is_err());
        assert!(RsaPrivateKey::from_pkcs1_der(&der[..der.len() - 1]).is_err());
        watch.check("after keys that are refused");
    }
}

#[cfg(feature = "pkcs8")]
#[test]
fn enveloped_rsa_keys_leave_nothing_in_the_heap() {
    let watch = Watch::new(&numbers(KEYS[1]));
    let der = include_bytes!("../../../driver/testdata/rsa/2048.pkcs8.der");
    drop(RsaPrivateKey::from_pkcs8_der(der).unwrap());
    watch.check("after a key");
}

#[test]
fn private_key_operations_leave_nothing_in_the_heap() {
    for how in EVERY_WAY {
        for (der, encrypted) in KEYS.into_iter().zip(ENCRYPTED) {
            let mut secrets = numbers(der).to_vec();
            secrets.push(MESSAGE);
            let watch = Watch::new(&secrets);
            let rig = how.rig();
            let key = RsaPrivateKey::from_pkcs1_der(der).unwrap();
            let signer = open!(&rig, RsaSigner(&key, RsaHash::Sha256));
            let decryptor = open!(&rig, RsaDecryptor(&key));
            let raw = open!(&rig, RsaRawDecryptor(&key));
            drop(key);
            let mut message = [0; 512];
            let decrypted = decryptor.decrypt(encrypted, &mut message);
            let len = drive(&rig, decrypted).unwrap();
            assert_eq!(&message[..len], MESSAGE);
            let mut result = vec![0; encrypted.len()];
            drive(&rig, raw.decrypt(encrypted, &mut result)).unwrap();
            assert!(result.ends_with(MESSAGE));
            result.fill(0);
            drive(&rig, signer.sign(&[7; 32])).unwrap();
            // Answers that do not count are left nowhere either.
            for fault in [
                Fault::Status(1),
                Fault::Length(0),
                Fault::Length(40),
                Fault::Length(9999),
            ] {
                rig.far.set_fault(fault);
                let mut message = [0; 512];
                let decrypted = drive(&rig, decryptor.decrypt(encrypted, &mut message));
                assert_eq!(decrypted.is_ok(), fault == Fault::Length(40), "{fault:?}");
                let written = decrypted.unwrap_or(0);
                assert_eq!(message[written..], [0; 512][written..], "{fault:?}");
                rig.far.set_fault(fault);
                let outcome = drive(&rig, raw.decrypt(encrypted, &mut result));
                if outcome.is_err() {
                    assert!(result.iter().all(|byte| *byte == 0), "{fault:?}");
                }
                result.fill(0);
            }
            drop_at_each_wait!(&rig, decryptor.decrypt(encrypted, &mut message));
            drop(signer);
            drive(&rig, decryptor.close()).unwrap();
            drive(&rig, raw.close()).unwrap();
            serve(&rig);
            watch.check("after the sessions");
            assert!(!is_in_memory(&MESSAGE[..16]) && !is_in_memory(&numbers(der)[1][..16]));
            drop(rig);
            watch.check("after the device");
        }
    }
    // Other tests have these keys too, but not beside a rig.
    let _alone = Rig::simple();
    for der in KEYS {
        assert!(!is_in_freed_memory(&numbers(der)[1][..16]));
    }
}

/// Has a signature made that is faulty: below the caller's part of the stack, where it can be
/// overwritten.
#[inline(never)]
fn faulty_signature(how: How, der: &[u8]) -> &'static [u8] {
    let rig = how.rig();
    rig.far.set_results(Results::Faulty);
    let key = RsaPrivateKey::from_pkcs1_der(der).unwrap();
    let signer = open!(&rig, RsaSigner(&key, RsaHash::Sha256));
    let faulty = drive(&rig, signer.sign(&[7; 32])).unwrap();
    faulty.as_ref().to_vec().leak()
}

#[test]
fn faulty_signatures_are_left_nowhere() {
    for how in EVERY_WAY {
        let der = KEYS[0];
        let faulty = faulty_signature(how, der);
        scrub_stack();
        let watch = Watch::new(&[faulty]);
        let rig = how.rig();
        rig.far.set_results(Results::Faulty);
        let key = RsaPrivateKey::from_pkcs1_der(der).unwrap();
        let mut signer = open!(&rig, RsaSigner(&key, RsaHash::Sha256));
        drive(&rig, signer.verify_signatures()).unwrap();
        for _ in 0..2 {
            let signed = drive(&rig, signer.sign(&[7; 32]));
            assert_eq!(signed, Err(Error::FaultySignature));
        }
        drop_at_each_wait!(&rig, signer.sign(&[7; 32]));
        watch.check("after signatures that are faulty");
        assert!(!is_in_memory(&faulty[..16]));
    }
}

#[test]
fn a_dropped_open_leaves_no_key() {
    for der in KEYS {
        let watch = Watch::new(&numbers(der));
        let rig = Rig::simple();
        drop_at_each_wait!(&rig, async {
            let key = RsaPrivateKey::from_pkcs1_der(der)?;
            RsaSigner::open(&rig.device, &key, RsaHash::Sha256).await
        });
        serve(&rig);
        watch.check("after opens that were dropped");
    }
}

#[test]
fn ecdsa_keys_leave_nothing_in_the_heap() {
    let watch = Watch::new(&[&SCALAR]);
    for how in EVERY_WAY {
        let rig = how.rig();
        let key = EcdsaPrivateKey::from_scalar(Curve::P256, &SCALAR).unwrap();
        assert!(
            watch.live_with_secret() > 0,
            "the test looks in the wrong place"
        );
        let signer = open!(&rig, EcdsaSigner(&key.clone(), EcdsaNumber::Linux));
        drop(key);
        drive(&rig, signer.sign(&[7; 32])).unwrap();
        drive(&rig, signer.close()).unwrap();
        watch.check("after a signature");
    }
    // RFC 5915, once whole and once cut off.
    let der = unwatched(|| [&[0x30, 0x25, 2, 1, 1, 4, 32][..], &SCALAR].concat());
    drop(EcdsaPrivateKey::from_sec1_der(Curve::P256, &der).unwrap());
    assert!(EcdsaPrivateKey::from_sec1_der(Curve::P384, &der).is_err());
    assert!(EcdsaPrivateKey::from_sec1_der(Curve::P256, &der[..der.len() - 1]).is_err());
    watch.check("after keys in DER");
}

/// Checks that none of the secrets below is in device memory.
#[track_caller]
fn check_device_memory(when: &str) {
    for secret in [&KEY[..], &MAC_KEY, &PLAINTEXT, &IV[..12]] {
        let begin = &secret[..secret.len().min(16)];
        assert!(!is_in_memory(begin), "{begin:x?} in device memory {when}");
    }
}

/// Slices that fit a slot, and such that go through a buffer.
const LENS: [usize; 3] = [32, 512, 1520];

#[test]
fn symmetric_keys_and_plaintext_leave_nothing_in_the_heap() {
    let watch = Watch::new(&[&KEY, &MAC_KEY, &PLAINTEXT]);
    for how in EVERY_WAY {
        let rig = how.rig();
        for direction in [Direction::Encrypt, Direction::Decrypt] {
            for len in LENS {
                let mut data = unwatched(|| PLAINTEXT[..len].to_vec());
                let data = &mut data[..];
                let cipher = open!(&rig, Cipher(CipherAlgorithm::AesCbc, direction, &KEY));
                drive(&rig, cipher.process_slice(&IV, data)).unwrap();
                rig.far.set_fault(Fault::Status(1));
                assert!(drive(&rig, cipher.process_slice(&IV, data)).is_err());
                let long = DmaBuffer::from_slice(&PLAINTEXT).unwrap();
                drop(drive(&rig, cipher.process_long(&IV, long)).unwrap());
                let buffer = || DmaBuffer::from_slice(&PLAINTEXT).unwrap();
                drop_at_each_wait!(&rig, cipher.process_batch(vec![(IV, buffer())]));
                // The session is still open: what is over is over with the request.
                check_device_memory("after requests of a cipher");
                drive(&rig, cipher.close()).unwrap();
            }
        }
        streams(&rig);
        check_device_memory("after streams");
        tags(&rig);
        check_device_memory("after tags");
        sealed(&rig);
        check_device_memory("after sealed");
        chained(&rig);
        check_device_memory("after chained");
        serve(&rig);
        watch.check("after the sessions");
        drop(rig);
        watch.check("after the device");
    }
    for secret in [&KEY[..], &MAC_KEY, &PLAINTEXT] {
        assert!(!is_in_freed_memory(&secret[..16]));
    }
}

/// A counter's keystream is as good as the plaintext.
fn streams(rig: &Rig) {
    for (algorithm, cuts) in [
        (CipherAlgorithm::AesCtr, [5, 40, 700]),
        (CipherAlgorithm::AesCbc, [16, 48, 720]),
    ] {
        let cipher = open!(rig, Cipher(algorithm, Direction::Encrypt, &KEY));
        let mut stream = CipherStream::new(cipher, &IV).unwrap();
        for len in cuts {
            let mut data = unwatched(|| PLAINTEXT[..len].to_vec());
            rig.far.set_fault(Fault::Status(1));
            assert!(drive(rig, stream.process(&mut data)).is_err());
            drop_at_each_wait!(rig, stream.process(unwatched(|| data.clone()).leak()));
            drive(rig, stream.process(&mut data)).unwrap();
        }
    }
}

fn tags(rig: &Rig) {
    let mac = open!(rig, Mac(MacAlgorithm::HmacSha256, &MAC_KEY, 32));
    for len in LENS {
        let mut tag = [0; 32];
        drive(rig, mac.tag_slice(&PLAINTEXT[..len], &mut tag)).unwrap();
        drive(rig, mac.verify_slice(&PLAINTEXT[..len], &tag)).unwrap();
        tag[0] ^= 1;
        let verified = drive(rig, mac.verify_slice(&PLAINTEXT[..len], &tag));
        assert_eq!(verified, Err(Error::TagMismatch));
    }
    drive(rig, mac.close()).unwrap();
}

fn sealed(rig: &Rig) {
    for len in LENS {
        let mut data = unwatched(|| PLAINTEXT[..len].to_vec());
        let (algorithm, mut tag) = (AeadAlgorithm::Gcm, [0; 16]);
        let seal = open!(rig, AeadEncrypt(algorithm, &KEY, 16), 4);
        let sealed = seal.encrypt_slice(&IV[..12], &[1; 4], &mut data, &mut tag);
        drive(rig, sealed).unwrap();
        let open = open!(rig, AeadDecrypt(algorithm, &KEY, 16), 4);
        let mut forged = unwatched(|| data.clone());
        forged[0] ^= 1;
        let opened = open.decrypt_slice(&IV[..12], &[1; 4], &mut forged, &tag);
        assert_eq!(drive(rig, opened), Err(Error::TagMismatch));
        let opened = open.decrypt_slice(&IV[..12], &[1; 4], &mut data, &tag);
        drive(rig, opened).unwrap();
        assert!(data == PLAINTEXT[..len]);
    }
}

fn chained(rig: &Rig) {
    let parameters = ChainParameters {
        order: ChainOrder::HashThenCipher,
        cipher: CipherAlgorithm::AesCtr,
        direction: Direction::Encrypt,
        cipher_key: &KEY,
        hash: ChainedHash::Authenticated(MacAlgorithm::HmacSha256, &MAC_KEY),
        digest_len_bytes: 32,
    };
    let chain = match how_of(rig) {
        How::Stateless => Chain::stateless(&rig.device, &parameters).unwrap(),
        _ => drive(rig, Chain::open(&rig.device, &parameters, 0)).unwrap(),
    };
    for len in LENS {
        let mut data = unwatched(|| PLAINTEXT[..len].to_vec());
        let input = ChainInput {
            iv: &IV,
            aad: &[],
            cipher: 0..len,
            hash: 0..len,
        };
        let mut digest = [0; 32];
        drive(rig, chain.process_slice(input, &mut data, &mut digest)).unwrap();
    }
}

fn how_of(rig: &Rig) -> How {
    match rig
        .device
        .features()
        .contains(Features::CIPHER_STATELESS_MODE)
    {
        true => How::Stateless,
        false => How::Padded,
    }
}

#[test]
fn cached_keys_leave_nothing_in_the_heap() {
    let watch = Watch::new(&CACHED.each_ref().map(|key| &key[..]));
    let rig = Rig::simple();
    let cache = SessionCache::new(2);
    let get = |key: &[u8; 32]| {
        let (algorithm, direction) = (CipherAlgorithm::AesCbc, Direction::Encrypt);
        drive(&rig, cache.get(&rig.device, algorithm, direction, key)).map(drop)
    };
    for key in &CACHED {
        get(key).unwrap();
    }
    assert_eq!(watch.live_with_secret(), 2, "one has made room");
    cache.clear();
    serve(&rig);
    watch.check("after the cache was cleared");
    get(&CACHED[0]).unwrap();
    drop(cache);
    serve(&rig);
    watch.check("after the cache");
}
