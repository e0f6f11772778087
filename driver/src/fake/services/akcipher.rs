//! The AKCIPHER service.

use alloc::{boxed::Box, vec, vec::Vec};
use core::convert::Infallible;

use ecdsa::elliptic_curve::{self, sec1::ToSec1Point};
use md5::Md5;
use rsa::{
    BoxedUint,
    hazmat::{rsa_decrypt, rsa_encrypt},
    pkcs1::{DecodeRsaPrivateKey, DecodeRsaPublicKey},
    rand_core::{TryCryptoRng, TryRng},
    traits::PublicKeyParts,
};
use sha1::Sha1;
use sha2::{Sha224, Sha256, Sha384, Sha512};

use super::{ERROR, Request};
use crate::wire::{Curve, RsaHash};

const KEY_REJECTED: u8 = 6;

/// What becomes of RSA results that are numbers with leading zeros, beside decrypted messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Results {
    /// All of it, as it should be.
    #[default]
    Whole,
    /// As QEMU with nettle does it: written in full, but only as many bytes of it as the number has
    /// without the zeros.
    Cut,
    /// The leading zeros are left out.
    Stripped,
    /// Always one byte short, zeros or not.
    AlwaysCut,
    /// Signatures have a wrong bit.
    Faulty,
}

impl Results {
    /// Takes away what the device does not give.
    pub(in crate::fake) fn shorten(self, request: Request<'_>, mut result: Vec<u8>) -> Vec<u8> {
        if !matches!(request.opcode(), 0x400 | 0x402) {
            return result;
        }
        let zeros = result.iter().take_while(|byte| **byte == 0).count();
        match self {
            Self::Whole => {}
            Self::Cut => result.truncate(result.len() - zeros),
            Self::Stripped => drop(result.drain(..zeros)),
            Self::AlwaysCut => drop(result.pop()),
            Self::Faulty if request.opcode() == 0x402 => {
                *result.last_mut().expect("a signature") ^= 1;
            }
            Self::Faulty => {}
        }
        result
    }
}

#[derive(Clone, Debug)]
enum Key {
    Public(rsa::PublicKey),
    Private(Box<rsa::PrivateKey>),
    Point(Curve, Vec<u8>),
    Scalar(Curve, Vec<u8>),
}

#[derive(Clone, Debug)]
pub(in crate::fake) struct Session {
    algorithm: u32,
    key: Key,
    /// `None`: RSA without padding, or ECDSA.
    hash: Option<RsaHash>,
}

impl Session {
    pub(super) fn algorithm(&self) -> u32 {
        self.algorithm
    }

    pub(super) fn create(request: Request<'_>) -> Result<Self, u8> {
        let [key] = request.parts([request.usize(24)]);
        let numbers = [16, 20, 28, 32].map(|at| request.u32(at));
        assert_eq!(request.u32(4), request.u32(16), "algorithm");
        Ok(Self::new(numbers, key))
    }

    fn new([algorithm, key_type, specific, hash]: [u32; 4], der: &[u8]) -> Self {
        let private = match key_type {
            1 => false,
            2 => true,
            other => panic!("key type {other}"),
        };
        if algorithm == 1 {
            let padding = specific;
            let hash = match padding {
                0 => None,
                1 => RsaHash::ALL.into_iter().find(|known| *known as u32 == hash),
                other => panic!("padding {other}"),
            };
            assert!(padding == 0 || hash.is_some(), "no hash");
            let key = if private {
                Key::Private(Box::new(rsa::PrivateKey::from_pkcs1_der(der).unwrap()))
            } else {
                Key::Public(rsa::PublicKey::from_pkcs1_der(der).unwrap())
            };
            return Self {
                algorithm,
                key,
                hash,
            };
        }
        assert!(matches!(algorithm, 2 | 3), "algorithm");
        let curves = [
            Curve::P192,
            Curve::P224,
            Curve::P256,
            Curve::P384,
            Curve::P521,
        ];
        let curve = curves.into_iter().find(|curve| *curve as u32 == specific);
        let curve = curve.expect("a curve");
        let key = if private {
            let key = sec1::EcPrivateKey::try_from(der).unwrap();
            assert!(key.parameters.is_some(), "no name of the curve");
            Key::Scalar(curve, key.private_key.to_vec())
        } else {
            Key::Point(curve, der.to_vec())
        };
        Self {
            algorithm,
            key,
            hash: None,
        }
    }

    pub(super) fn serve(&self, request: Request<'_>) -> Result<Vec<u8>, u8> {
        let (source_len, other_len) = (request.usize(24), request.usize(28));
        let [source, digest] = request.parts([source_len, digest_len(request, other_len)]);
        self.compute(request, source, digest, other_len)
    }

    fn compute(
        &self,
        request: Request<'_>,
        source: &[u8],
        digest: &[u8],
        other_len: usize,
    ) -> Result<Vec<u8>, u8> {
        request.check_room(other_len - digest.len());
        match (&self.key, request.opcode()) {
            (Key::Public(key), 0x400) => {
                assert_eq!(other_len, key.size(), "destination length");
                Ok(self.encrypt(key, source))
            }
            (Key::Private(key), 0x401) => {
                assert_eq!(other_len, key.size(), "destination length");
                self.decrypt(key, source)
            }
            (Key::Private(key), 0x402) => {
                assert_eq!(other_len, key.size(), "destination length");
                Ok(self.sign(key, source))
            }
            (Key::Public(key), 0x403) => self.verify(key, source, digest),
            (Key::Scalar(curve, scalar), 0x402) => {
                let signature = ecdsa_sign(*curve, scalar, source);
                assert!(signature.len() <= other_len, "destination length");
                Ok(signature)
            }
            (Key::Point(curve, point), 0x403) => {
                let verified = ecdsa_verify(*curve, point, source, digest);
                if verified {
                    Ok(vec![])
                } else {
                    Err(KEY_REJECTED)
                }
            }
            (_, other) => panic!("operation {other:#x} with this key"),
        }
    }

    fn encrypt(&self, key: &rsa::PublicKey, source: &[u8]) -> Vec<u8> {
        if self.hash.is_some() {
            assert!(
                !source.is_empty() && source.len() <= key.size() - 11,
                "message"
            );
            return key
                .pkcs1v15_encrypt_with_rng(&mut Random::of(source), source)
                .unwrap();
        }
        let number = number(key, source);
        let raised = rsa_encrypt(key, &number).unwrap().to_be_bytes();
        raised[raised.len() - key.size()..].to_vec()
    }

    fn decrypt(&self, key: &rsa::PrivateKey, source: &[u8]) -> Result<Vec<u8>, u8> {
        let number = number(key, source);
        let decrypted = rsa_decrypt(None::<&mut Random>, key, &number).unwrap();
        // Of whole words.
        let padded = decrypted.to_be_bytes();
        let padded = &padded[padded.len() - key.size()..];
        if self.hash.is_none() {
            return Ok(padded.to_vec());
        }
        let end = padded.iter().skip(2).position(|byte| *byte == 0);
        match end {
            Some(end) if end >= 8 && padded.starts_with(&[0, 2]) => Ok(padded[end + 3..].to_vec()),
            _ => Err(ERROR),
        }
    }

    fn sign(&self, key: &rsa::PrivateKey, digest: &[u8]) -> Vec<u8> {
        let hash = self.hash.expect("a signature without padding");
        assert_eq!(digest.len(), hash.digest_len_bytes(), "digest length");
        match hash {
            RsaHash::Md5 => key.pkcs1v15_sign_prehash::<Md5>(digest),
            RsaHash::Sha1 => key.pkcs1v15_sign_prehash::<Sha1>(digest),
            RsaHash::Sha224 => key.pkcs1v15_sign_prehash::<Sha224>(digest),
            RsaHash::Sha256 => key.pkcs1v15_sign_prehash::<Sha256>(digest),
            RsaHash::Sha384 => key.pkcs1v15_sign_prehash::<Sha384>(digest),
            RsaHash::Sha512 => key.pkcs1v15_sign_prehash::<Sha512>(digest),
        }
        .unwrap()
    }

    fn verify(&self, key: &rsa::PublicKey, signature: &[u8], digest: &[u8]) -> Result<Vec<u8>, u8> {
        let hash = self.hash.expect("a signature without padding");
        assert_eq!(digest.len(), hash.digest_len_bytes(), "digest length");
        number(key, signature);
        let verified = match hash {
            RsaHash::Md5 => key.pkcs1v15_verify_prehash::<Md5>(digest, signature),
            RsaHash::Sha1 => key.pkcs1v15_verify_prehash::<Sha1>(digest, signature),
            RsaHash::Sha224 => key.pkcs1v15_verify_prehash::<Sha224>(digest, signature),
            RsaHash::Sha256 => key.pkcs1v15_verify_prehash::<Sha256>(digest, signature),
            RsaHash::Sha384 => key.pkcs1v15_verify_prehash::<Sha384>(digest, signature),
            RsaHash::Sha512 => key.pkcs1v15_verify_prehash::<Sha512>(digest, signature),
        };
        verified.map(|()| vec![]).map_err(|_| KEY_REJECTED)
    }
}

/// Of a *verify*, the length of the destination is that of the digest, which is read.
fn digest_len(request: Request<'_>, other_len: usize) -> usize {
    if request.opcode() == 0x403 {
        other_len
    } else {
        0
    }
}

pub(super) fn serve_stateless(request: Request<'_>) -> Result<Vec<u8>, u8> {
    let [key_len, source_len, other_len] = [32, 44, 48].map(|at| request.usize(at));
    let parts = [key_len, source_len, digest_len(request, other_len)];
    let [key, source, digest] = request.parts(parts);
    let numbers = [24, 28, 36, 40].map(|at| request.u32(at));
    assert_eq!(request.u32(4), request.u32(24), "algorithm");
    Session::new(numbers, key).compute(request, source, digest, other_len)
}

/// A number of the modulus' length and below it.
fn number(key: &impl PublicKeyParts, bytes: &[u8]) -> BoxedUint {
    assert_eq!(bytes.len(), key.size(), "the length of a number");
    let number = BoxedUint::from_be_slice(bytes, key.n_bits_precision()).unwrap();
    assert!(number < *key.n().as_ref(), "a number beyond the modulus");
    assert!(bytes.iter().any(|byte| *byte != 0), "zero");
    number
}

/// Numbers that look random, other ones in every call.
struct Random(u64);

impl Random {
    fn of(seed: &[u8]) -> Self {
        use core::sync::atomic::{AtomicU64, Ordering};
        static CALLS: AtomicU64 = AtomicU64::new(1);
        let calls = CALLS.fetch_add(1, Ordering::Relaxed);
        Self(calls.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ seed.len() as u64 | 1)
    }
}

impl TryRng for Random {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.try_next_u64().map(|number| number as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        Ok(self.0)
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for byte in bytes {
            *byte = self.try_next_u64()? as u8;
        }
        Ok(())
    }
}

impl TryCryptoRng for Random {}

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
        }
    };
}

fn ecdsa_sign(curve: Curve, scalar: &[u8], digest: &[u8]) -> Vec<u8> {
    assert!(digest.len() >= 20, "digest length");
    with_curve!(curve, C => {
        let key = elliptic_curve::SecretKey::<C>::from_slice(scalar).unwrap();
        let scalar = key.to_nonzero_scalar();
        let sign = ecdsa::hazmat::sign_prehashed_rfc6979::<C, Sha256>;
        let (signature, _) = sign(&scalar, digest, &[]);
        signature.to_der().as_bytes().to_vec()
    })
}

fn ecdsa_verify(curve: Curve, point: &[u8], signature: &[u8], digest: &[u8]) -> bool {
    assert!(digest.len() >= 20, "digest length");
    with_curve!(curve, C => {
        let key = elliptic_curve::PublicKey::<C>::from_sec1_bytes(point).unwrap();
        ecdsa::Signature::<C>::from_der(signature).is_ok_and(|signature| {
            ecdsa::hazmat::verify_prehashed(&key.to_projective(), digest, &signature).is_ok()
        })
    })
}

/// Tells whether a number is a scalar of the curve: above 0 and below the order.
pub(crate) fn is_ecdsa_scalar(curve: Curve, number: &[u8]) -> bool {
    with_curve!(curve, C => elliptic_curve::SecretKey::<C>::from_slice(number).is_ok())
}

/// Returns the public half of an ECDSA key, as an uncompressed point.
pub(crate) fn ecdsa_public(curve: Curve, scalar: &[u8]) -> Vec<u8> {
    with_curve!(curve, C => {
        let key = elliptic_curve::SecretKey::<C>::from_slice(scalar).unwrap();
        key.public_key().to_sec1_point(false).as_bytes().to_vec()
    })
}
