//! What ciphers answer.

use virtio_crypto::CipherAlgorithm;

/// A cipher: algorithm, key, IV, plaintext, ciphertext. Without plaintext there is no answer here.
pub const CIPHERS: &[(CipherAlgorithm, [&str; 4])] = &[
    // NIST SP 800-38A, F.1.1 to F.1.5.
    (
        CipherAlgorithm::AesEcb,
        [
            "2b7e151628aed2a6abf7158809cf4f3c",
            "",
            "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51",
            "3ad77bb40d7a3660a89ecaf32466ef97f5d3d58503b9699de785895a96fdbaaf",
        ],
    ),
    (
        CipherAlgorithm::AesEcb,
        [
            "8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b",
            "",
            "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51",
            "bd334f1d6e45f25ff712a214571fa5cc974104846d0ad3ad7734ecb3ecee4eef",
        ],
    ),
    (
        CipherAlgorithm::AesEcb,
        [
            "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
            "",
            "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51",
            "f3eed1bdb5d2a03c064b5a7e3db181f8591ccb10d410ed26dc5ba74a31362870",
        ],
    ),
    // F.2.1 to F.2.5.
    (
        CipherAlgorithm::AesCbc,
        [
            "2b7e151628aed2a6abf7158809cf4f3c",
            "000102030405060708090a0b0c0d0e0f",
            "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51",
            "7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b2",
        ],
    ),
    (
        CipherAlgorithm::AesCbc,
        [
            "8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b",
            "000102030405060708090a0b0c0d0e0f",
            "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51",
            "4f021db243bc633d7178183a9fa071e8b4d9ada9ad7dedf4e5e738763f69145a",
        ],
    ),
    (
        CipherAlgorithm::AesCbc,
        [
            "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
            "000102030405060708090a0b0c0d0e0f",
            "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51",
            "f58c4c04d6e5f1ba779eabfb5f7bfbd69cfc4e967edb808d679f777bc6702c7d",
        ],
    ),
    // F.5.1 to F.5.5.
    (
        CipherAlgorithm::AesCtr,
        [
            "2b7e151628aed2a6abf7158809cf4f3c",
            "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff",
            "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51",
            "874d6191b620e3261bef6864990db6ce9806f66b7970fdff8617187bb9fffdff",
        ],
    ),
    (
        CipherAlgorithm::AesCtr,
        [
            "8e73b0f7da0e6452c810f32b809079e562f8ead2522c6b7b",
            "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff",
            "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51",
            "1abc932417521ca24f2b0459fe7e6e0b090339ec0aa6faefd5ccc2c6f4ce8e94",
        ],
    ),
    (
        CipherAlgorithm::AesCtr,
        [
            "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4",
            "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff",
            "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51",
            "601ec313775789a5b7a7f504bbf3d228f443e3ca4d62b59aca84e990cacaf5c5",
        ],
    ),
    // IEEE 1619, vectors 2 and 10 (its beginning).
    (
        CipherAlgorithm::AesXts,
        [
            "1111111111111111111111111111111122222222222222222222222222222222",
            "33333333330000000000000000000000",
            "4444444444444444444444444444444444444444444444444444444444444444",
            "c454185e6a16936e39334038acef838bfb186fff7480adc4289382ecd6d394f0",
        ],
    ),
    (
        CipherAlgorithm::AesXts,
        [
            "27182818284590452353602874713526624977572470936999595749669676273141592653589793\
            238462643383279502884197169399375105820974944592",
            "ff000000000000000000000000000000",
            "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
            "1c3b3a102f770386e4836c99e370cf9bea00803f5e482357a4ae12d414a3e63b",
        ],
    ),
    // By OpenSSL.
    (
        CipherAlgorithm::DesEcb,
        [
            "0123456789abcdef",
            "",
            "54686520717566636b2062726f776e20666f78206a756d70",
            "a28e91724c4bba31167e47ec24f71d632c1a917234425365",
        ],
    ),
    (
        CipherAlgorithm::DesCbc,
        [
            "0123456789abcdef",
            "0001020304050607",
            "54686520717566636b2062726f776e20666f78206a756d70",
            "bf4dd9d6944df1c6b8919785f9d183071df93a37ef7413c6",
        ],
    ),
    // NIST SP 800-67, B.1.
    (
        CipherAlgorithm::TripleDesEcb,
        [
            "0123456789abcdef23456789abcdef01456789abcdef0123",
            "",
            "54686520717566636b2062726f776e20666f78206a756d70",
            "a826fd8ce53b855fcce21c8112256fe668d5c05dd9b6b900",
        ],
    ),
    // By OpenSSL.
    (
        CipherAlgorithm::TripleDesCbc,
        [
            "0123456789abcdef23456789abcdef01456789abcdef0123",
            "0001020304050607",
            "54686520717566636b2062726f776e20666f78206a756d70",
            "f368d06f3bbd614e60f2d0245cad3f818d5c69f2cb3fd5c7",
        ],
    ),
    (
        CipherAlgorithm::TripleDesCtr,
        [
            "0123456789abcdef23456789abcdef01456789abcdef0123",
            "f8f9fafbfcfdfeff",
            "54686520717566636b2062726f776e20666f78206a756d70",
            "601b7f437bf260f13bbc588b3963a87e3a3e47ce48f6bbfe",
        ],
    ),
    // RFC 6229.
    (
        CipherAlgorithm::Arc4,
        [
            "0102030405060708090a0b0c0d0e0f10",
            "",
            "00000000000000000000000000000000",
            "9ac7cc9a609d1ef7b2932899cde41b97",
        ],
    ),
    (
        CipherAlgorithm::KasumiF8,
        ["000102030405060708090a0b0c0d0e0f", "", "", ""],
    ),
    (
        CipherAlgorithm::Snow3gUea2,
        ["000102030405060708090a0b0c0d0e0f", "", "", ""],
    ),
    (
        CipherAlgorithm::AesF8,
        ["000102030405060708090a0b0c0d0e0f", "", "", ""],
    ),
    (
        CipherAlgorithm::ZucEea3,
        ["000102030405060708090a0b0c0d0e0f", "", "", ""],
    ),
];
