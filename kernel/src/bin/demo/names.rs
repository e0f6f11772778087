//! What algorithms are called outside this code.

use alloc::{string::String, vec::Vec};

use virtio_crypto::{
    AeadAlgorithm, AkcipherAlgorithm, Algorithm, Capabilities, CipherAlgorithm, HashAlgorithm,
    MacAlgorithm, Services,
};

const CIPHERS: [&str; CipherAlgorithm::ALL.len()] = [
    "RC4",
    "AES-ECB",
    "AES-CBC",
    "AES-CTR",
    "DES-ECB",
    "DES-CBC",
    "3DES-ECB",
    "3DES-CBC",
    "3DES-CTR",
    "KASUMI-F8",
    "SNOW3G-UEA2",
    "AES-F8",
    "AES-XTS",
    "ZUC-EEA3",
];
const HASHES: [&str; HashAlgorithm::ALL.len()] = [
    "MD5", "SHA-1", "SHA-224", "SHA-256", "SHA-384", "SHA-512", "SHA3-224", "SHA3-256", "SHA3-384",
    "SHA3-512", "SHAKE128", "SHAKE256",
];
const MACS: [&str; MacAlgorithm::ALL.len()] = [
    "HMAC-MD5",
    "HMAC-SHA-1",
    "HMAC-SHA-224",
    "HMAC-SHA-256",
    "HMAC-SHA-384",
    "HMAC-SHA-512",
    "CMAC-3DES",
    "CMAC-AES",
    "KASUMI-F9",
    "SNOW3G-UIA2",
    "GMAC-AES",
    "GMAC-Twofish",
    "CBC-MAC-AES",
    "CBC-MAC-KASUMI-F9",
    "XCBC-AES",
    "ZUC-EIA3",
];
const AEADS: [&str; AeadAlgorithm::ALL.len()] = ["AES-GCM", "AES-CCM", "ChaCha20-Poly1305"];
const PUBLIC_KEY: [&str; AkcipherAlgorithm::ALL.len()] = ["RSA", "ECDSA", "ECDSA (as 3)"];

/// Lists the services that a device advertises, each with the algorithms that it names.
pub fn services(capabilities: &Capabilities) -> Vec<(&'static str, String)> {
    let advertised = |algorithms: &[(Algorithm, &'static str)]| {
        let named = algorithms.iter();
        let named = named.filter(|(algorithm, _)| capabilities.advertises(*algorithm));
        let named: Vec<&str> = named.map(|(_, name)| *name).collect();
        if named.is_empty() {
            String::from("offered, but no algorithm is named")
        } else {
            named.join(", ")
        }
    };
    let all = [
        (
            Services::CIPHER,
            "ciphers",
            advertised(&pairs(CipherAlgorithm::ALL, CIPHERS)),
        ),
        (
            Services::HASH,
            "hashes",
            advertised(&pairs(HashAlgorithm::ALL, HASHES)),
        ),
        (
            Services::MAC,
            "MACs",
            advertised(&pairs(MacAlgorithm::ALL, MACS)),
        ),
        (
            Services::AEAD,
            "AEAD",
            advertised(&pairs(AeadAlgorithm::ALL, AEADS)),
        ),
        (
            Services::AKCIPHER,
            "public keys",
            advertised(&pairs(AkcipherAlgorithm::ALL, PUBLIC_KEY)),
        ),
    ];
    let offered = all
        .into_iter()
        .filter(|(service, ..)| capabilities.services.contains(*service));
    offered
        .map(|(_, name, algorithms)| (name, algorithms))
        .collect()
}

fn pairs<T: Into<Algorithm>, const N: usize>(
    algorithms: [T; N],
    names: [&'static str; N],
) -> Vec<(Algorithm, &'static str)> {
    algorithms.into_iter().map(Into::into).zip(names).collect()
}
