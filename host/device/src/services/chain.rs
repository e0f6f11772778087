//! Chains of a cipher and a hash, which the CIPHER service has as well (5.9.7.6).

use core::ops::Range;

use crate::{
    services::{cipher::Cipher, hash::Hash, mac::Mac},
    wire::{
        data::ChainInput,
        header::Direction,
        parameters::{ChainHash, ChainOrder, ChainParameters},
        status::Refusal,
    },
};

/// A cipher and a hash.
#[derive(Debug)]
pub struct Chain {
    order: ChainOrder,
    cipher: Cipher,
    digester: Digester,
    aad_bytes: usize,
}

/// `VIRTIO_CRYPTO_SYM_HASH_MODE_*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HashMode {
    /// A hash.
    Plain,
    /// A message authentication code.
    Authenticated,
    /// The hash of a hash.
    Nested,
}

#[derive(Debug)]
enum Digester {
    Plain(Hash),
    Authenticated(Mac),
    /// The hash of the hash. The text names the mode and says no more; with the fields that it has
    /// it can hardly be anything else.
    Nested(Hash),
}

impl Digester {
    fn digest(&self, parts: &[&[u8]]) -> Vec<u8> {
        match self {
            Self::Plain(hash) => hash.digest(parts),
            Self::Authenticated(mac) => mac.code(parts),
            Self::Nested(hash) => hash.digest(&[&hash.digest(parts)]),
        }
    }

    fn result_bytes(&self) -> usize {
        match self {
            Self::Plain(hash) | Self::Nested(hash) => hash.result_bytes(),
            Self::Authenticated(mac) => mac.result_bytes(),
        }
    }
}

impl Chain {
    /// Takes both keys.
    pub fn new(parameters: &ChainParameters<'_>) -> Result<Self, Refusal> {
        Ok(Self {
            order: parameters.order,
            cipher: Cipher::new(&parameters.cipher)?,
            digester: match &parameters.hash {
                ChainHash::Plain(hash) => Digester::Plain(Hash::new(hash)?),
                ChainHash::Authenticated(mac) => Digester::Authenticated(Mac::new(mac)?),
                ChainHash::Nested(hash) => Digester::Nested(Hash::new(hash)?),
            },
            aad_bytes: parameters.aad_len as usize,
        })
    }

    /// Returns what the hash is.
    pub fn hash_mode(&self) -> HashMode {
        match self.digester {
            Digester::Plain(_) => HashMode::Plain,
            Digester::Authenticated(_) => HashMode::Authenticated,
            Digester::Nested(_) => HashMode::Nested,
        }
    }

    /// Returns the destination and the hash's result behind it.
    ///
    /// What the cipher does not go over is copied. Additional data is hashed before the source; the
    /// text does not say where it belongs.
    pub fn compute(
        &self,
        direction: Direction,
        input: &ChainInput<'_>,
    ) -> Result<Vec<u8>, Refusal> {
        if input.destination_len as usize != input.source.len() {
            return Err(Refusal::error("destination and source differ in length"));
        }
        if input.aad.len() != self.aad_bytes {
            return Err(Refusal::error("aad_len is not the session's"));
        }
        if input.result_len as usize != self.digester.result_bytes() {
            return Err(Refusal::error("hash_result_len is not the session's"));
        }
        let cipher = range(input.cipher)?;
        let hash = range(input.hash)?;
        let mut data = input.source.to_vec();
        let begin = data.get(cipher.clone()).ok_or(BEYOND)?;
        let transformed = self.cipher.apply(direction, input.iv, begin)?;
        let digest = |data: &[u8]| {
            let hashed = data.get(hash.clone()).ok_or(BEYOND)?;
            Ok(self.digester.digest(&[input.aad, hashed]))
        };
        let of_source = digest(&data)?;
        data.get_mut(cipher)
            .ok_or(BEYOND)?
            .copy_from_slice(&transformed);
        let result = match self.order {
            ChainOrder::HashThenCipher => of_source,
            ChainOrder::CipherThenHash => digest(&data)?,
        };
        data.extend(result);
        Ok(data)
    }
}

const BEYOND: Refusal = Refusal::error("cipher or hash go beyond the source");

fn range((start, len): (u32, u32)) -> Result<Range<usize>, Refusal> {
    let end = start.checked_add(len).ok_or(BEYOND)?;
    Ok(start as usize..end as usize)
}
