//! What a session is for, as the input says it.

use core::fmt;

use virtio_crypto::{
    AeadAlgorithm, ChainOrder, CipherAlgorithm, Direction, HashAlgorithm, MacAlgorithm,
};

use crate::{
    oracle::{CIPHERS, cipher_oracle},
    secrets::secret,
};

/// Gives the next byte of what is called.
pub(crate) type Draw<'d> = &'d dyn Fn() -> u8;

/// A service with its algorithm, and which way it is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Cipher(CipherAlgorithm, Direction),
    Hash(HashAlgorithm),
    Mac(MacAlgorithm),
    Aead(AeadAlgorithm, Direction),
    /// The cipher is AES-CBC or AES-CTR.
    Chain(CipherAlgorithm, Direction, ChainOrder, Hashed),
    RsaSign,
    RsaVerify,
    RsaEncrypt,
    RsaDecrypt,
    RsaRawDecrypt,
    EcdsaSign,
    EcdsaVerify,
}

/// The hash of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hashed {
    Plain,
    Nested,
    Authenticated,
}

/// What a session is opened for.
#[derive(Clone, Copy)]
pub(crate) struct Spec {
    pub(crate) kind: Kind,
    pub(crate) key: &'static [u8],
    /// That of a chain's hash.
    pub(crate) hash_key: &'static [u8],
    /// Bytes of a digest or tag.
    pub(crate) result_len: usize,
    pub(crate) aad_len: usize,
    /// Without a session.
    pub(crate) is_stateless: bool,
    /// The key has a length that the algorithm takes.
    pub(crate) is_valid: bool,
}

/// Lengths, since what is in them is known.
impl fmt::Debug for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spec")
            .field("kind", &self.kind)
            .field("key_len", &self.key.len())
            .field("hash_key_len", &self.hash_key.len())
            .field("result_len", &self.result_len)
            .field("aad_len", &self.aad_len)
            .field("is_stateless", &self.is_stateless)
            .field("is_valid", &self.is_valid)
            .finish()
    }
}

/// Algorithms that the device computes.
const MACS: [MacAlgorithm; 8] = [
    MacAlgorithm::HmacMd5,
    MacAlgorithm::HmacSha1,
    MacAlgorithm::HmacSha224,
    MacAlgorithm::HmacSha256,
    MacAlgorithm::HmacSha384,
    MacAlgorithm::HmacSha512,
    MacAlgorithm::CmacTripleDes,
    MacAlgorithm::CmacAes,
];

const DIRECTIONS: [Direction; 2] = [Direction::Encrypt, Direction::Decrypt];
const ORDERS: [ChainOrder; 2] = [ChainOrder::HashThenCipher, ChainOrder::CipherThenHash];
const HASHED: [Hashed; 3] = [Hashed::Plain, Hashed::Nested, Hashed::Authenticated];

fn one_of<T: Copy>(draw: Draw<'_>, choices: &[T]) -> T {
    choices[usize::from(draw()) % choices.len()]
}

impl Spec {
    /// Tells whether it is one that most sequences of calls are about.
    pub(crate) fn is_simple(&self) -> bool {
        matches!(self.kind, Kind::Cipher(CipherAlgorithm::AesCbc, _)) && self.is_valid
    }

    /// Tells whether it is about a public key.
    pub(crate) fn is_public(&self) -> bool {
        !matches!(
            self.kind,
            Kind::Cipher(..) | Kind::Hash(_) | Kind::Mac(_) | Kind::Aead(..) | Kind::Chain(..)
        )
    }

    /// Returns what a cipher makes of data.
    pub(crate) fn transform(&self, iv: &[u8], data: &[u8]) -> Vec<u8> {
        match self.kind {
            Kind::Cipher(algorithm, direction) => {
                cipher_oracle(algorithm, direction, self.key, iv, data)
            }
            _ => data.to_vec(),
        }
    }

    /// Returns how long an IV is that goes with a cipher.
    pub(crate) fn iv_len(&self) -> usize {
        match self.kind {
            Kind::Cipher(algorithm, _) => algorithm.iv_len_bytes(),
            _ => 0,
        }
    }

    /// AES-CBC, which most sequences of calls are about.
    pub(crate) fn simple(draw: Draw<'_>, is_stateless: bool) -> Self {
        let kind = Kind::Cipher(CipherAlgorithm::AesCbc, one_of(draw, &DIRECTIONS));
        Self {
            key: secret(usize::from(draw()), 16),
            ..Self::of(kind, is_stateless)
        }
    }

    fn of(kind: Kind, is_stateless: bool) -> Self {
        Self {
            kind,
            key: &[],
            hash_key: &[],
            result_len: 0,
            aad_len: 0,
            is_stateless,
            is_valid: true,
        }
    }

    /// Any of them. One in thirty is a public key's, which takes as long as all others.
    pub(crate) fn draw(draw: Draw<'_>, is_stateless: bool) -> Self {
        let of = |kind| Self::of(kind, is_stateless);
        let key = |lens: &[usize]| {
            let len_bytes = one_of(draw, lens);
            secret(usize::from(draw()), len_bytes)
        };
        let mut spec = match draw() {
            0..80 => {
                let algorithm = one_of(draw, &CIPHERS);
                let lens = algorithm.key_lens_bytes();
                let lens: Vec<_> = lens.iter().map(|lens| *lens.start()).collect();
                Self {
                    key: key(&lens),
                    ..of(Kind::Cipher(algorithm, one_of(draw, &DIRECTIONS)))
                }
            }
            80..115 => {
                let algorithm = one_of(draw, &HashAlgorithm::ALL);
                let result_len = algorithm.digest_len_bytes();
                Self {
                    result_len: result_len.unwrap_or_else(|| 1 + usize::from(draw())),
                    ..of(Kind::Hash(algorithm))
                }
            }
            115..155 => {
                let algorithm = one_of(draw, &MACS);
                let most = algorithm.result_len_bytes();
                let hmac = [1, 20, 64, 200, 600, 1500];
                let key = match algorithm {
                    MacAlgorithm::CmacAes => key(&[16, 24, 32]),
                    MacAlgorithm::CmacTripleDes => key(&[24]),
                    _ => key(&hmac),
                };
                Self {
                    key,
                    result_len: most - usize::from(draw()) % (most - 3),
                    ..of(Kind::Mac(algorithm))
                }
            }
            155..205 => {
                let algorithm = one_of(draw, &AeadAlgorithm::ALL);
                let key = match algorithm {
                    AeadAlgorithm::ChaCha20Poly1305 => key(&[32]),
                    _ => key(&[16, 32]),
                };
                Self {
                    key,
                    result_len: 16,
                    aad_len: one_of(draw, &[0, 13, 64, 700]),
                    ..of(Kind::Aead(algorithm, one_of(draw, &DIRECTIONS)))
                }
            }
            205..248 => {
                let ciphers = [CipherAlgorithm::AesCbc, CipherAlgorithm::AesCtr];
                let hashed = one_of(draw, &HASHED);
                let (cipher, direction) = (one_of(draw, &ciphers), one_of(draw, &DIRECTIONS));
                Self {
                    key: key(&[16, 32]),
                    hash_key: match hashed {
                        Hashed::Authenticated => key(&[20, 64, 700]),
                        _ => &[],
                    },
                    result_len: 32,
                    aad_len: one_of(draw, &[0, 0, 20, 600]),
                    ..of(Kind::Chain(
                        cipher,
                        direction,
                        one_of(draw, &ORDERS),
                        hashed,
                    ))
                }
            }
            248 => of(Kind::RsaSign),
            249 => of(Kind::RsaVerify),
            250 => of(Kind::RsaEncrypt),
            251 => of(Kind::RsaDecrypt),
            252 => of(Kind::RsaRawDecrypt),
            253 | 254 => of(Kind::EcdsaSign),
            255 => of(Kind::EcdsaVerify),
        };
        // One byte of a key is too few for all but ARC4's lengths and HMAC's.
        let takes_any = matches!(spec.kind, Kind::Mac(mac) if mac as u32 <= 6);
        if draw() < 6 && !spec.key.is_empty() && !takes_any {
            spec.key = &spec.key[..1];
            spec.is_valid = false;
        }
        spec
    }
}
