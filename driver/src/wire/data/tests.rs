//! The bytes of data requests.

use super::*;
use crate::wire::{CipherParameters, tests::golden};

pub(in crate::wire) const ID: u64 = 0x0102_0304_0506_0708;

/// The header of a request in session mode.
pub(in crate::wire) fn of_session(opcode: u32, algorithm: u32) -> [(usize, u32); 5] {
    let id = [(8, 0x0506_0708), (12, 0x0102_0304)];
    [(0, opcode), (4, algorithm), id[0], id[1], (16, 1)]
}

/// Both forms: the exact one has `exact_len` bytes and is where the padded one begins.
pub(in crate::wire) fn check(
    encode: impl Fn(Form) -> Head,
    (opcode, algorithm): (u32, u32),
    exact_len: usize,
    words: &[(usize, u32)],
) {
    let words = [&of_session(opcode, algorithm), words].concat();
    assert_eq!(encode(Form::Padded).as_ref(), golden(REQUEST_LEN, &words));
    assert_eq!(encode(Form::Exact).as_ref(), golden(exact_len, &words));
}

#[test]
fn cipher_request_has_the_golden_bytes() {
    let bytes = cipher_request(CipherAlgorithm::AesXts, Direction::Decrypt, ID, 0x1234);
    let words = [(24, 16), (28, 0x1234), (32, 0x1234), (64, 1)];
    let words = [&of_session(1, 13)[..], &words].concat();
    assert_eq!(bytes[..], golden(72, &words));
    let head = stateless_cipher_request(CipherAlgorithm::AesXts, Direction::Decrypt, 64, 0x1234);
    let words = [
        (0, 1),
        (4, 13),
        (24, 13),
        (28, 64),
        (32, 2),
        (36, 16),
        (40, 0x1234),
        (44, 0x1234),
        (96, 1),
    ];
    assert_eq!(head.as_ref(), golden(100, &words));
}

#[test]
fn chain_request_has_the_golden_bytes() {
    let lens = ChainLens {
        iv_len_bytes: 16,
        len_bytes: 100,
        cipher_start_bytes: 4,
        cipher_len_bytes: 96,
        hash_start_bytes: 1,
        hash_len_bytes: 99,
        aad_len_bytes: 7,
        result_len_bytes: 32,
    };
    let fields = [16, 100, 100, 4, 96, 1, 99, 7, 32];
    let at = |start: usize| {
        fields
            .into_iter()
            .enumerate()
            .map(move |(i, v)| (start + 4 * i, v))
    };
    let words: std::vec::Vec<_> = of_session(0, 4)
        .into_iter()
        .chain(at(24))
        .chain([(64, 2)])
        .collect();
    let cipher = CipherParameters {
        algorithm: CipherAlgorithm::AesCtr,
        direction: Direction::Encrypt,
        key_len_bytes: 24,
    };
    let head = chain_request(cipher, ID, lens);
    assert_eq!(head.as_ref(), golden(72, &words));
    let hash = ChainHash::Authenticated {
        algorithm: MacAlgorithm::HmacSha1,
        result_len_bytes: 32,
        key_len_bytes: 20,
    };
    let head = stateless_chain_request(ChainOrder::CipherThenHash, cipher, hash, lens);
    let parameters = [
        (0, 0),
        (4, 4),
        (24, 2),
        (28, 7),
        (32, 4),
        (36, 24),
        (40, 1),
        (44, 2),
        (48, 20),
        (52, 2),
        (96, 2),
    ];
    let words: std::vec::Vec<_> = parameters.into_iter().chain(at(56)).collect();
    assert_eq!(head.as_ref(), golden(100, &words));
}

#[test]
fn hash_and_mac_requests_have_the_golden_bytes() {
    let lens = &[(24, 999), (28, 32)];
    let hash = |form| hash_request(form, HashAlgorithm::Sha256, ID, 999, 32);
    check(hash, (0x100, 4), 32, lens);
    let mac = |form| mac_request(form, MacAlgorithm::HmacSha256, ID, 999, 32);
    check(mac, (0x200, 4), 32, lens);
    let head = stateless_hash_request(HashAlgorithm::Sha256, 999, 32);
    let words = [(0, 0x100), (4, 4), (24, 4), (28, 999), (32, 32)];
    assert_eq!(head.as_ref(), golden(40, &words));
    let head = stateless_mac_request(MacAlgorithm::HmacSha256, 20, 999, 32);
    let words = [(0, 0x200), (4, 4), (24, 4), (28, 20), (32, 999), (36, 32)];
    assert_eq!(head.as_ref(), golden(40, &words));
}

#[test]
fn aead_request_has_the_golden_bytes() {
    let lens = AeadLens {
        iv_len_bytes: 12,
        aad_len_bytes: 20,
        source_len_bytes: 100,
        destination_len_bytes: 116,
        tag_len_bytes: 16,
    };
    let words = &[(24, 12), (28, 20), (32, 100), (36, 116), (40, 16)];
    let gcm = AeadAlgorithm::Gcm;
    let encode = |form| aead_request(form, gcm, Direction::Encrypt, ID, lens);
    check(encode, (0x300, 1), 48, words);
    let head = stateless_aead_request(AeadAlgorithm::Gcm, Direction::Decrypt, 32, lens);
    let fields = [1, 32, 2, 12, 16, 20, 100, 116];
    let fields = fields.into_iter().enumerate().map(|(i, v)| (24 + 4 * i, v));
    let words: std::vec::Vec<_> = [(0, 0x301), (4, 1)].into_iter().chain(fields).collect();
    assert_eq!(head.as_ref(), golden(56, &words));
}
