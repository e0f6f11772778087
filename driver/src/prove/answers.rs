//! Answers that are known from elsewhere: published, or computed with OpenSSL.

use crate::{
    service::akcipher::hex,
    wire::{AeadAlgorithm, CipherAlgorithm, HashAlgorithm, MacAlgorithm},
};

/// Bytes as a slice.
macro_rules! hex {
    ($digits:literal) => {
        const { &hex::<{ $digits.len() / 2 }>($digits) }
    };
}

/// A cipher's answer.
pub(super) struct Cipher {
    pub(super) algorithm: CipherAlgorithm,
    pub(super) key: &'static [u8],
    pub(super) iv: &'static [u8],
    pub(super) plaintext: &'static [u8],
    pub(super) ciphertext: &'static [u8],
}

/// Longest plaintext below.
pub(super) const MAX_PLAINTEXT_LEN: usize = 32;

pub(super) const CIPHERS: &[Cipher] = &[
    // NIST SP 800-38A, F.1.1.
    Cipher {
        algorithm: CipherAlgorithm::AesEcb,
        key: hex!("2b7e151628aed2a6abf7158809cf4f3c"),
        iv: b"",
        plaintext: hex!("6bc1bee22e409f96e93d7e117393172a"),
        ciphertext: hex!("3ad77bb40d7a3660a89ecaf32466ef97"),
    },
    // NIST SP 800-38A, F.2.1.
    Cipher {
        algorithm: CipherAlgorithm::AesCbc,
        key: hex!("2b7e151628aed2a6abf7158809cf4f3c"),
        iv: hex!("000102030405060708090a0b0c0d0e0f"),
        plaintext: hex!("6bc1bee22e409f96e93d7e117393172a"),
        ciphertext: hex!("7649abac8119b246cee98e9b12e9197d"),
    },
    // NIST SP 800-38A, F.5.1.
    Cipher {
        algorithm: CipherAlgorithm::AesCtr,
        key: hex!("2b7e151628aed2a6abf7158809cf4f3c"),
        iv: hex!("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff"),
        plaintext: hex!("6bc1bee22e409f96e93d7e117393172a"),
        ciphertext: hex!("874d6191b620e3261bef6864990db6ce"),
    },
    // IEEE 1619, vector 2.
    Cipher {
        algorithm: CipherAlgorithm::AesXts,
        key: hex!("1111111111111111111111111111111122222222222222222222222222222222"),
        iv: hex!("33333333330000000000000000000000"),
        plaintext: hex!("4444444444444444444444444444444444444444444444444444444444444444"),
        ciphertext: hex!("c454185e6a16936e39334038acef838bfb186fff7480adc4289382ecd6d394f0"),
    },
    // By OpenSSL.
    Cipher {
        algorithm: CipherAlgorithm::DesEcb,
        key: hex!("0123456789abcdef"),
        iv: b"",
        plaintext: hex!("54686520717566636b2062726f776e20666f78206a756d70"),
        ciphertext: hex!("a28e91724c4bba31167e47ec24f71d632c1a917234425365"),
    },
    Cipher {
        algorithm: CipherAlgorithm::DesCbc,
        key: hex!("0123456789abcdef"),
        iv: hex!("0001020304050607"),
        plaintext: hex!("54686520717566636b2062726f776e20666f78206a756d70"),
        ciphertext: hex!("bf4dd9d6944df1c6b8919785f9d183071df93a37ef7413c6"),
    },
    // NIST SP 800-67, B.1.
    Cipher {
        algorithm: CipherAlgorithm::TripleDesEcb,
        key: hex!("0123456789abcdef23456789abcdef01456789abcdef0123"),
        iv: b"",
        plaintext: hex!("54686520717566636b2062726f776e20666f78206a756d70"),
        ciphertext: hex!("a826fd8ce53b855fcce21c8112256fe668d5c05dd9b6b900"),
    },
    // The same in the other modes, by OpenSSL.
    Cipher {
        algorithm: CipherAlgorithm::TripleDesCbc,
        key: hex!("0123456789abcdef23456789abcdef01456789abcdef0123"),
        iv: hex!("0001020304050607"),
        plaintext: hex!("54686520717566636b2062726f776e20666f78206a756d70"),
        ciphertext: hex!("f368d06f3bbd614e60f2d0245cad3f818d5c69f2cb3fd5c7"),
    },
    Cipher {
        algorithm: CipherAlgorithm::TripleDesCtr,
        key: hex!("0123456789abcdef23456789abcdef01456789abcdef0123"),
        iv: hex!("f8f9fafbfcfdfeff"),
        plaintext: hex!("54686520717566636b2062726f776e20666f78206a756d70"),
        ciphertext: hex!("601b7f437bf260f13bbc588b3963a87e3a3e47ce48f6bbfe"),
    },
    // RFC 6229, 128 bits.
    Cipher {
        algorithm: CipherAlgorithm::Arc4,
        key: hex!("0102030405060708090a0b0c0d0e0f10"),
        iv: b"",
        plaintext: hex!("00000000000000000000000000000000"),
        ciphertext: hex!("9ac7cc9a609d1ef7b2932899cde41b97"),
    },
];

/// What the digests are of.
pub(super) const MESSAGE: &[u8] = b"abc";

/// FIPS 180-4 and FIPS 202, examples of one block; RFC 1321, A.5.
pub(super) const HASHES: &[(HashAlgorithm, &[u8])] = &[
    (HashAlgorithm::Md5, hex!("900150983cd24fb0d6963f7d28e17f72")),
    (
        HashAlgorithm::Sha1,
        hex!("a9993e364706816aba3e25717850c26c9cd0d89d"),
    ),
    (
        HashAlgorithm::Sha224,
        hex!("23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7"),
    ),
    (
        HashAlgorithm::Sha256,
        hex!("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    ),
    (
        HashAlgorithm::Sha384,
        hex!(
            "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc23\
             58baeca134c825a7"
        ),
    ),
    (
        HashAlgorithm::Sha512,
        hex!(
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a8\
             36ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
        ),
    ),
    (
        HashAlgorithm::Sha3_224,
        hex!("e642824c3f8cf24ad09234ee7d3c766fc9a3a5168d0c94ad73b46fdf"),
    ),
    (
        HashAlgorithm::Sha3_256,
        hex!("3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532"),
    ),
    (
        HashAlgorithm::Sha3_384,
        hex!(
            "ec01498288516fc926459f58e2c6ad8df9b473cb0fc08c2596da7cf0e49be4b298d88cea927ac7f5\
             39f1edf228376d25"
        ),
    ),
    (
        HashAlgorithm::Sha3_512,
        hex!(
            "b751850b1a57168a5693cd924b6b096e08f621827444f70d884f5d0240d2712e10e116e9192af3c9\
             1a7ec57647e3934057340b4cf408d5a56592f8274eec53f0"
        ),
    ),
    // The first 32 bytes.
    (
        HashAlgorithm::Shake128,
        hex!("5881092dd818bf5cf8a3ddb793fbcba74097d5c526a6d35f97b83351940f2cc8"),
    ),
    (
        HashAlgorithm::Shake256,
        hex!("483366601360a8771c6863080cc4114d8db44530f8f1e1ee4f94ea37e78b5739"),
    ),
];

/// Longest digest or tag.
pub(super) const MAX_RESULT_LEN: usize = 64;

/// A tag that is known.
pub(super) struct Mac {
    pub(super) algorithm: MacAlgorithm,
    pub(super) key: &'static [u8],
    pub(super) message: &'static [u8],
    pub(super) tag: &'static [u8],
}

pub(super) const MACS: &[Mac] = &[
    // RFC 2202 and RFC 4231, test case 2.
    Mac {
        algorithm: MacAlgorithm::HmacMd5,
        key: b"Jefe",
        message: b"what do ya want for nothing?",
        tag: hex!("750c783e6ab0b503eaa86e310a5db738"),
    },
    Mac {
        algorithm: MacAlgorithm::HmacSha1,
        key: b"Jefe",
        message: b"what do ya want for nothing?",
        tag: hex!("effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"),
    },
    Mac {
        algorithm: MacAlgorithm::HmacSha224,
        key: b"Jefe",
        message: b"what do ya want for nothing?",
        tag: hex!("a30e01098bc6dbbf45690f3a7e9e6d0f8bbea2a39e6148008fd05e44"),
    },
    Mac {
        algorithm: MacAlgorithm::HmacSha256,
        key: b"Jefe",
        message: b"what do ya want for nothing?",
        tag: hex!("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
    },
    Mac {
        algorithm: MacAlgorithm::HmacSha384,
        key: b"Jefe",
        message: b"what do ya want for nothing?",
        tag: hex!(
            "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c7\
             8b3239ecfab21649"
        ),
    },
    Mac {
        algorithm: MacAlgorithm::HmacSha512,
        key: b"Jefe",
        message: b"what do ya want for nothing?",
        tag: hex!(
            "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a\
             6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737"
        ),
    },
    // NIST SP 800-38B, examples with three-key triple DES.
    Mac {
        algorithm: MacAlgorithm::CmacTripleDes,
        key: hex!("8aa83bf8cbda10620bc1bf19fbb6cd58bc313d4a371ca8b5"),
        message: hex!("6bc1bee22e409f96"),
        tag: hex!("8e8f293136283797"),
    },
    // RFC 4493, example 2.
    Mac {
        algorithm: MacAlgorithm::CmacAes,
        key: hex!("2b7e151628aed2a6abf7158809cf4f3c"),
        message: hex!("6bc1bee22e409f96e93d7e117393172a"),
        tag: hex!("070a16b46b4d4144f79bdd9dd04a287c"),
    },
];

/// What key, nonce, additional data and plaintext are the beginnings of: 0, 1, 2, ..
pub(super) const COUNT: [u8; 32] =
    hex("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");

/// What comes of [`COUNT`], under its first 12 bytes as nonce, with its first 20 as additional
/// data.
pub(super) struct Aead {
    pub(super) algorithm: AeadAlgorithm,
    pub(super) key_len_bytes: usize,
    pub(super) ciphertext: [u8; 32],
    pub(super) tag: [u8; 16],
}

/// By OpenSSL.
pub(super) const AEADS: &[Aead] = &[
    Aead {
        algorithm: AeadAlgorithm::Gcm,
        key_len_bytes: 16,
        ciphertext: hex("936da5cd621ef15343db6b813aae7e07a33708f547f8ebe1fe38eb360859bc73"),
        tag: hex("f17d8132a8cd57505e99791bb3ed5811"),
    },
    Aead {
        algorithm: AeadAlgorithm::Ccm,
        key_len_bytes: 16,
        ciphertext: hex("3314f164d885c2b6791ac3eb0ee78b8f7c470b21df11a12f567e5686ec3db5ae"),
        tag: hex("530a5973716d928fea0689fc6bbb75d4"),
    },
    Aead {
        algorithm: AeadAlgorithm::ChaCha20Poly1305,
        key_len_bytes: 32,
        ciphertext: hex("89fa0a032d12a347bf8a35f89410006cd961a0f44561bbaefe8e35de69ddb823"),
        tag: hex("50e9134833b72ed13e6399aef01a1478"),
    },
];

/// A key of 1024 bits that is no secret.
pub(super) const RSA_KEY: &[u8] = include_bytes!("../../testdata/rsa/1024.pkcs1.der");
/// What is signed with it: SHA-256.
pub(super) const RSA_DIGEST: [u8; 32] =
    hex("05f7e78554cead21c56d2e730a0c972c8a2c86b3b539abd3e494ed6183881f3e");
/// The signature, by OpenSSL.
pub(super) const RSA_SIGNATURE: &[u8] = include_bytes!("../../testdata/rsa/1024.sha256.sig");

/// RFC 6979, A.2.5: a key on P-256 that is no secret.
pub(super) const ECDSA_SCALAR: [u8; 32] =
    hex("c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721");
/// Its point.
pub(super) const ECDSA_POINT: [u8; 65] = hex(
    "0460fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6\
     7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299",
);
/// "sample" in SHA-256.
pub(super) const ECDSA_DIGEST: [u8; 32] =
    hex("af2bdbe1aa9b6ec1e2ade1d694f41fc71a831d0268e9891562113d8a62add1bf");
/// Its signature.
pub(super) const ECDSA_SIGNATURE: [u8; 72] = hex(
    "3046022100efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716\
     022100f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8",
);
