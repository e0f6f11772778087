//! Data requests of a session (5.9.7.3 to 5.9.7.8).

use crate::wire::{
    control::SymmetricOperation,
    header::{Form, KeyOperation, Operation},
    reader::Reader,
    status::Refusal,
};

/// `VIRTIO_CRYPTO_DATAQ_OP_SPEC_HDR_LEGACY`.
const PADDED_BYTES: usize = 48;
/// `VIRTIO_CRYPTO_SYM_DATA_REQ_HDR_SIZE`.
const SYMMETRIC_BYTES: usize = 40;

/// What a data request is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input<'a> {
    /// A cipher alone.
    Cipher(CipherInput<'a>),
    /// A cipher and a hash.
    Chain(ChainInput<'a>),
    /// A hash or a message authentication code.
    Hash(HashInput<'a>),
    /// Authenticated encryption.
    Aead(AeadInput<'a>),
    /// A public or private key.
    Akcipher(AkcipherInput<'a>),
}

/// `struct virtio_crypto_cipher_data_flf` and what is readable of `_vlf`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CipherInput<'a> {
    /// Initialization vector, counter or tweak.
    pub iv: &'a [u8],
    /// What is encrypted or decrypted.
    pub source: &'a [u8],
    /// Bytes of destination.
    pub destination_len: u32,
}

/// `struct virtio_crypto_alg_chain_data_flf` and what is readable of `_vlf`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainInput<'a> {
    /// Initialization vector, counter or tweak.
    pub iv: &'a [u8],
    /// What is processed.
    pub source: &'a [u8],
    /// Additional authenticated data.
    pub aad: &'a [u8],
    /// Bytes of destination.
    pub destination_len: u32,
    /// Where the cipher begins in the source, and over how many bytes it goes.
    pub cipher: (u32, u32),
    /// Where the hash begins in the source, and over how many bytes it goes.
    pub hash: (u32, u32),
    /// Bytes of the hash's result.
    pub result_len: u32,
}

/// `struct virtio_crypto_hash_data_flf` and what is readable of `_vlf`; those of MAC are alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashInput<'a> {
    /// What the result is of.
    pub source: &'a [u8],
    /// Bytes of the result.
    pub result_len: u32,
}

/// `struct virtio_crypto_aead_data_flf` and what is readable of `_vlf`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AeadInput<'a> {
    /// Initialization vector: a nonce, or for GCM by 16 bytes the block J0.
    pub iv: &'a [u8],
    /// What is encrypted, or decrypted with its tag behind it.
    pub source: &'a [u8],
    /// Additional authenticated data.
    pub aad: &'a [u8],
    /// Bytes of destination.
    pub destination_len: u32,
    /// Bytes of a tag.
    pub tag_len: u32,
}

/// `struct virtio_crypto_akcipher_data_flf` and what is readable of `_vlf`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AkcipherInput<'a> {
    /// What is encrypted, decrypted or signed; of a verification, the signature.
    pub source: &'a [u8],
    /// Of a verification, what was signed.
    pub signed: &'a [u8],
    /// Bytes of destination.
    pub destination_len: u32,
}

impl<'a> Input<'a> {
    /// Reads what follows the header.
    pub fn read(
        reader: &mut Reader<'a>,
        operation: Operation,
        form: Form,
    ) -> Result<Self, Refusal> {
        match operation {
            Operation::Cipher(_) => symmetric(reader, form),
            Operation::Hash | Operation::Mac => {
                let lens = form.fixed(reader, PADDED_BYTES, words::<2>)?;
                HashInput::read(reader, lens).map(Self::Hash)
            }
            Operation::Aead(_) => {
                let lens = form.fixed(reader, PADDED_BYTES, words::<6>)?;
                let [iv_len, aad_len, source_len, destination_len, tag_len, _] = lens;
                let lens = [iv_len, source_len, aad_len, destination_len, tag_len];
                AeadInput::read(reader, lens).map(Self::Aead)
            }
            Operation::Akcipher(operation) => {
                let lens = form.fixed(reader, PADDED_BYTES, words::<2>)?;
                AkcipherInput::read(reader, operation, lens).map(Self::Akcipher)
            }
        }
    }

    /// Returns the bytes that are writable for results, field by field.
    pub fn writable(&self) -> [u32; 2] {
        match self {
            Self::Cipher(input) => [input.destination_len, 0],
            Self::Chain(input) => [input.destination_len, input.result_len],
            Self::Hash(input) => [input.result_len, 0],
            Self::Aead(input) => [input.destination_len, 0],
            Self::Akcipher(input) => [input.destination_len, 0],
        }
    }
}

/// Reads consecutive `le32`.
pub(super) fn words<const N: usize>(reader: &mut Reader<'_>) -> Result<[u32; N], Refusal> {
    let mut words = [0; N];
    for word in &mut words {
        *word = reader.le32()?;
    }
    Ok(words)
}

/// `struct virtio_crypto_sym_data_flf` and `_vlf`.
fn symmetric<'a>(reader: &mut Reader<'a>, form: Form) -> Result<Input<'a>, Refusal> {
    let (mut fields, op_type) = form.fixed(reader, PADDED_BYTES, |reader| {
        let fields = reader.area(SYMMETRIC_BYTES)?;
        let op_type = reader.le32()?;
        reader.skip(4)?;
        Ok((fields, op_type))
    })?;
    match SymmetricOperation::of(op_type)? {
        SymmetricOperation::Cipher => {
            let [iv_len, source_len, destination_len, _] = words(&mut fields)?;
            fields.end_area()?;
            let lens = [iv_len, source_len, destination_len];
            CipherInput::read(reader, lens).map(Input::Cipher)
        }
        SymmetricOperation::Chain => {
            let lens = ChainLens::read(&mut fields)?;
            let iv = reader.variable(lens.iv)?;
            let source = reader.variable(lens.source)?;
            let aad = reader.variable(lens.aad)?;
            Ok(Input::Chain(lens.with(iv, source, aad)))
        }
    }
}

impl<'a> CipherInput<'a> {
    pub(super) fn read(
        reader: &mut Reader<'a>,
        [iv_len, source_len, destination_len]: [u32; 3],
    ) -> Result<Self, Refusal> {
        Ok(Self {
            iv: reader.variable(iv_len)?,
            source: reader.variable(source_len)?,
            destination_len,
        })
    }
}

/// `struct virtio_crypto_alg_chain_data_flf`, which stateless requests have too.
pub(super) struct ChainLens {
    pub(super) iv: u32,
    pub(super) source: u32,
    destination: u32,
    cipher: (u32, u32),
    hash: (u32, u32),
    pub(super) aad: u32,
    pub(super) result: u32,
}

impl ChainLens {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Refusal> {
        let lens = Self {
            iv: reader.le32()?,
            source: reader.le32()?,
            destination: reader.le32()?,
            cipher: (reader.le32()?, reader.le32()?),
            hash: (reader.le32()?, reader.le32()?),
            aad: reader.le32()?,
            result: reader.le32()?,
        };
        reader.skip(4)?;
        Ok(lens)
    }

    pub(super) fn with<'a>(&self, iv: &'a [u8], source: &'a [u8], aad: &'a [u8]) -> ChainInput<'a> {
        ChainInput {
            iv,
            source,
            aad,
            destination_len: self.destination,
            cipher: self.cipher,
            hash: self.hash,
            result_len: self.result,
        }
    }
}

impl<'a> HashInput<'a> {
    pub(super) fn read(
        reader: &mut Reader<'a>,
        [source_len, result_len]: [u32; 2],
    ) -> Result<Self, Refusal> {
        Ok(Self {
            source: reader.variable(source_len)?,
            result_len,
        })
    }
}

impl<'a> AeadInput<'a> {
    pub(super) fn read(
        reader: &mut Reader<'a>,
        [iv_len, source_len, aad_len, destination_len, tag_len]: [u32; 5],
    ) -> Result<Self, Refusal> {
        Ok(Self {
            iv: reader.variable(iv_len)?,
            source: reader.variable(source_len)?,
            aad: reader.variable(aad_len)?,
            destination_len,
            tag_len,
        })
    }
}

impl<'a> AkcipherInput<'a> {
    /// Of a verification, `dst_data_len` is the length of what was signed, which is readable and
    /// comes behind the signature; nothing but the status is writable.
    pub(super) fn read(
        reader: &mut Reader<'a>,
        operation: KeyOperation,
        [source_len, destination_len]: [u32; 2],
    ) -> Result<Self, Refusal> {
        let source = reader.variable(source_len)?;
        let (signed, destination_len) = match operation {
            KeyOperation::Verify => (reader.variable(destination_len)?, 0),
            _ => (&[][..], destination_len),
        };
        Ok(Self {
            source,
            signed,
            destination_len,
        })
    }
}
