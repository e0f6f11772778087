//! Control requests: sessions that are made and ended (5.9.7.2).

use crate::wire::{
    algorithm::Service,
    header::{ControlOperation, Direction, Form},
    parameters::{
        AeadParameters, AkcipherParameters, ChainHash, ChainOrder, ChainParameters,
        CipherParameters, HashParameters, Key, KeyType, MacParameters, Parameters,
    },
    reader::Reader,
    status::Refusal,
};

/// `VIRTIO_CRYPTO_CTRLQ_OP_SPEC_HDR_LEGACY`.
const PADDED_BYTES: usize = 56;
/// `VIRTIO_CRYPTO_SYM_SESS_OP_SPEC_HDR_SIZE`.
const SYMMETRIC_BYTES: usize = 48;
/// `VIRTIO_CRYPTO_ALG_CHAIN_SESS_OP_SPEC_HDR_SIZE`.
const CHAIN_HASH_BYTES: usize = 16;
/// `VIRTIO_CRYPTO_AKCIPHER_SESS_ALGO_SPEC_HDR_SIZE`.
const AKCIPHER_BYTES: usize = 44;

/// What a control request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control<'a> {
    /// A new session.
    Create(Parameters<'a>),
    /// The end of one.
    Destroy {
        /// The service of the opcode.
        service: Service,
        /// Which session.
        session_id: u64,
    },
}

impl<'a> Control<'a> {
    /// Reads what follows the header.
    pub fn read(
        reader: &mut Reader<'a>,
        (service, operation): (Service, ControlOperation),
        form: Form,
    ) -> Result<Self, Refusal> {
        match operation {
            ControlOperation::Destroy => {
                let session_id = form.fixed(reader, PADDED_BYTES, Reader::le64)?;
                Ok(Self::Destroy {
                    service,
                    session_id,
                })
            }
            ControlOperation::Create => create(reader, service, form).map(Self::Create),
        }
    }
}

fn create<'a>(
    reader: &mut Reader<'a>,
    service: Service,
    form: Form,
) -> Result<Parameters<'a>, Refusal> {
    match service {
        Service::Cipher => symmetric(reader, form),
        Service::Hash => form.fixed(reader, PADDED_BYTES, hash).map(Parameters::Hash),
        Service::Mac => {
            let fixed = form.fixed(reader, PADDED_BYTES, MacFixed::read)?;
            fixed.with_key(reader).map(Parameters::Mac)
        }
        Service::Aead => aead(reader, form),
        Service::Akcipher => akcipher(reader, form),
    }
}

/// `struct virtio_crypto_sym_create_session_flf` and `_vlf`.
fn symmetric<'a>(reader: &mut Reader<'a>, form: Form) -> Result<Parameters<'a>, Refusal> {
    let (mut fields, op_type) = form.fixed(reader, PADDED_BYTES, |reader| {
        let fields = reader.area(SYMMETRIC_BYTES)?;
        let op_type = reader.le32()?;
        reader.skip(4)?;
        Ok((fields, op_type))
    })?;
    match SymmetricOperation::of(op_type)? {
        SymmetricOperation::Cipher => {
            let fixed = CipherFixed::read(&mut fields)?;
            fields.end_area()?;
            fixed.with_key(reader).map(Parameters::Cipher)
        }
        SymmetricOperation::Chain => chain(&mut fields, reader).map(Parameters::Chain),
    }
}

/// `VIRTIO_CRYPTO_SYM_OP_*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SymmetricOperation {
    Cipher,
    Chain,
}

impl SymmetricOperation {
    pub(super) fn of(number: u32) -> Result<Self, Refusal> {
        match number {
            1 => Ok(Self::Cipher),
            2 => Ok(Self::Chain),
            // 0 is no operation: a session that does nothing cannot be told from a mistake.
            _ => Err(Refusal::not_supported(
                "op_type is neither cipher nor chain",
            )),
        }
    }
}

/// `struct virtio_crypto_cipher_session_flf`.
struct CipherFixed {
    algo: u32,
    key_len: u32,
    op: u32,
}

impl CipherFixed {
    fn read(reader: &mut Reader<'_>) -> Result<Self, Refusal> {
        let fixed = Self {
            algo: reader.le32()?,
            key_len: reader.le32()?,
            op: reader.le32()?,
        };
        reader.skip(4)?;
        Ok(fixed)
    }

    fn with_key<'a>(&self, reader: &mut Reader<'a>) -> Result<CipherParameters<'a>, Refusal> {
        Ok(CipherParameters {
            algo: self.algo,
            direction: Direction::of(self.op)?,
            key: Key(reader.variable(self.key_len)?),
        })
    }
}

/// `struct virtio_crypto_hash_create_session_flf`.
fn hash(reader: &mut Reader<'_>) -> Result<HashParameters, Refusal> {
    Ok(HashParameters {
        algo: reader.le32()?,
        result_len: reader.le32()?,
    })
}

/// `struct virtio_crypto_mac_create_session_flf`.
struct MacFixed {
    algo: u32,
    result_len: u32,
    key_len: u32,
}

impl MacFixed {
    fn read(reader: &mut Reader<'_>) -> Result<Self, Refusal> {
        let fixed = Self {
            algo: reader.le32()?,
            result_len: reader.le32()?,
            key_len: reader.le32()?,
        };
        reader.skip(4)?;
        Ok(fixed)
    }

    fn with_key<'a>(&self, reader: &mut Reader<'a>) -> Result<MacParameters<'a>, Refusal> {
        Ok(MacParameters {
            algo: self.algo,
            result_len: self.result_len,
            key: Key(reader.variable(self.key_len)?),
        })
    }
}

/// `struct virtio_crypto_alg_chain_session_flf`, and `_vlf` from `keys`.
fn chain<'a>(
    fixed: &mut Reader<'a>,
    keys: &mut Reader<'a>,
) -> Result<ChainParameters<'a>, Refusal> {
    let order = chain_order(fixed.le32()?)?;
    let mode = fixed.le32()?;
    let cipher = CipherFixed::read(fixed)?;
    let mut algorithm = fixed.area(CHAIN_HASH_BYTES)?;
    let aad_len = fixed.le32()?;
    fixed.skip(4)?;
    let cipher = cipher.with_key(keys)?;
    let hash = match mode {
        1 => ChainHash::Plain(hash(&mut algorithm)?),
        2 => ChainHash::Authenticated(MacFixed::read(&mut algorithm)?.with_key(keys)?),
        3 => ChainHash::Nested(hash(&mut algorithm)?),
        _ => return Err(NO_HASH_MODE),
    };
    algorithm.end_area()?;
    Ok(ChainParameters {
        order,
        cipher,
        hash,
        aad_len,
    })
}

pub(super) const NO_HASH_MODE: Refusal =
    Refusal::not_supported("hash_mode is neither plain, auth nor nested");

pub(super) fn chain_order(number: u32) -> Result<ChainOrder, Refusal> {
    match number {
        1 => Ok(ChainOrder::HashThenCipher),
        2 => Ok(ChainOrder::CipherThenHash),
        _ => Err(Refusal::not_supported("alg_chain_order is neither order")),
    }
}

/// `struct virtio_crypto_aead_create_session_flf` and `_vlf`.
fn aead<'a>(reader: &mut Reader<'a>, form: Form) -> Result<Parameters<'a>, Refusal> {
    let [algo, key_len, tag_len, aad_len, op] = form.fixed(reader, PADDED_BYTES, |reader| {
        let mut fields = [0; 5];
        for field in &mut fields {
            *field = reader.le32()?;
        }
        reader.skip(4)?;
        Ok(fields)
    })?;
    Ok(Parameters::Aead(AeadParameters {
        algo,
        tag_len,
        aad_len,
        direction: Direction::of(op)?,
        key: Key(reader.variable(key_len)?),
    }))
}

/// `struct virtio_crypto_akcipher_create_session_flf` and `_vlf`.
fn akcipher<'a>(reader: &mut Reader<'a>, form: Form) -> Result<Parameters<'a>, Refusal> {
    let fixed = form.fixed(reader, PADDED_BYTES, |reader| {
        let (algo, key_type, key_len) = (reader.le32()?, reader.le32()?, reader.le32()?);
        let mut fields = reader.area(AKCIPHER_BYTES)?;
        let (padding_or_curve, hash_algo) = (fields.le32()?, fields.le32()?);
        fields.end_area()?;
        Ok((algo, key_type, key_len, padding_or_curve, hash_algo))
    })?;
    let (algo, key_type, key_len, padding_or_curve, hash_algo) = fixed;
    Ok(Parameters::Akcipher(AkcipherParameters {
        algo,
        key_type: self::key_type(key_type)?,
        padding_or_curve,
        hash_algo,
        key: Key(reader.variable(key_len)?),
    }))
}

pub(super) fn key_type(number: u32) -> Result<KeyType, Refusal> {
    match number {
        1 => Ok(KeyType::Public),
        2 => Ok(KeyType::Private),
        _ => Err(Refusal::not_supported(
            "key_type is neither public nor private",
        )),
    }
}

/// Bytes of `struct virtio_crypto_create_session_input`.
pub const CREATED_BYTES: usize = 16;
/// Bytes of `struct virtio_crypto_destroy_session_input`.
pub const DESTROYED_BYTES: usize = 1;

/// Returns a `struct virtio_crypto_create_session_input`.
pub fn created(session_id: u64, status: u8) -> Vec<u8> {
    let mut bytes = session_id.to_le_bytes().to_vec();
    bytes.extend(u32::from(status).to_le_bytes());
    bytes.extend([0; 4]);
    bytes
}
