//! Moduli of a bit more than whole bytes, whose results mostly begin with a zero byte; the search
//! for what a short signature lacks; signatures that are verified before they are given out.

use core::task::Poll;

use sha1::{Digest, Sha1};
use virtio_crypto::{
    Curve, EcdsaNumber, EcdsaSigner, Error, Features, KeyFault, RsaDecryptor, RsaEncryptor,
    RsaHash, RsaPrivateKey, RsaSigner,
};

use crate::{
    ecdsa::ecdsa_keys,
    rig::{FakePlatform, Results, Rig, Setup, poll_once, run},
    rsa::{open, requests},
    ways::EVERY_WAY,
};

const KEY_1024: &[u8] = include_bytes!("../../../driver/testdata/rsa/1024.pkcs1.der");
/// Of these, 86 and 35 in a hundred results begin with a zero byte.
const ODD: [&[u8]; 2] = [
    include_bytes!("../../../driver/testdata/rsa/1025.pkcs1.der"),
    include_bytes!("../../../driver/testdata/rsa/1026.pkcs1.der"),
];
/// The digest of this number under the first key has a signature that begins with two zero bytes
/// and ends in 0 and 124.
const TWO_ZEROS: u32 = 20_344;

fn private(der: &[u8]) -> RsaPrivateKey {
    RsaPrivateKey::from_pkcs1_der(der).unwrap()
}

fn software(der: &[u8]) -> rsa::PrivateKey {
    ::rsa::pkcs1::DecodeRsaPrivateKey::from_pkcs1_der(der).unwrap()
}

fn sign_in_software(der: &[u8], number: u32) -> (Vec<u8>, Vec<u8>) {
    let digest = Sha1::digest(number.to_le_bytes()).to_vec();
    let signature = software(der).pkcs1v15_sign_prehash::<Sha1>(&digest);
    (digest, signature.unwrap())
}

#[test]
fn messages_come_back_under_moduli_of_any_length() {
    for how in EVERY_WAY {
        let rig = how.rig().go();
        for der in ODD {
            for results in [Results::Whole, Results::Cut, Results::Stripped] {
                rig.far.set_results(results);
                run(async {
                    let key = private(der);
                    let encrypt = open!(rig, RsaEncryptor(key.public_key()));
                    let decrypt = open!(rig, RsaDecryptor(&key));
                    let (before, len) = (requests(&rig), key.public_key().modulus_len_bytes());
                    for number in 0..40u32 {
                        let (mut ciphertext, mut message) = (vec![0; len], vec![0; len]);
                        let sent = number.to_le_bytes();
                        encrypt.encrypt(&sent, &mut ciphertext).await.unwrap();
                        let opened = software(der).pkcs1v15_decrypt(&ciphertext);
                        assert_eq!(opened.unwrap(), sent);
                        let got = decrypt.decrypt(&ciphertext, &mut message).await.unwrap();
                        assert_eq!(message[..got], sent);
                    }
                    let again = requests(&rig) - before - 80;
                    assert!(again < 10, "{again} of 40 made anew");
                });
            }
        }
    }
}

#[test]
fn most_signatures_of_odd_moduli_are_completed() {
    for how in EVERY_WAY {
        let rig = how.rig().go();
        for der in ODD {
            for results in [Results::Cut, Results::Stripped] {
                run(async {
                    rig.far.set_results(results);
                    let signer = open!(rig, RsaSigner(&private(der), RsaHash::Sha1));
                    let mut short = 0;
                    for number in 0..6 {
                        let (digest, expected) = sign_in_software(der, number);
                        let signature = signer.sign(&digest).await.unwrap();
                        assert_eq!(signature.as_ref(), expected);
                        short += u32::from(expected[0] == 0);
                    }
                    assert!(short > 0, "none came short");
                    signer.close().await.unwrap();
                });
            }
        }
        assert_eq!(rig.far.sessions(), 0);
    }
}

#[test]
fn signatures_that_lack_two_bytes_are_completed() {
    for results in [Results::Cut, Results::Stripped] {
        let rig = Rig::simple().go();
        rig.far.set_results(results);
        run(async {
            let signer = open!(rig, RsaSigner(&private(ODD[0]), RsaHash::Sha1));
            let (digest, expected) = sign_in_software(ODD[0], TWO_ZEROS);
            assert!(expected.starts_with(&[0, 0]) && expected.ends_with(&[0, 124]));
            let signature = signer.sign(&digest).await.unwrap();
            assert_eq!(signature.as_ref(), expected);
        });
    }
}

/// Drives a future on a device that serves by hand, and returns how it ended.
fn drive<F: Future>(rig: &Rig, future: F) -> F::Output {
    let mut future = Box::pin(future);
    loop {
        if let Poll::Ready(output) = poll_once(future.as_mut()) {
            return output;
        }
        rig.serve_all();
    }
}

/// A signer, and a digest whose signature it makes one byte short, with the signature.
fn short_one(rig: &Rig) -> (RsaSigner<FakePlatform>, Vec<u8>, Vec<u8>) {
    let mut signed = (0..).map(|number| sign_in_software(KEY_1024, number));
    let (digest, signature) = signed.find(|(_, signature)| signature[0] == 0).unwrap();
    let key = private(KEY_1024);
    let signer = drive(rig, RsaSigner::open(&rig.device, &key, RsaHash::Sha1)).unwrap();
    rig.far.set_results(Results::Cut);
    (signer, digest, signature)
}

#[test]
fn candidates_are_verified_side_by_side() {
    let rig = Rig::simple();
    let (signer, digest, expected) = short_one(&rig);
    let mut sign = Box::pin(signer.sign(&digest));
    let in_flight = || rig.device.data_stats().in_flight;
    // The signature, then the session.
    for _ in 0..2 {
        assert!(poll_once(sign.as_mut()).is_pending());
        rig.serve_all();
    }
    let (mut most, mut rounds, before) = (0, 0, rig.far.kicks());
    let signature = loop {
        match poll_once(sign.as_mut()) {
            Poll::Ready(signature) => break signature.unwrap(),
            Poll::Pending => most = most.max(in_flight()),
        }
        rounds += 1;
        rig.serve_all();
    };
    assert_eq!((signature.as_ref(), most), (&expected[..], 16));
    let tried = usize::from(*expected.last().unwrap()) + 1;
    assert!(
        rounds <= tried.div_ceil(16) + 2,
        "{rounds} rounds for {tried}"
    );
    let kicks = rig.far.kicks() - before;
    assert!(
        kicks <= rounds as u64 + 2,
        "{kicks} kicks in {rounds} rounds"
    );
    drop(sign);
    rig.serve_all();
    assert_eq!((in_flight(), rig.far.sessions()), (0, 1));
}

#[test]
fn a_search_leaves_slots_to_others_and_ends_with_its_caller() {
    let setup = Setup {
        queue_size: 8,
        ..Setup::default()
    };
    let rig = Rig::new(setup, Rig::options()).unwrap();
    let (signer, digest, expected) = short_one(&rig);
    let mut sign = Box::pin(signer.sign(&digest));
    for polls in 0..5 {
        assert!(poll_once(sign.as_mut()).is_pending());
        assert!(rig.device.data_stats().in_flight <= 2, "after {polls}");
        rig.serve_all();
    }
    drop(sign);
    rig.serve_all();
    assert_eq!(
        (rig.device.data_stats().in_flight, rig.far.sessions()),
        (0, 1)
    );
    // Many at once get one another's slots, and all of them an end.
    let signs = (0..8).map(|_| Box::pin(signer.sign(&digest))).collect();
    for signed in drive(&rig, virtio_crypto::join_all(signs)).unwrap() {
        assert_eq!(signed.unwrap().as_ref(), expected);
    }
}

#[test]
fn faulty_signatures_are_not_given_out() {
    for how in EVERY_WAY {
        let rig = how.rig().go();
        let sessions = |of_signer| if how.is_stateless() { 0 } else { of_signer };
        run(async {
            let (digest, expected) = sign_in_software(KEY_1024, 1);
            let mut signer = open!(rig, RsaSigner(&private(KEY_1024), RsaHash::Sha1));
            rig.far.set_results(Results::Faulty);
            let unchecked = signer.sign(&digest).await.unwrap();
            assert_ne!(unchecked.as_ref(), expected, "no fault");
            for _ in 0..2 {
                signer.verify_signatures().await.unwrap();
                assert_eq!(rig.far.sessions(), sessions(2), "one more, once");
            }
            assert_eq!(signer.sign(&digest).await, Err(Error::FaultySignature));
            rig.far.set_results(Results::Whole);
            let before = requests(&rig);
            assert_eq!(signer.sign(&digest).await.unwrap().as_ref(), expected);
            assert_eq!(requests(&rig) - before, 2);
            signer.close().await.unwrap();
        });
        assert_eq!(rig.far.sessions(), 0);
    }
}

#[test]
fn a_verified_signer_completes_with_the_session_that_it_has() {
    let rig = Rig::simple();
    let (mut signer, digest, expected) = short_one(&rig);
    drive(&rig, signer.verify_signatures()).unwrap();
    let before = rig.device.control_stats().submitted;
    let signature = drive(&rig, signer.sign(&digest)).unwrap();
    assert_eq!(signature.as_ref(), expected);
    assert_eq!(rig.device.control_stats().submitted, before);
}

#[test]
fn no_session_to_verify_with_leaves_the_signer_as_it_was() {
    let rig = Rig::simple().go();
    run(async {
        let mut signer = open!(rig, RsaSigner(&private(KEY_1024), RsaHash::Sha1));
        rig.far.limit_sessions(1);
        let refused = signer.verify_signatures().await;
        assert!(matches!(refused, Err(Error::Refused(_))), "{refused:?}");
        let (digest, expected) = sign_in_software(KEY_1024, 1);
        assert_eq!(signer.sign(&digest).await.unwrap().as_ref(), expected);
    });
}

#[test]
fn faulty_signatures_of_ecdsa_are_not_given_out() {
    for how in EVERY_WAY {
        let rig = how.rig().go();
        run(async {
            for (curve, len) in [(Curve::P256, 32), (Curve::P521, 66)] {
                let (private, public) = ecdsa_keys(curve, len);
                let mut signer = open!(rig, EcdsaSigner(&private, EcdsaNumber::Linux));
                let (_, other) = ecdsa_keys(Curve::P384, 48);
                let refused = signer.verify_signatures(&other).await;
                assert_eq!(refused, Err(Error::InvalidKey(KeyFault::Algorithm)));
                signer.verify_signatures(&public).await.unwrap();
                let before = requests(&rig);
                signer.sign(&[7; 32]).await.unwrap();
                assert_eq!(requests(&rig) - before, 2);
                rig.far.set_results(Results::Faulty);
                assert_eq!(signer.sign(&[7; 32]).await, Err(Error::FaultySignature));
                rig.far.set_results(Results::Whole);
                signer.close().await.unwrap();
            }
        });
        assert_eq!(rig.far.sessions(), 0);
    }
}
