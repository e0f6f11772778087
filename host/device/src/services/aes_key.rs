//! AES with a key of any of its lengths, a block at a time and as a counter.

use aes::{Aes128, Aes192, Aes256};
use cbc::cipher::{
    BlockCipherEncrypt, BlockSizeUser, InnerIvInit, KeyInit, StreamCipher, StreamCipherCoreWrapper,
    consts::U16,
};
use ctr::{CtrCore, flavors};

/// A block.
pub type Block = [u8; 16];

/// AES with its key.
pub enum AesKey {
    /// With 16 bytes.
    Aes128(Aes128),
    /// With 24 bytes.
    Aes192(Aes192),
    /// With 32 bytes.
    Aes256(Aes256),
}

impl AesKey {
    /// Takes a key, if it has one of the three lengths.
    pub fn new(key: &[u8]) -> Option<Self> {
        match key.len() {
            16 => Aes128::new_from_slice(key).map(Self::Aes128).ok(),
            24 => Aes192::new_from_slice(key).map(Self::Aes192).ok(),
            _ => Aes256::new_from_slice(key).map(Self::Aes256).ok(),
        }
    }

    /// Encrypts a block.
    pub fn encrypt(&self, block: Block) -> Block {
        let mut block = block.into();
        match self {
            Self::Aes128(cipher) => cipher.encrypt_block(&mut block),
            Self::Aes192(cipher) => cipher.encrypt_block(&mut block),
            Self::Aes256(cipher) => cipher.encrypt_block(&mut block),
        }
        block.into()
    }

    /// Continues CBC-MAC over a block.
    pub fn chain(&self, state: Block, block: Block) -> Block {
        self.encrypt(xor(state, block))
    }

    /// Combines data with the key stream whose counter, the last 32 bits, begins at `first`.
    ///
    /// `None`: the counter has no 32 bits for so much data.
    pub fn apply_counter(&self, first: Block, data: &mut [u8]) -> Option<()> {
        match self {
            Self::Aes128(cipher) => apply_counter(cipher, first, data),
            Self::Aes192(cipher) => apply_counter(cipher, first, data),
            Self::Aes256(cipher) => apply_counter(cipher, first, data),
        }
    }
}

fn apply_counter<C>(cipher: &C, first: Block, data: &mut [u8]) -> Option<()>
where
    C: BlockCipherEncrypt + BlockSizeUser<BlockSize = U16>,
{
    let core = CtrCore::<_, flavors::Ctr32BE>::inner_iv_init(cipher, &first.into());
    let mut stream = StreamCipherCoreWrapper::from_core(core);
    stream.try_apply_keystream(data).ok()
}

/// Returns the sum of two blocks.
pub fn xor(mut one: Block, other: Block) -> Block {
    for (byte, by) in one.iter_mut().zip(other) {
        *byte ^= by;
    }
    one
}

/// Returns up to 16 bytes with zeros behind them.
pub fn padded(part: &[u8]) -> Block {
    let mut block = [0; 16];
    for (byte, from) in block.iter_mut().zip(part) {
        *byte = *from;
    }
    block
}
