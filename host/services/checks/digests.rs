//! What hashes and MACs make of data, in software by other hands.
//!
//! Apart from the rest: only who includes it by its path needs the libraries.

use alloc::{vec, vec::Vec};

use aes::{Aes128, Aes192, Aes256};
use cmac::Cmac;
use des::TdesEde3;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Digest;
use shake::{ExtendableOutput, Update, XofReader};
use virtio_crypto::{HashAlgorithm, MacAlgorithm};

/// Computes a digest.
pub fn compute_digest(algorithm: HashAlgorithm, data: &[u8], result_len: usize) -> Vec<u8> {
    fn shake<S: Default + Update + ExtendableOutput>(data: &[u8], len: usize) -> Vec<u8> {
        let mut shake = S::default();
        shake.update(data);
        let mut result = vec![0; len];
        shake.finalize_xof().read(&mut result);
        result
    }
    match algorithm {
        HashAlgorithm::Md5 => md5::Md5::digest(data).to_vec(),
        HashAlgorithm::Sha1 => sha1::Sha1::digest(data).to_vec(),
        HashAlgorithm::Sha224 => sha2::Sha224::digest(data).to_vec(),
        HashAlgorithm::Sha256 => sha2::Sha256::digest(data).to_vec(),
        HashAlgorithm::Sha384 => sha2::Sha384::digest(data).to_vec(),
        HashAlgorithm::Sha512 => sha2::Sha512::digest(data).to_vec(),
        HashAlgorithm::Sha3_224 => sha3::Sha3_224::digest(data).to_vec(),
        HashAlgorithm::Sha3_256 => sha3::Sha3_256::digest(data).to_vec(),
        HashAlgorithm::Sha3_384 => sha3::Sha3_384::digest(data).to_vec(),
        HashAlgorithm::Sha3_512 => sha3::Sha3_512::digest(data).to_vec(),
        HashAlgorithm::Shake128 => shake::<shake::Shake128>(data, result_len),
        HashAlgorithm::Shake256 => shake::<shake::Shake256>(data, result_len),
        other => panic!("{other:?} is not computed here"),
    }
}

/// Computes a whole tag; `None` of what no library at hand computes.
pub fn compute_tag(algorithm: MacAlgorithm, key: &[u8], data: &[u8]) -> Option<Vec<u8>> {
    fn compute<M: Mac + KeyInit>(key: &[u8], data: &[u8]) -> Vec<u8> {
        let mut mac = <M as KeyInit>::new_from_slice(key).unwrap();
        mac.update(data);
        mac.finalize().into_bytes().to_vec()
    }
    Some(match (algorithm, key.len()) {
        (MacAlgorithm::HmacMd5, _) => compute::<Hmac<md5::Md5>>(key, data),
        (MacAlgorithm::HmacSha1, _) => compute::<Hmac<sha1::Sha1>>(key, data),
        (MacAlgorithm::HmacSha224, _) => compute::<Hmac<sha2::Sha224>>(key, data),
        (MacAlgorithm::HmacSha256, _) => compute::<Hmac<sha2::Sha256>>(key, data),
        (MacAlgorithm::HmacSha384, _) => compute::<Hmac<sha2::Sha384>>(key, data),
        (MacAlgorithm::HmacSha512, _) => compute::<Hmac<sha2::Sha512>>(key, data),
        (MacAlgorithm::CmacTripleDes, _) => compute::<Cmac<TdesEde3>>(key, data),
        (MacAlgorithm::CmacAes, 16) => compute::<Cmac<Aes128>>(key, data),
        (MacAlgorithm::CmacAes, 24) => compute::<Cmac<Aes192>>(key, data),
        (MacAlgorithm::CmacAes, _) => compute::<Cmac<Aes256>>(key, data),
        _ => return None,
    })
}
