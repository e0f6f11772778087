//! The CIPHER service.

use alloc::vec::Vec;

use aes::{Aes128, Aes192, Aes256};
use cbc::cipher::{
    BlockCipherDecrypt, BlockCipherEncrypt, BlockModeDecrypt, BlockModeEncrypt, KeyInit, KeyIvInit,
    StreamCipher, array::Array, block_padding::NoPadding,
};
use des::{Des, TdesEde3};

use super::{ERROR, Request, is_encrypting};
use crate::wire::{CipherAlgorithm, Direction};

#[derive(Clone, Debug)]
pub(in crate::fake) struct Session {
    algorithm: CipherAlgorithm,
    key: Vec<u8>,
    encrypt: bool,
}

/// Electronic codebook by blocks.
pub(super) fn ecb<C: KeyInit + BlockCipherEncrypt + BlockCipherDecrypt>(
    key: &[u8],
    encrypt: bool,
    data: &mut [u8],
) {
    let cipher = C::new_from_slice(key).unwrap();
    for block in data.chunks_exact_mut(C::block_size()) {
        let mut copy = Array::try_from(&*block).unwrap();
        if encrypt {
            cipher.encrypt_block(&mut copy);
        } else {
            cipher.decrypt_block(&mut copy);
        }
        block.copy_from_slice(&copy);
    }
}

/// Cipher block chaining.
fn cbc<C>(key: &[u8], iv: &[u8], encrypt: bool, data: &mut [u8])
where
    C: KeyInit + BlockCipherEncrypt + BlockCipherDecrypt,
{
    let len = data.len();
    if encrypt {
        let mode = cbc::Encryptor::<C>::new_from_slices(key, iv).unwrap();
        mode.encrypt_padded::<NoPadding>(data, len).unwrap();
    } else {
        let mode = cbc::Decryptor::<C>::new_from_slices(key, iv).unwrap();
        mode.decrypt_padded::<NoPadding>(data).unwrap();
    }
}

pub(super) fn stream<S: KeyIvInit + StreamCipher>(key: &[u8], iv: &[u8], data: &mut [u8]) {
    S::new_from_slices(key, iv).unwrap().apply_keystream(data);
}

/// XTS, with ciphertext stealing for a last part of a block.
fn xts<C: KeyInit + BlockCipherEncrypt + BlockCipherDecrypt>(
    key: &[u8],
    tweak: &[u8],
    encrypt: bool,
    data: &mut [u8],
) {
    let (first, second) = key.split_at(key.len() / 2);
    let one = |key: &[u8], encrypt, block: &mut [u8]| ecb::<C>(key, encrypt, block);
    let mut tweak: [u8; 16] = tweak.try_into().unwrap();
    one(second, true, &mut tweak);
    let double = |tweak: [u8; 16]| {
        let value = u128::from_le_bytes(tweak);
        let carry = value >> 127;
        ((value << 1) ^ (carry * 0x87)).to_le_bytes()
    };
    let apply = |tweak: [u8; 16], block: &mut [u8]| {
        let mix = |block: &mut [u8]| {
            for (byte, by) in block.iter_mut().zip(tweak) {
                *byte ^= by;
            }
        };
        mix(block);
        one(first, encrypt, block);
        mix(block);
    };
    let whole = data.len() / 16;
    let rest = data.len() % 16;
    let plain = if rest > 0 { whole - 1 } else { whole };
    for block in data[..16 * plain].chunks_exact_mut(16) {
        apply(tweak, block);
        tweak = double(tweak);
    }
    if rest > 0 {
        let next = double(tweak);
        let (this_tweak, last_tweak) = if encrypt {
            (tweak, next)
        } else {
            (next, tweak)
        };
        let tail = &mut data[16 * plain..];
        let (block, stolen) = tail.split_at_mut(16);
        apply(this_tweak, block);
        for (byte, by) in block.iter_mut().zip(stolen) {
            core::mem::swap(byte, by);
        }
        apply(last_tweak, block);
    }
}

/// Returns what a cipher makes of `data` as a whole.
pub(crate) fn oracle(
    algorithm: CipherAlgorithm,
    direction: Direction,
    key: &[u8],
    iv: &[u8],
    data: &[u8],
) -> Vec<u8> {
    let session = Session {
        algorithm,
        key: key.to_vec(),
        encrypt: direction == Direction::Encrypt,
    };
    session.transform(iv, data).unwrap()
}

impl Session {
    pub(super) fn algorithm(&self) -> u32 {
        self.algorithm as u32
    }

    pub(super) fn create(request: Request<'_>) -> Result<Self, u8> {
        assert_eq!(request.u32(64), 1, "a cipher alone");
        let [key] = request.parts([request.usize(20)]);
        Ok(Self::new(request.u32(16), request.u32(24), key))
    }

    pub(super) fn new(number: u32, direction: u32, key: &[u8]) -> Self {
        let algorithm = CipherAlgorithm::ALL
            .into_iter()
            .find(|algorithm| *algorithm as u32 == number)
            .unwrap_or_else(|| panic!("cipher {number}"));
        match algorithm {
            CipherAlgorithm::KasumiF8
            | CipherAlgorithm::Snow3gUea2
            | CipherAlgorithm::AesF8
            | CipherAlgorithm::ZucEea3 => {}
            _ => assert!(
                algorithm
                    .key_lens_bytes()
                    .iter()
                    .any(|lens| lens.contains(&key.len()))
            ),
        }
        Self {
            algorithm,
            key: key.to_vec(),
            encrypt: is_encrypting(direction),
        }
    }

    pub(super) fn iv_len(&self) -> usize {
        self.algorithm.iv_len_bytes()
    }

    pub(super) fn is_encrypting(&self) -> bool {
        self.encrypt
    }

    pub(super) fn ends_in_a_block(&self, request: Request<'_>) -> bool {
        let block = self.algorithm.block_len_bytes();
        !request.usize(28).is_multiple_of(block)
    }

    pub(super) fn serve(&self, request: Request<'_>) -> Result<Vec<u8>, u8> {
        let (iv_len, len) = (request.usize(24), request.usize(28));
        assert_eq!(request.usize(32), len, "destination length");
        assert_eq!(iv_len, self.algorithm.iv_len_bytes(), "IV length");
        let [iv, source] = request.parts([iv_len, len]);
        request.check_room(len);
        self.transform(iv, source)
    }

    /// Encrypts or decrypts `source`.
    pub(super) fn transform(&self, iv: &[u8], source: &[u8]) -> Result<Vec<u8>, u8> {
        let mut data = source.to_vec();
        let (key, encrypt) = (&self.key[..], self.encrypt);
        let block = self.algorithm.block_len_bytes();
        if self.algorithm.granule_len_bytes() > 1 && !data.len().is_multiple_of(block) {
            return Err(ERROR);
        }
        macro_rules! aes {
            ($f:ident, $key_len:expr, $($argument:expr),*) => {
                match $key_len {
                    16 => $f::<Aes128>($($argument),*),
                    24 => $f::<Aes192>($($argument),*),
                    _ => $f::<Aes256>($($argument),*),
                }
            };
        }
        let data_ref = &mut data[..];
        match self.algorithm {
            CipherAlgorithm::AesEcb => aes!(ecb, key.len(), key, encrypt, data_ref),
            CipherAlgorithm::AesCbc => aes!(cbc, key.len(), key, iv, encrypt, data_ref),
            CipherAlgorithm::AesXts => aes!(xts, key.len() / 2, key, iv, encrypt, data_ref),
            CipherAlgorithm::AesCtr => match key.len() {
                16 => stream::<ctr::Ctr128BE<Aes128>>(key, iv, data_ref),
                24 => stream::<ctr::Ctr128BE<Aes192>>(key, iv, data_ref),
                _ => stream::<ctr::Ctr128BE<Aes256>>(key, iv, data_ref),
            },
            CipherAlgorithm::DesEcb => ecb::<Des>(key, encrypt, data_ref),
            CipherAlgorithm::DesCbc => cbc::<Des>(key, iv, encrypt, data_ref),
            CipherAlgorithm::TripleDesEcb => ecb::<TdesEde3>(key, encrypt, data_ref),
            CipherAlgorithm::TripleDesCbc => cbc::<TdesEde3>(key, iv, encrypt, data_ref),
            CipherAlgorithm::TripleDesCtr => {
                stream::<ctr::Ctr64BE<TdesEde3>>(key, iv, data_ref);
            }
            // No library at hand computes these: the device answers with the bytes reversed, so
            // that what is sent and what comes back can be told apart.
            _ => data_ref.reverse(),
        }
        Ok(data)
    }
}

pub(super) fn serve_stateless(request: Request<'_>) -> Result<Vec<u8>, u8> {
    let [key_len, iv_len, len, destination_len] = [28, 36, 40, 44].map(|at| request.usize(at));
    assert_eq!(request.u32(96), 1, "a cipher alone");
    assert_eq!(destination_len, len, "destination length");
    let [key, iv, source] = request.parts([key_len, iv_len, len]);
    request.check_room(len);
    let session = Session::new(request.u32(24), request.u32(32), key);
    assert_eq!(session.iv_len(), iv_len, "IV length");
    assert_eq!(
        session.encrypt,
        request.opcode() == 0,
        "opcode and direction"
    );
    session.transform(iv, source)
}
