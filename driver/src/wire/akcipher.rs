//! Public keys: algorithms and schemes by their numbers, and data requests (Virtio 1.3, 5.9.4.5,
//! 5.9.7.2.1 and 5.9.7.8).

use zerocopy::little_endian::U32;

use super::{Form, Head, Service, header::Header};

/// A public-key algorithm by its number (Virtio 1.3, 5.9.4.5 "AKCIPHER services").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u32)]
pub enum AkcipherAlgorithm {
    /// RSA (RFC 8017).
    Rsa = 1,
    /// ECDSA (FIPS 186-5), by the number of the specification.
    Ecdsa = 2,
    /// ECDSA by the number in Linux's and QEMU's headers, which count DSA as 2.
    EcdsaLinux = 3,
}

impl AkcipherAlgorithm {
    /// All of them, by number.
    pub const ALL: [Self; 3] = [Self::Rsa, Self::Ecdsa, Self::EcdsaLinux];
}

/// The hash that an RSA session's signatures are made over
/// (`VIRTIO_CRYPTO_RSA_*`, Virtio 1.3, 5.9.7.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u32)]
pub enum RsaHash {
    /// MD5. Broken.
    Md5 = 4,
    /// SHA-1. Broken.
    Sha1 = 5,
    /// SHA-256.
    Sha256 = 6,
    /// SHA-384.
    Sha384 = 7,
    /// SHA-512.
    Sha512 = 8,
    /// SHA-224.
    Sha224 = 9,
}

impl RsaHash {
    /// All of them, by number.
    pub const ALL: [Self; 6] = [
        Self::Md5,
        Self::Sha1,
        Self::Sha256,
        Self::Sha384,
        Self::Sha512,
        Self::Sha224,
    ];

    /// Returns the bytes of a digest.
    pub const fn digest_len_bytes(self) -> usize {
        match self {
            Self::Md5 => 16,
            Self::Sha1 => 20,
            Self::Sha224 => 28,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }
}

/// A curve of ECDSA (`VIRTIO_CRYPTO_CURVE_*`, Virtio 1.3, 5.9.7.2.1; FIPS 186-5, SP 800-186).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u32)]
pub enum Curve {
    /// NIST P-192.
    P192 = 1,
    /// NIST P-224.
    P224 = 2,
    /// NIST P-256.
    P256 = 3,
    /// NIST P-384.
    P384 = 4,
    /// NIST P-521.
    P521 = 5,
}

impl Curve {
    /// All of them, by number.
    pub const ALL: [Self; 5] = [Self::P192, Self::P224, Self::P256, Self::P384, Self::P521];
}

/// What a public-key session computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AkcipherScheme {
    /// The modular exponentiation alone (`VIRTIO_CRYPTO_RSA_RAW_PADDING`).
    RsaRaw,
    /// RSAES-PKCS1-v1_5 and RSASSA-PKCS1-v1_5 (RFC 8017, 7.2 and 8.2). Encryption ignores the hash;
    /// QEMU refuses a session without one.
    RsaPkcs1(RsaHash),
    Ecdsa(Curve, EcdsaNumber),
}

/// Under which number a device knows ECDSA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EcdsaNumber {
    /// 2, as in the specification.
    Specification,
    /// 3, as in Linux's and QEMU's headers.
    Linux,
}

/// `VIRTIO_CRYPTO_AKCIPHER_KEY_TYPE_*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum KeyType {
    Public = 1,
    Private = 2,
}

impl AkcipherScheme {
    pub(crate) fn algorithm(self) -> AkcipherAlgorithm {
        match self {
            Self::RsaRaw | Self::RsaPkcs1(_) => AkcipherAlgorithm::Rsa,
            Self::Ecdsa(_, EcdsaNumber::Specification) => AkcipherAlgorithm::Ecdsa,
            Self::Ecdsa(_, EcdsaNumber::Linux) => AkcipherAlgorithm::EcdsaLinux,
        }
    }

    /// Returns `algo_flf`, as far as it is used.
    pub(super) fn specific(self) -> [U32; 2] {
        const RAW_PADDING: u32 = 0;
        const PKCS1_PADDING: u32 = 1;
        match self {
            Self::RsaRaw => [U32::new(RAW_PADDING), U32::ZERO],
            Self::RsaPkcs1(hash) => [U32::new(PKCS1_PADDING), U32::new(hash as u32)],
            Self::Ecdsa(curve, _) => [U32::new(curve as u32), U32::ZERO],
        }
    }
}

/// What a public-key request does: the lower part of its opcode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum AkcipherOperation {
    Encrypt = 0,
    Decrypt = 1,
    Sign = 2,
    Verify = 3,
}

/// Encodes a public-key request; the source follows it. For *verify* the source is the signature
/// and `destination_len_bytes` is the length of the digest, which follows the signature.
pub(crate) fn akcipher_request(
    form: Form,
    scheme: AkcipherScheme,
    operation: AkcipherOperation,
    session_id: u64,
    source_len_bytes: u32,
    destination_len_bytes: u32,
) -> Head {
    let fields = [source_len_bytes, destination_len_bytes].map(U32::new);
    let opcode = Service::Akcipher.opcode(operation as u32);
    let header = Header::of_session(opcode, scheme.algorithm() as u32, session_id);
    form.head(&header, &fields)
}

/// Encodes a stateless public-key request; key and source follow it, and the digest for *verify*.
pub(crate) fn stateless_akcipher_request(
    scheme: AkcipherScheme,
    key_type: KeyType,
    operation: AkcipherOperation,
    key_len_bytes: u32,
    source_len_bytes: u32,
    destination_len_bytes: u32,
) -> Head {
    let algorithm = scheme.algorithm() as u32;
    let [first, second] = scheme.specific().map(U32::get);
    // algo, key_type, key_len, the algorithm's own, src_data_len, dst_data_len
    let fields = [
        algorithm,
        key_type as u32,
        key_len_bytes,
        first,
        second,
        source_len_bytes,
        destination_len_bytes,
    ]
    .map(U32::new);
    let opcode = Service::Akcipher.opcode(operation as u32);
    Form::Exact.head(&Header::stateless(opcode, algorithm), &fields)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{
        data::tests::{ID, check},
        tests::golden,
    };

    #[test]
    fn akcipher_request_has_the_golden_bytes() {
        let operations = [
            (AkcipherOperation::Encrypt, 0x400),
            (AkcipherOperation::Decrypt, 0x401),
            (AkcipherOperation::Sign, 0x402),
            (AkcipherOperation::Verify, 0x403),
        ];
        for (operation, opcode) in operations {
            let ecdsa = AkcipherScheme::Ecdsa(Curve::P256, EcdsaNumber::Linux);
            let encode = |form| akcipher_request(form, ecdsa, operation, ID, 256, 32);
            check(encode, (opcode, 3), 32, &[(24, 256), (28, 32)]);
            let scheme = AkcipherScheme::RsaPkcs1(RsaHash::Sha512);
            let key_type = KeyType::Private;
            let head = stateless_akcipher_request(scheme, key_type, operation, 1190, 64, 256);
            let words = [
                (0, opcode),
                (4, 1),
                (24, 1),
                (28, 2),
                (32, 1190),
                (36, 1),
                (40, 8),
                (44, 64),
                (48, 256),
            ];
            assert_eq!(head.as_ref(), golden(52, &words));
        }
    }
}
