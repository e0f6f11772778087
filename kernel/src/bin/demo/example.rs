//! An encryption whose answer NIST has published.

use kernel::{crypto::CryptoDevice, println};
use virtio_crypto::{Cipher, CipherAlgorithm, Direction, DmaBuffer, Error};

use crate::chart::Hex;

/// Encrypts NIST's example and decrypts what comes out.
///
/// # Panics
///
/// If either is not as published.
pub async fn check(device: &CryptoDevice) -> Result<(), Error> {
    let encrypt = Cipher::open(device, CipherAlgorithm::AesCbc, Direction::Encrypt, &KEY).await?;
    let decrypt = Cipher::open(device, CipherAlgorithm::AesCbc, Direction::Decrypt, &KEY).await?;

    let mut data = PLAINTEXT;
    encrypt.process_slice(&IV, &mut data).await?;
    assert_eq!(data, CIPHERTEXT, "NIST SP 800-38A, F.2.1");
    println!("   NIST SP 800-38A, F.2.1 (CBC-AES128.Encrypt), the first of its 4 blocks:");
    println!("   key           {}", Hex(&KEY));
    println!("   plaintext     {}", Hex(&PLAINTEXT[..16]));
    println!("   ciphertext    {}", Hex(&data[..16]));

    // In memory that the device reaches: nothing is copied.
    let buffer = DmaBuffer::from_slice(&data)?;
    let buffer = decrypt.process(&IV, buffer).await?;
    assert_eq!(buffer[..], PLAINTEXT, "NIST SP 800-38A, F.2.2");
    println!("   All 64 bytes are as published; decrypted (F.2.2), they are the plaintext.");

    encrypt.close().await?;
    decrypt.close().await
}

const KEY: [u8; 16] = *b"\x2b\x7e\x15\x16\x28\xae\xd2\xa6\xab\xf7\x15\x88\x09\xcf\x4f\x3c";
const IV: [u8; 16] = *b"\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f";
const PLAINTEXT: [u8; 64] = *b"\x6b\xc1\xbe\xe2\x2e\x40\x9f\x96\xe9\x3d\x7e\x11\x73\x93\x17\x2a\
\xae\x2d\x8a\x57\x1e\x03\xac\x9c\x9e\xb7\x6f\xac\x45\xaf\x8e\x51\
\x30\xc8\x1c\x46\xa3\x5c\xe4\x11\xe5\xfb\xc1\x19\x1a\x0a\x52\xef\
\xf6\x9f\x24\x45\xdf\x4f\x9b\x17\xad\x2b\x41\x7b\xe6\x6c\x37\x10";
const CIPHERTEXT: [u8; 64] = *b"\x76\x49\xab\xac\x81\x19\xb2\x46\xce\xe9\x8e\x9b\x12\xe9\x19\x7d\
\x50\x86\xcb\x9b\x50\x72\x19\xee\x95\xdb\x11\x3a\x91\x76\x78\xb2\
\x73\xbe\xd6\xb8\xe3\xc1\x74\x3b\x71\x16\xe6\x9e\x22\x22\x95\x16\
\x3f\xf1\xca\xa1\x68\x1f\xac\x09\x12\x0e\xca\x30\x75\x86\xe1\xa7";
