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
mod tests;
