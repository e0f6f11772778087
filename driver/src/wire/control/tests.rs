//! The bytes of control requests and of their answers.

use super::*;
use crate::wire::{Curve, EcdsaNumber, REQUEST_LEN, RsaHash, tests::golden};

/// Both forms: the exact one has `exact_len` bytes and is where the padded one begins.
fn check(parameters: SessionParameters, exact_len: usize, words: &[(usize, u32)]) {
    let padded = parameters.encode(Form::Padded);
    assert_eq!(
        padded.as_ref(),
        golden(REQUEST_LEN, words),
        "{parameters:?}"
    );
    let exact = parameters.encode(Form::Exact);
    assert_eq!(
        exact.as_ref(),
        &padded.as_ref()[..exact_len],
        "{parameters:?}"
    );
    assert!(padded.as_ref()[exact_len..].iter().all(|byte| *byte == 0));
}

const CIPHER: CipherParameters = CipherParameters {
    algorithm: CipherAlgorithm::AesCbc,
    direction: Direction::Decrypt,
    key_len_bytes: 32,
};

#[test]
fn create_cipher_session_has_the_golden_bytes() {
    let words = &[(0, 2), (4, 3), (16, 3), (20, 32), (24, 2), (64, 1)];
    check(SessionParameters::Cipher(CIPHER), 72, words);
    assert_eq!(SessionParameters::Cipher(CIPHER).destroy_opcode(), 3);
}

#[test]
fn create_chain_session_has_the_golden_bytes() {
    let chain = |order, hash| SessionParameters::Chain {
        order,
        cipher: CIPHER,
        hash,
        aad_len_bytes: 5,
    };
    let mac = ChainHash::Authenticated {
        algorithm: MacAlgorithm::HmacSha256,
        result_len_bytes: 32,
        key_len_bytes: 20,
    };
    let common = [(0, 2), (4, 3), (24, 3), (28, 32), (32, 2), (56, 5), (64, 2)];
    let words = [
        &common[..],
        &[(16, 2), (20, 2), (40, 4), (44, 32), (48, 20)],
    ]
    .concat();
    check(chain(ChainOrder::CipherThenHash, mac), 72, &words);
    let plain = ChainHash::Plain {
        algorithm: HashAlgorithm::Sha1,
        result_len_bytes: 20,
    };
    let words = [&common[..], &[(16, 1), (20, 1), (40, 2), (44, 20)]].concat();
    check(chain(ChainOrder::HashThenCipher, plain), 72, &words);
    let nested = ChainHash::Nested {
        algorithm: HashAlgorithm::Sha512,
        result_len_bytes: 64,
    };
    let words = [&common[..], &[(16, 1), (20, 3), (40, 6), (44, 64)]].concat();
    check(chain(ChainOrder::HashThenCipher, nested), 72, &words);
}

#[test]
fn create_hash_and_mac_sessions_have_the_golden_bytes() {
    let hash = SessionParameters::Hash {
        algorithm: HashAlgorithm::Sha3_384,
        result_len_bytes: 48,
    };
    check(hash, 24, &[(0, 0x102), (4, 9), (16, 9), (20, 48)]);
    assert_eq!(hash.destroy_opcode(), 0x103);
    let mac = SessionParameters::Mac {
        algorithm: MacAlgorithm::CmacAes,
        result_len_bytes: 16,
        key_len_bytes: 24,
    };
    let words = &[(0, 0x202), (4, 26), (16, 26), (20, 16), (24, 24)];
    check(mac, 32, words);
    assert_eq!(mac.destroy_opcode(), 0x203);
}

#[test]
fn create_aead_session_has_the_golden_bytes() {
    let aead = SessionParameters::Aead {
        algorithm: AeadAlgorithm::Ccm,
        direction: Direction::Encrypt,
        key_len_bytes: 16,
        tag_len_bytes: 8,
        aad_len_bytes: 13,
    };
    let words = &[
        (0, 0x302),
        (4, 2),
        (16, 2),
        (20, 16),
        (24, 8),
        (28, 13),
        (32, 1),
    ];
    check(aead, 40, words);
    assert_eq!(aead.destroy_opcode(), 0x303);
}

#[test]
fn create_akcipher_session_has_the_golden_bytes() {
    let akcipher = |scheme, key_type| SessionParameters::Akcipher {
        scheme,
        key_type,
        key_len_bytes: 270,
    };
    let rsa = akcipher(AkcipherScheme::RsaPkcs1(RsaHash::Sha256), KeyType::Public);
    let words = &[
        (0, 0x404),
        (4, 1),
        (16, 1),
        (20, 1),
        (24, 270),
        (28, 1),
        (32, 6),
    ];
    check(rsa, 72, words);
    assert_eq!(rsa.destroy_opcode(), 0x405);
    let raw = akcipher(AkcipherScheme::RsaRaw, KeyType::Private);
    check(raw, 72, &[(0, 0x404), (4, 1), (16, 1), (20, 2), (24, 270)]);
    for (number, value) in [(EcdsaNumber::Specification, 2), (EcdsaNumber::Linux, 3)] {
        let scheme = AkcipherScheme::Ecdsa(Curve::P384, number);
        let words = &[
            (0, 0x404),
            (4, value),
            (16, value),
            (20, 2),
            (24, 270),
            (28, 4),
        ];
        check(akcipher(scheme, KeyType::Private), 72, words);
    }
}

#[test]
fn destroy_session_has_the_golden_bytes() {
    let words = &[(0, 0x405), (16, 0x5566_7788), (20, 0x1122_3344)];
    let id = 0x1122_3344_5566_7788;
    let padded = Head::of(|head| destroy_session(Form::Padded, 0x405, id, head));
    assert_eq!(padded.as_ref(), golden(REQUEST_LEN, words));
    let exact = Head::of(|head| destroy_session(Form::Exact, 0x405, id, head));
    assert_eq!(exact.as_ref(), golden(24, words));
}

#[test]
fn session_answer_gives_the_id_only_when_the_status_is_ok() {
    let mut bytes = [0xff; 16];
    bytes[..8].copy_from_slice(&7u64.to_le_bytes());
    assert_eq!(
        parse_session_answer(&bytes),
        Err(Refusal::Unknown(0xffff_ffff))
    );
    // Each byte counts at its place.
    bytes[8..12].copy_from_slice(&[8, 9, 10, 11]);
    assert_eq!(
        parse_session_answer(&bytes),
        Err(Refusal::Unknown(0x0b0a_0908))
    );
    bytes[8..12].copy_from_slice(&[0; 4]);
    assert_eq!(parse_session_answer(&bytes), Ok(7));
    bytes[..8].copy_from_slice(&[1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(parse_session_answer(&bytes), Ok(0x0807_0605_0403_0201));
    bytes[8] = 5;
    assert_eq!(parse_session_answer(&bytes), Err(Refusal::NoSpace));
}
