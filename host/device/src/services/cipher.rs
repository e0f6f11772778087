//! The CIPHER service (5.9.7.6).
//!
//! KASUMI F8, SNOW 3G UEA2, ZUC EEA3 and AES F8 are not there: no library that is kept well has
//! them, and for F8 the text has no field for its salt.

use core::fmt;

use aes::{Aes128, Aes192, Aes256};
use cbc::{
    Decryptor, Encryptor,
    cipher::{
        Array, BlockCipherDecrypt, BlockCipherEncrypt, BlockModeDecrypt, BlockModeEncrypt,
        InnerIvInit, KeyInit, KeyIvInit, StreamCipher, block_padding::NoPadding, consts::U16,
    },
};
use ctr::{Ctr64BE, Ctr128BE};
use des::{Des, TdesEde3};
use rc4::Rc4;
use xts_mode::Xts128;

use crate::{
    services::refusals::{IV_LEN, KEY_LEN, PART_OF_A_BLOCK},
    wire::{
        algorithm::CipherAlgorithm, data::CipherInput, header::Direction,
        parameters::CipherParameters, status::Refusal,
    },
};

/// Makes of data what a cipher makes of it.
type Transform = Box<dyn Fn(&[u8], &mut [u8]) -> Result<(), Refusal> + Send + Sync>;

/// A cipher with its key.
pub struct Cipher {
    algorithm: CipherAlgorithm,
    direction: Direction,
    transform: Transform,
}

impl Cipher {
    /// Takes a key.
    pub fn new(parameters: &CipherParameters<'_>) -> Result<Self, Refusal> {
        let algorithm =
            CipherAlgorithm::of(parameters.algo).ok_or(Refusal::not_supported("no such cipher"))?;
        let direction = parameters.direction;
        Ok(Self {
            algorithm,
            direction,
            transform: transform(algorithm, direction, parameters.key.0)?,
        })
    }

    /// Encrypts or decrypts a source that has a destination of its length.
    ///
    /// QEMU goes by the session's direction whatever the opcode says; the text has no word on it.
    /// Here they have to agree.
    pub fn compute(
        &self,
        direction: Direction,
        input: &CipherInput<'_>,
    ) -> Result<Vec<u8>, Refusal> {
        if input.destination_len as usize != input.source.len() {
            return Err(Refusal::error("destination and source differ in length"));
        }
        self.apply(direction, input.iv, input.source)
    }

    /// Encrypts or decrypts.
    pub fn apply(
        &self,
        direction: Direction,
        iv: &[u8],
        source: &[u8],
    ) -> Result<Vec<u8>, Refusal> {
        if direction != self.direction {
            return Err(Refusal::error("the session has the other direction"));
        }
        let mut data = source.to_vec();
        (self.transform)(iv, &mut data)?;
        Ok(data)
    }
}

impl fmt::Debug for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} to {:?}", self.algorithm, self.direction)
    }
}

fn transform(
    algorithm: CipherAlgorithm,
    direction: Direction,
    key: &[u8],
) -> Result<Transform, Refusal> {
    match algorithm {
        CipherAlgorithm::Arc4 => arc4(key),
        CipherAlgorithm::AesEcb => match key.len() {
            16 => ecb::<Aes128>(direction, key),
            24 => ecb::<Aes192>(direction, key),
            _ => ecb::<Aes256>(direction, key),
        },
        CipherAlgorithm::AesCbc => match key.len() {
            16 => cbc::<Aes128>(direction, key),
            24 => cbc::<Aes192>(direction, key),
            _ => cbc::<Aes256>(direction, key),
        },
        CipherAlgorithm::AesCtr => match key.len() {
            16 => counter::<Ctr128BE<Aes128>>(key),
            24 => counter::<Ctr128BE<Aes192>>(key),
            _ => counter::<Ctr128BE<Aes256>>(key),
        },
        CipherAlgorithm::AesXts => match key.len() {
            32 => xts::<Aes128>(direction, key),
            // IEEE 1619 has no AES-192. QEMU has, and nothing forbids it.
            48 => xts::<Aes192>(direction, key),
            _ => xts::<Aes256>(direction, key),
        },
        CipherAlgorithm::DesEcb => ecb::<Des>(direction, key),
        CipherAlgorithm::DesCbc => cbc::<Des>(direction, key),
        CipherAlgorithm::TripleDesEcb => ecb::<TdesEde3>(direction, key),
        CipherAlgorithm::TripleDesCbc => cbc::<TdesEde3>(direction, key),
        CipherAlgorithm::TripleDesCtr => counter::<Ctr64BE<TdesEde3>>(key),
        CipherAlgorithm::KasumiF8
        | CipherAlgorithm::Snow3gUea2
        | CipherAlgorithm::AesF8
        | CipherAlgorithm::ZucEea3 => Err(Refusal::not_supported("a cipher that is not there")),
    }
}

/// A block cipher in both directions.
trait Block: BlockCipherEncrypt + BlockCipherDecrypt + KeyInit + Clone + Send + Sync + 'static {}

impl<C> Block for C where
    C: BlockCipherEncrypt + BlockCipherDecrypt + KeyInit + Clone + Send + Sync + 'static
{
}

fn ecb<C: Block>(direction: Direction, key: &[u8]) -> Result<Transform, Refusal> {
    let cipher = C::new_from_slice(key).map_err(|_| KEY_LEN)?;
    Ok(Box::new(move |iv, data| {
        let (blocks, rest) = Array::slice_as_chunks_mut(data);
        if !iv.is_empty() {
            return Err(IV_LEN);
        }
        if !rest.is_empty() {
            return Err(PART_OF_A_BLOCK);
        }
        match direction {
            Direction::Encrypt => cipher.encrypt_blocks(blocks),
            Direction::Decrypt => cipher.decrypt_blocks(blocks),
        }
        Ok(())
    }))
}

fn cbc<C: Block>(direction: Direction, key: &[u8]) -> Result<Transform, Refusal> {
    let cipher = C::new_from_slice(key).map_err(|_| KEY_LEN)?;
    Ok(Box::new(move |iv, data| {
        let cipher = cipher.clone();
        let len = data.len();
        match direction {
            Direction::Encrypt => {
                let mode = Encryptor::inner_iv_slice_init(cipher, iv).map_err(|_| IV_LEN)?;
                let whole = mode.encrypt_padded::<NoPadding>(data, len);
                whole.map_err(|_| PART_OF_A_BLOCK)?;
            }
            Direction::Decrypt => {
                let mode = Decryptor::inner_iv_slice_init(cipher, iv).map_err(|_| IV_LEN)?;
                let whole = mode.decrypt_padded::<NoPadding>(data);
                whole.map_err(|_| PART_OF_A_BLOCK)?;
            }
        }
        Ok(())
    }))
}

fn counter<S>(key: &[u8]) -> Result<Transform, Refusal>
where
    S: KeyIvInit + StreamCipher,
{
    let key = cbc::cipher::Key::<S>::try_from(key).map_err(|_| KEY_LEN)?;
    Ok(Box::new(move |iv, data| {
        let iv = iv.try_into().map_err(|_| IV_LEN)?;
        let applied = S::new(&key, iv).try_apply_keystream(data);
        applied.map_err(|_| Refusal::error("the counter ends within the source"))
    }))
}

/// Every request begins with the first byte of the key stream: nothing says that a session goes on
/// where the request before it ended.
fn arc4(key: &[u8]) -> Result<Transform, Refusal> {
    let cipher = |key: &[u8]| Rc4::new_from_slice(key).map_err(|_| KEY_LEN);
    cipher(key)?;
    let key = key.to_vec();
    Ok(Box::new(move |iv, data| {
        if !iv.is_empty() {
            return Err(IV_LEN);
        }
        cipher(&key)?.apply_keystream(data);
        Ok(())
    }))
}

/// The last block may be a part of one: ciphertext stealing.
fn xts<C: Block + cbc::cipher::BlockSizeUser<BlockSize = U16>>(
    direction: Direction,
    key: &[u8],
) -> Result<Transform, Refusal> {
    let (data_key, tweak_key) = key.split_at(key.len() / 2);
    let one = |key| C::new_from_slice(key).map_err(|_| KEY_LEN);
    let cipher = Xts128::new(one(data_key)?, one(tweak_key)?);
    Ok(Box::new(move |iv, data| {
        let tweak = Array::try_from(iv).map_err(|_| IV_LEN)?;
        match (data.len(), direction) {
            (0, _) => {}
            (1..16, _) => return Err(Refusal::error("XTS needs a whole block")),
            (_, Direction::Encrypt) => cipher.encrypt_sector(data, tweak),
            (_, Direction::Decrypt) => cipher.decrypt_sector(data, tweak),
        }
        Ok(())
    }))
}
