//! What the ciphers make of data, in software by other hands.

use aes::{
    Aes128, Aes192, Aes256,
    cipher::{
        Array, BlockCipherDecrypt, BlockCipherEncrypt, BlockModeDecrypt, BlockModeEncrypt, KeyInit,
        KeyIvInit, StreamCipher,
    },
};
use des::TdesEde3;
use virtio_crypto::{CipherAlgorithm, Direction};
use xts_mode::Xts128;

/// The algorithms that QEMU's builtin backend serves and that are computed here.
pub const ALGORITHMS: [CipherAlgorithm; 7] = [
    CipherAlgorithm::AesEcb,
    CipherAlgorithm::AesCbc,
    CipherAlgorithm::AesCtr,
    CipherAlgorithm::AesXts,
    CipherAlgorithm::TripleDesEcb,
    CipherAlgorithm::TripleDesCbc,
    CipherAlgorithm::TripleDesCtr,
];

/// Encrypts or decrypts `data`, which has a length that the algorithm takes.
pub fn transform(
    algorithm: CipherAlgorithm,
    direction: Direction,
    key: &[u8],
    iv: &[u8],
    data: &mut [u8],
) {
    macro_rules! aes {
        ($with:ident) => {
            match key.len() {
                16 => $with!(Aes128),
                24 => $with!(Aes192),
                _ => $with!(Aes256),
            }
        };
    }
    macro_rules! ecb {
        ($cipher:ty) => {
            ecb::<$cipher>(direction, key, data)
        };
    }
    macro_rules! cbc {
        ($cipher:ty) => {
            cbc::<$cipher>(direction, key, iv, data)
        };
    }
    macro_rules! ctr {
        ($cipher:ty) => {
            stream::<ctr::Ctr128BE<$cipher>>(key, iv, data)
        };
    }
    macro_rules! xts {
        ($cipher:ty) => {{
            let (first, second) = key.split_at(key.len() / 2);
            let new = |key| <$cipher>::new_from_slice(key).unwrap();
            let xts = Xts128::new(new(first), new(second));
            let tweak = iv.try_into().unwrap();
            match direction {
                Direction::Encrypt => xts.encrypt_sector(data, tweak),
                Direction::Decrypt => xts.decrypt_sector(data, tweak),
            }
        }};
    }
    match algorithm {
        CipherAlgorithm::AesEcb => aes!(ecb),
        CipherAlgorithm::AesCbc => aes!(cbc),
        CipherAlgorithm::AesCtr => aes!(ctr),
        CipherAlgorithm::AesXts if key.len() == 32 => xts!(Aes128),
        CipherAlgorithm::AesXts => xts!(Aes256),
        CipherAlgorithm::TripleDesEcb => ecb!(TdesEde3),
        CipherAlgorithm::TripleDesCbc => cbc!(TdesEde3),
        CipherAlgorithm::TripleDesCtr => stream::<ctr::Ctr64BE<TdesEde3>>(key, iv, data),
        other => panic!("{other:?} is not computed here"),
    }
}

/// Electronic codebook.
pub fn ecb<C>(direction: Direction, key: &[u8], data: &mut [u8])
where
    C: KeyInit + BlockCipherEncrypt + BlockCipherDecrypt,
{
    let cipher = C::new_from_slice(key).unwrap();
    let (blocks, _) = Array::slice_as_chunks_mut(data);
    match direction {
        Direction::Encrypt => cipher.encrypt_blocks(blocks),
        Direction::Decrypt => cipher.decrypt_blocks(blocks),
    }
}

/// Cipher block chaining.
pub fn cbc<C>(direction: Direction, key: &[u8], iv: &[u8], data: &mut [u8])
where
    C: KeyInit + BlockCipherEncrypt + BlockCipherDecrypt,
{
    let (blocks, _) = Array::slice_as_chunks_mut(data);
    match direction {
        Direction::Encrypt => cbc::Encryptor::<C>::new_from_slices(key, iv)
            .unwrap()
            .encrypt_blocks(blocks),
        Direction::Decrypt => cbc::Decryptor::<C>::new_from_slices(key, iv)
            .unwrap()
            .decrypt_blocks(blocks),
    }
}

fn stream<S: KeyIvInit + StreamCipher>(key: &[u8], iv: &[u8], data: &mut [u8]) {
    S::new_from_slices(key, iv).unwrap().apply_keystream(data);
}
