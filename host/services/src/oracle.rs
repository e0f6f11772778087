//! What the answers are compared with: computed here by RustCrypto, straight from the parameters.

use aes::cipher::{KeyInit, StreamCipher};
use des::Des;
use p256::elliptic_curve::{SecretKey, sec1::ToSec1Point};
use rc4::Rc4;
use virtio_crypto::{CipherAlgorithm, Curve, Direction};

use crate::checks::oracle;

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
