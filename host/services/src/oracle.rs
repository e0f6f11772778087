//! What the answers are compared with: computed here by RustCrypto, straight from the parameters.

use aes::{Aes128, Aes192, Aes256, cipher::StreamCipher};
use cmac::Cmac;
use des::{Des, TdesEde3};
use hmac::{Hmac, KeyInit, Mac};
use p256::elliptic_curve::{SecretKey, sec1::ToSec1Point};
use rc4::Rc4;
use sha1::Digest;
use shake::{ExtendableOutput, Update, XofReader};
use virtio_crypto::{CipherAlgorithm, Curve, Direction, HashAlgorithm, MacAlgorithm};

use crate::checks::oracle;

/// Computes a digest.
pub(crate) fn compute_digest(algorithm: HashAlgorithm, data: &[u8], result_len: usize) -> Vec<u8> {
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
pub(crate) fn compute_tag(algorithm: MacAlgorithm, key: &[u8], data: &[u8]) -> Option<Vec<u8>> {
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

/// Ciphers that the device computes: all that a library has.
pub(crate) const CIPHERS: [CipherAlgorithm; 10] = [
    CipherAlgorithm::Arc4,
    CipherAlgorithm::AesEcb,
    CipherAlgorithm::AesCbc,
    CipherAlgorithm::AesCtr,
    CipherAlgorithm::DesEcb,
    CipherAlgorithm::DesCbc,
    CipherAlgorithm::TripleDesEcb,
    CipherAlgorithm::TripleDesCbc,
    CipherAlgorithm::TripleDesCtr,
    CipherAlgorithm::AesXts,
];

/// Returns what a cipher makes of `data` as a whole.
pub(crate) fn cipher_oracle(
    algorithm: CipherAlgorithm,
    direction: Direction,
    key: &[u8],
    iv: &[u8],
    data: &[u8],
) -> Vec<u8> {
    let mut data = data.to_vec();
    match algorithm {
        CipherAlgorithm::Arc4 => Rc4::new_from_slice(key).unwrap().apply_keystream(&mut data),
        CipherAlgorithm::DesEcb => oracle::ecb::<Des>(direction, key, &mut data),
        CipherAlgorithm::DesCbc => oracle::cbc::<Des>(direction, key, iv, &mut data),
        _ => oracle::transform(algorithm, direction, key, iv, &mut data),
    }
    data
}

macro_rules! with_curve {
    ($curve:expr, $C:ident => $body:expr) => {
        match $curve {
            Curve::P192 => {
                type $C = p192::NistP192;
                $body
            }
            Curve::P224 => {
                type $C = p224::NistP224;
                $body
            }
            Curve::P256 => {
                type $C = p256::NistP256;
                $body
            }
            Curve::P384 => {
                type $C = p384::NistP384;
                $body
            }
            Curve::P521 => {
                type $C = p521::NistP521;
                $body
            }
            other => panic!("{other:?} is not computed here"),
        }
    };
}

/// Tells whether a number is a scalar of the curve: above 0 and below the order.
pub(crate) fn is_ecdsa_scalar(curve: Curve, number: &[u8]) -> bool {
    with_curve!(curve, C => SecretKey::<C>::from_slice(number).is_ok())
}

/// Returns the public half of an ECDSA key, as an uncompressed point.
pub(crate) fn ecdsa_public(curve: Curve, scalar: &[u8]) -> Vec<u8> {
    with_curve!(curve, C => {
        let key = SecretKey::<C>::from_slice(scalar).unwrap();
        key.public_key().to_sec1_point(false).as_bytes().to_vec()
    })
}
