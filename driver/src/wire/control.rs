//! Control requests: sessions come and go (Virtio 1.3, 5.9.7.2).

use zerocopy::{
    Immutable, IntoBytes, KnownLayout,
    little_endian::{U32, U64},
};

use super::{
    AeadAlgorithm, AkcipherScheme, CipherAlgorithm, Direction, Form, HashAlgorithm, Head, KeyType,
    MacAlgorithm, PutHead, SYMMETRIC_CHAIN, SYMMETRIC_CIPHER, Service, Services,
    status::{Refusal, check_status},
};

/// `struct virtio_crypto_ctrl_header`.
#[derive(IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct Header {
    opcode: U32,
    algo: U32,
    flag: U32,
    reserved: U32,
}

/// `struct virtio_crypto_cipher_session_flf`.
#[derive(IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct CipherFields {
    algo: U32,
    key_len: U32,
    op: U32,
    padding: U32,
}

/// `struct virtio_crypto_sym_create_session_flf` of a plain cipher.
#[derive(IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct CreateCipher {
    cipher: CipherFields,
    unused: [U32; 8],
    op_type: U32,
    padding: U32,
}

/// `struct virtio_crypto_sym_create_session_flf` of a chain.
#[derive(IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct CreateChain {
    alg_chain_order: U32,
    hash_mode: U32,
    cipher: CipherFields,
    hash: CreateMac,
    aad_len: U32,
    unused: U32,
    op_type: U32,
    padding: U32,
}

/// `struct virtio_crypto_hash_create_session_flf`.
#[derive(IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct CreateHash {
    algo: U32,
    hash_result_len: U32,
}

/// `struct virtio_crypto_mac_create_session_flf`.
#[derive(IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct CreateMac {
    algo: U32,
    hash_result_len: U32,
    auth_key_len: U32,
    padding: U32,
}

/// `struct virtio_crypto_aead_create_session_flf`.
#[derive(IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct CreateAead {
    algo: U32,
    key_len: U32,
    tag_len: U32,
    aad_len: U32,
    op: U32,
    padding: U32,
}

/// `struct virtio_crypto_akcipher_create_session_flf`.
#[derive(IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct CreateAkcipher {
    algo: U32,
    key_type: U32,
    key_len: U32,
    /// Padding and hash for RSA, the curve for ECDSA.
    specific: [U32; 2],
    unused: [U32; 9],
}

/// What a session is created with, beside its key or keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SessionParameters {
    Cipher(CipherParameters),
    Chain {
        order: ChainOrder,
        cipher: CipherParameters,
        hash: ChainHash,
        aad_len_bytes: u32,
    },
    Hash {
        algorithm: HashAlgorithm,
        result_len_bytes: u32,
    },
    Mac {
        algorithm: MacAlgorithm,
        result_len_bytes: u32,
        key_len_bytes: u32,
    },
    Aead {
        algorithm: AeadAlgorithm,
        direction: Direction,
        key_len_bytes: u32,
        tag_len_bytes: u32,
        aad_len_bytes: u32,
    },
    Akcipher {
        scheme: AkcipherScheme,
        key_type: KeyType,
        key_len_bytes: u32,
    },
}

/// What a cipher's session is created with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CipherParameters {
    pub(crate) algorithm: CipherAlgorithm,
    pub(crate) direction: Direction,
    pub(crate) key_len_bytes: u32,
}

/// Which part of a chain comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum ChainOrder {
    /// The hash is over what goes into the cipher.
    HashThenCipher = 1,
    /// The hash is over what comes out of the cipher.
    CipherThenHash = 2,
}

/// The hash of a chain, by its `hash_mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChainHash {
    Plain {
        algorithm: HashAlgorithm,
        result_len_bytes: u32,
    },
    Authenticated {
        algorithm: MacAlgorithm,
        result_len_bytes: u32,
        key_len_bytes: u32,
    },
    Nested {
        algorithm: HashAlgorithm,
        result_len_bytes: u32,
    },
}

/// The hash of a chain in numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct ChainHashNumbers {
    pub(super) mode: u32,
    pub(super) algorithm: u32,
    result_len_bytes: u32,
    pub(super) key_len_bytes: u32,
}

impl ChainHash {
    pub(super) fn numbers(self) -> ChainHashNumbers {
        let (mode, algorithm, result_len_bytes, key_len_bytes) = match self {
            Self::Plain {
                algorithm,
                result_len_bytes,
            } => (1, algorithm as u32, result_len_bytes, 0),
            Self::Authenticated {
                algorithm,
                result_len_bytes,
                key_len_bytes,
            } => (2, algorithm as u32, result_len_bytes, key_len_bytes),
            Self::Nested {
                algorithm,
                result_len_bytes,
            } => (3, algorithm as u32, result_len_bytes, 0),
        };
        ChainHashNumbers {
            mode,
            algorithm,
            result_len_bytes,
            key_len_bytes,
        }
    }
}

impl CipherParameters {
    fn fields(self) -> CipherFields {
        CipherFields {
            algo: U32::new(self.algorithm as u32),
            key_len: U32::new(self.key_len_bytes),
            op: U32::new(self.direction as u32),
            padding: U32::ZERO,
        }
    }
}

/// Returns the opcodes that make and end a session of a service.
fn session_opcodes(service: Service) -> (u32, u32) {
    // The public-key service counts on where its data requests end.
    let create = if service == Service::Akcipher { 4 } else { 2 };
    (service.opcode(create), service.opcode(create + 1))
}

/// Returns the opcodes that end the sessions of these services, one each.
pub(crate) fn destroy_opcodes(services: Services) -> impl Iterator<Item = u32> + Clone {
    let all = [
        (Services::CIPHER, Service::Cipher),
        (Services::HASH, Service::Hash),
        (Services::MAC, Service::Mac),
        (Services::AEAD, Service::Aead),
        (Services::AKCIPHER, Service::Akcipher),
    ];
    let asked = all
        .into_iter()
        .filter(move |(bit, _)| services.contains(*bit));
    asked.map(|(_, service)| session_opcodes(service).1)
}

impl SessionParameters {
    fn service(self) -> Service {
        match self {
            Self::Cipher(_) | Self::Chain { .. } => Service::Cipher,
            Self::Hash { .. } => Service::Hash,
            Self::Mac { .. } => Service::Mac,
            Self::Aead { .. } => Service::Aead,
            Self::Akcipher { .. } => Service::Akcipher,
        }
    }

    /// Returns the opcode that ends such a session.
    pub(crate) fn destroy_opcode(self) -> u32 {
        session_opcodes(self.service()).1
    }

    /// Encodes the *create*; the key or keys follow it.
    pub(crate) fn encode(self, form: Form) -> Head {
        Head::of(|head| self.put(form, head))
    }

    /// Puts the *create* where it is to be; returns how long it is.
    #[inline(always)]
    pub(crate) fn put(self, form: Form, to: &mut impl PutHead) -> usize {
        let header = |algorithm: u32| Header {
            opcode: U32::new(session_opcodes(self.service()).0),
            algo: U32::new(algorithm),
            flag: U32::ZERO,
            reserved: U32::ZERO,
        };
        match self {
            Self::Cipher(cipher) => {
                let fields = CreateCipher {
                    cipher: cipher.fields(),
                    unused: [U32::ZERO; 8],
                    op_type: U32::new(SYMMETRIC_CIPHER),
                    padding: U32::ZERO,
                };
                form.put(&header(cipher.algorithm as u32), &fields, to)
            }
            Self::Chain {
                order,
                cipher,
                hash,
                aad_len_bytes,
            } => {
                let hash = hash.numbers();
                let fields = CreateChain {
                    alg_chain_order: U32::new(order as u32),
                    hash_mode: U32::new(hash.mode),
                    cipher: cipher.fields(),
                    hash: CreateMac {
                        algo: U32::new(hash.algorithm),
                        hash_result_len: U32::new(hash.result_len_bytes),
                        auth_key_len: U32::new(hash.key_len_bytes),
                        padding: U32::ZERO,
                    },
                    aad_len: U32::new(aad_len_bytes),
                    unused: U32::ZERO,
                    op_type: U32::new(SYMMETRIC_CHAIN),
                    padding: U32::ZERO,
                };
                form.put(&header(cipher.algorithm as u32), &fields, to)
            }
            Self::Hash {
                algorithm,
                result_len_bytes,
            } => {
                let fields = CreateHash {
                    algo: U32::new(algorithm as u32),
                    hash_result_len: U32::new(result_len_bytes),
                };
                form.put(&header(algorithm as u32), &fields, to)
            }
            Self::Mac {
                algorithm,
                result_len_bytes,
                key_len_bytes,
            } => {
                let fields = CreateMac {
                    algo: U32::new(algorithm as u32),
                    hash_result_len: U32::new(result_len_bytes),
                    auth_key_len: U32::new(key_len_bytes),
                    padding: U32::ZERO,
                };
                form.put(&header(algorithm as u32), &fields, to)
            }
            Self::Aead {
                algorithm,
                direction,
                key_len_bytes,
                tag_len_bytes,
                aad_len_bytes,
            } => {
                let fields = CreateAead {
                    algo: U32::new(algorithm as u32),
                    key_len: U32::new(key_len_bytes),
                    tag_len: U32::new(tag_len_bytes),
                    aad_len: U32::new(aad_len_bytes),
                    op: U32::new(direction as u32),
                    padding: U32::ZERO,
                };
                form.put(&header(algorithm as u32), &fields, to)
            }
            Self::Akcipher {
                scheme,
                key_type,
                key_len_bytes,
            } => {
                let algorithm = scheme.algorithm() as u32;
                let fields = CreateAkcipher {
                    algo: U32::new(algorithm),
                    key_type: U32::new(key_type as u32),
                    key_len: U32::new(key_len_bytes),
                    specific: scheme.specific(),
                    unused: [U32::ZERO; 9],
                };
                form.put(&header(algorithm), &fields, to)
            }
        }
    }
}

/// Puts a *destroy* of a session where it is to be, and returns how long it is; `opcode` is that of
/// the session's service.
#[inline(always)]
pub(crate) fn destroy_session(
    form: Form,
    opcode: u32,
    session_id: u64,
    to: &mut impl PutHead,
) -> usize {
    let header = Header {
        opcode: U32::new(opcode),
        algo: U32::ZERO,
        flag: U32::ZERO,
        reserved: U32::ZERO,
    };
    form.put(&header, &U64::new(session_id), to)
}

/// Reads `struct virtio_crypto_create_session_input`: the id of the new session, if the status is
/// OK.
pub(crate) fn parse_session_answer(bytes: &[u8; 16]) -> Result<u64, Refusal> {
    let [i0, i1, i2, i3, i4, i5, i6, i7, s0, s1, s2, s3, ..] = *bytes;
    check_status(u32::from_le_bytes([s0, s1, s2, s3]))?;
    Ok(u64::from_le_bytes([i0, i1, i2, i3, i4, i5, i6, i7]))
}

#[cfg(test)]
mod tests {
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
        bytes[8..12].copy_from_slice(&[0; 4]);
        assert_eq!(parse_session_answer(&bytes), Ok(7));
        bytes[8] = 5;
        assert_eq!(parse_session_answer(&bytes), Err(Refusal::NoSpace));
    }
}
