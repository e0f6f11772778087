//! What hashes and MACs answer.

use virtio_crypto::{HashAlgorithm, MacAlgorithm};

/// A hash of `abc` (FIPS 180-4, FIPS 202, RFC 1321).
pub const HASHES: &[(HashAlgorithm, &str)] = &[
    (HashAlgorithm::Md5, "900150983cd24fb0d6963f7d28e17f72"),
    (
        HashAlgorithm::Sha1,
        "a9993e364706816aba3e25717850c26c9cd0d89d",
    ),
    (
        HashAlgorithm::Sha224,
        "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7",
    ),
    (
        HashAlgorithm::Sha256,
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    ),
    (
        HashAlgorithm::Sha384,
        "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc23\
        58baeca134c825a7",
    ),
    (
        HashAlgorithm::Sha512,
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a8\
        36ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
    ),
    (
        HashAlgorithm::Sha3_224,
        "e642824c3f8cf24ad09234ee7d3c766fc9a3a5168d0c94ad73b46fdf",
    ),
    (
        HashAlgorithm::Sha3_256,
        "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532",
    ),
    (
        HashAlgorithm::Sha3_384,
        "ec01498288516fc926459f58e2c6ad8df9b473cb0fc08c2596da7cf0e49be4b298d88cea927ac7f5\
        39f1edf228376d25",
    ),
    (
        HashAlgorithm::Sha3_512,
        "b751850b1a57168a5693cd924b6b096e08f621827444f70d884f5d0240d2712e10e116e9192af3c9\
        1a7ec57647e3934057340b4cf408d5a56592f8274eec53f0",
    ),
    (
        HashAlgorithm::Shake128,
        "5881092dd818bf5cf8a3ddb793fbcba74097d5c526a6d35f97b83351940f2cc8",
    ),
    (
        HashAlgorithm::Shake256,
        "483366601360a8771c6863080cc4114d8db44530f8f1e1ee4f94ea37e78b5739",
    ),
];

/// A MAC of 24 bytes 0, 1, 2, ..: algorithm, key, answer. Without an answer there is none here.
pub const MACS: &[(MacAlgorithm, [&str; 2])] = &[
    (
        MacAlgorithm::HmacMd5,
        [
            "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b",
            "dd6ee29b6bb22eb8d89c31ceed16fed1",
        ],
    ),
    (
        MacAlgorithm::HmacSha1,
        [
            "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b",
            "a9c10eafba8132538c1d06fd8df404f83d3428be",
        ],
    ),
    (
        MacAlgorithm::HmacSha224,
        [
            "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b",
            "fc402006f1b60ecd0e3046bf5dbb2e2dd19883f36ec7a6bd5ae7e0d8",
        ],
    ),
    (
        MacAlgorithm::HmacSha256,
        [
            "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b",
            "0aca4752fa3ba93b460cb5ccb62707805e895053edddeb5365a726f60d8519f0",
        ],
    ),
    (
        MacAlgorithm::HmacSha384,
        [
            "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b",
            "a9a3d6100c20e73e9a5f8521abd2514930861ff70eef0269e0432a8cd51b98ad8a82b1d202419476\
            f4b3c3c3cd22df0e",
        ],
    ),
    (
        MacAlgorithm::HmacSha512,
        [
            "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b",
            "42e724d18d70d6bf8c0e825ca7a2996f4876f09dc0f9b7c71ece4f8ea785e6f4fbf4bc02e3973a7e\
            0ad874d31708b80caad0bcb98d2a65e3e882ac57bf3731cd",
        ],
    ),
    (
        MacAlgorithm::CmacTripleDes,
        [
            "0123456789abcdef23456789abcdef01456789abcdef0123",
            "d6f5e508af4866ed",
        ],
    ),
    (
        MacAlgorithm::CmacAes,
        [
            "2b7e151628aed2a6abf7158809cf4f3c",
            "2a8574da1a6d949ca6496a642cb5a651",
        ],
    ),
    (
        MacAlgorithm::KasumiF9,
        ["2b7e151628aed2a6abf7158809cf4f3c", ""],
    ),
    (
        MacAlgorithm::Snow3gUia2,
        ["2b7e151628aed2a6abf7158809cf4f3c", ""],
    ),
    (
        MacAlgorithm::GmacAes,
        ["2b7e151628aed2a6abf7158809cf4f3c", ""],
    ),
    (
        MacAlgorithm::GmacTwofish,
        ["2b7e151628aed2a6abf7158809cf4f3c", ""],
    ),
    (
        MacAlgorithm::CbcMacAes,
        ["2b7e151628aed2a6abf7158809cf4f3c", ""],
    ),
    (
        MacAlgorithm::CbcMacKasumiF9,
        ["2b7e151628aed2a6abf7158809cf4f3c", ""],
    ),
    (
        MacAlgorithm::XcbcAes,
        ["2b7e151628aed2a6abf7158809cf4f3c", ""],
    ),
    (
        MacAlgorithm::ZucEia3,
        ["2b7e151628aed2a6abf7158809cf4f3c", ""],
    ),
];
