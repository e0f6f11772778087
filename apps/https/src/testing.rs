//! For tests: keys, certificates, and bytes that look random.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    vec::Vec,
};

use rsa::{BoxedUint, PrivateKey, hazmat, pkcs1::DecodeRsaPrivateKey, traits::PublicKeyParts};
use sha2::{Digest, Sha256};

pub const RSA_KEY: &[u8] = include_bytes!("../../../driver/testdata/rsa/2048.pkcs8.der");
pub const RSA_CERTIFICATE: &[u8] = include_bytes!("../testdata/rsa.certificate.der");
pub const P256_KEY: &[u8] = include_bytes!("../testdata/p256.pkcs8.der");
pub const P256_CERTIFICATE: &[u8] = include_bytes!("../testdata/p256.certificate.der");

/// Fills with bytes that never come again in this process.
pub fn fill(bytes: &mut [u8]) {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    for chunk in bytes.chunks_mut(32) {
        let number = NEXT.fetch_add(1, Ordering::Relaxed).to_le_bytes();
        chunk.copy_from_slice(&Sha256::digest(number)[..chunk.len()]);
    }
}

/// Keys, and their bits: lengths that end at a byte's end, a bit after and two bits after.
pub fn rsa_keys() -> Vec<(PrivateKey, usize)> {
    let keys: [(&[u8], usize); 4] = [
        (
            include_bytes!("../../../driver/testdata/rsa/1024.pkcs1.der"),
            1024,
        ),
        (
            include_bytes!("../../../driver/testdata/rsa/1025.pkcs1.der"),
            1025,
        ),
        (
            include_bytes!("../../../driver/testdata/rsa/1026.pkcs1.der"),
            1026,
        ),
        (
            include_bytes!("../../../driver/testdata/rsa/2048.pkcs1.der"),
            2048,
        ),
    ];
    keys.map(|(der, bits)| (PrivateKey::from_pkcs1_der(der).unwrap(), bits))
        .into()
}

/// Raises a number to the private exponent.
pub fn raise(key: &PrivateKey, number: &[u8]) -> Vec<u8> {
    let number = BoxedUint::from_be_slice(number, key.n_bits_precision()).unwrap();
    let raised = hazmat::rsa_decrypt(
        None::<&mut dyn rsa::rand_core::TryCryptoRng<Error = std::convert::Infallible>>,
        key,
        &number,
    )
    .unwrap();
    let bytes = raised.to_be_bytes();
    bytes[bytes.len() - key.size()..].to_vec()
}
