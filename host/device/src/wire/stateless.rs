//! Data requests that bring their parameters along (5.9.7.4 to 5.9.7.8).
//!
//! Only REVISION_1 has them, so their fixed-length parameters are never padded.

use crate::wire::{
    control::{NO_HASH_MODE, SymmetricOperation, chain_order, key_type},
    data::{AeadInput, AkcipherInput, ChainLens, CipherInput, HashInput, Input, words},
    header::{Direction, KeyOperation, Operation},
    parameters::{
        AeadParameters, AkcipherParameters, ChainHash, ChainParameters, CipherParameters,
        HashParameters, Key, MacParameters, Parameters,
    },
    reader::Reader,
    status::Refusal,
};

/// `VIRTIO_CRYPTO_SYM_DATE_REQ_HDR_STATELESS_SIZE`.
const SYMMETRIC_BYTES: usize = 72;

/// Reads what follows the header.
pub fn read<'a>(
    reader: &mut Reader<'a>,
    operation: Operation,
) -> Result<(Parameters<'a>, Input<'a>), Refusal> {
    match operation {
        Operation::Cipher(_) => symmetric(reader),
        Operation::Hash => hash(reader),
        Operation::Mac => mac(reader),
        Operation::Aead(_) => aead(reader),
        Operation::Akcipher(operation) => akcipher(reader, operation),
    }
}

/// `struct virtio_crypto_sym_data_flf_stateless` and `_vlf_stateless`.
fn symmetric<'a>(reader: &mut Reader<'a>) -> Result<(Parameters<'a>, Input<'a>), Refusal> {
    let mut fields = reader.area(SYMMETRIC_BYTES)?;
    let op_type = reader.le32()?;
    reader.end_head();
    match SymmetricOperation::of(op_type)? {
        SymmetricOperation::Cipher => {
            let [algo, key_len, op, iv_len, source_len, destination_len] = words(&mut fields)?;
            fields.end_area()?;
            let parameters = CipherParameters {
                algo,
                direction: Direction::of(op)?,
                key: Key(reader.variable(key_len)?),
            };
            let input = CipherInput::read(reader, [iv_len, source_len, destination_len])?;
            Ok((Parameters::Cipher(parameters), Input::Cipher(input)))
        }
        SymmetricOperation::Chain => chain(&mut fields, reader),
    }
}

/// `struct virtio_crypto_alg_chain_data_flf_stateless`, and `_vlf_stateless` from `reader`.
fn chain<'a>(
    fields: &mut Reader<'a>,
    reader: &mut Reader<'a>,
) -> Result<(Parameters<'a>, Input<'a>), Refusal> {
    let [order, aad_len] = words(fields)?;
    let [algo, key_len, op] = words(fields)?;
    let [hash_algo, auth_key_len, hash_mode] = words(fields)?;
    let lens = ChainLens::read(fields)?;
    let cipher = CipherParameters {
        algo,
        direction: Direction::of(op)?,
        key: Key(reader.variable(key_len)?),
    };
    let key = Key(reader.variable(auth_key_len)?);
    let hash = HashParameters {
        algo: hash_algo,
        result_len: lens.result,
    };
    let hash = match hash_mode {
        1 => ChainHash::Plain(hash),
        2 => ChainHash::Authenticated(MacParameters {
            algo: hash_algo,
            result_len: lens.result,
            key,
        }),
        3 => ChainHash::Nested(hash),
        _ => return Err(NO_HASH_MODE),
    };
    // Here the additional data comes before the source; in session mode it comes after.
    let iv = reader.variable(lens.iv)?;
    let aad = reader.variable(lens.aad)?;
    let source = reader.variable(lens.source)?;
    let parameters = ChainParameters {
        order: chain_order(order)?,
        cipher,
        hash,
        aad_len,
    };
    let input = lens.with(iv, source, aad);
    Ok((Parameters::Chain(parameters), Input::Chain(input)))
}

/// `struct virtio_crypto_hash_data_flf_stateless` and `_vlf_stateless`.
fn hash<'a>(reader: &mut Reader<'a>) -> Result<(Parameters<'a>, Input<'a>), Refusal> {
    let [algo, source_len, result_len, _] = words(reader)?;
    reader.end_head();
    let input = HashInput::read(reader, [source_len, result_len])?;
    let parameters = HashParameters { algo, result_len };
    Ok((Parameters::Hash(parameters), Input::Hash(input)))
}

/// `struct virtio_crypto_mac_data_flf_stateless` and `_vlf_stateless`.
fn mac<'a>(reader: &mut Reader<'a>) -> Result<(Parameters<'a>, Input<'a>), Refusal> {
    let [algo, key_len, source_len, result_len] = words(reader)?;
    reader.end_head();
    let parameters = MacParameters {
        algo,
        result_len,
        key: Key(reader.variable(key_len)?),
    };
    let input = HashInput::read(reader, [source_len, result_len])?;
    Ok((Parameters::Mac(parameters), Input::Hash(input)))
}

/// `struct virtio_crypto_aead_data_flf_stateless` and `_vlf_stateless`.
fn aead<'a>(reader: &mut Reader<'a>) -> Result<(Parameters<'a>, Input<'a>), Refusal> {
    let [algo, key_len, op] = words(reader)?;
    let [iv_len, tag_len, aad_len, source_len, destination_len] = words(reader)?;
    reader.end_head();
    let parameters = AeadParameters {
        algo,
        tag_len,
        aad_len,
        direction: Direction::of(op)?,
        key: Key(reader.variable(key_len)?),
    };
    let lens = [iv_len, source_len, aad_len, destination_len, tag_len];
    let input = AeadInput::read(reader, lens)?;
    Ok((Parameters::Aead(parameters), Input::Aead(input)))
}

/// `struct virtio_crypto_akcipher_data_flf_stateless` and `_vlf_stateless`.
fn akcipher<'a>(
    reader: &mut Reader<'a>,
    operation: KeyOperation,
) -> Result<(Parameters<'a>, Input<'a>), Refusal> {
    let [algo, number, key_len] = words(reader)?;
    let [padding_or_curve, hash_algo] = words(reader)?;
    let lens = words(reader)?;
    reader.end_head();
    let parameters = AkcipherParameters {
        algo,
        key_type: key_type(number)?,
        padding_or_curve,
        hash_algo,
        key: Key(reader.variable(key_len)?),
    };
    let input = AkcipherInput::read(reader, operation, lens)?;
    Ok((Parameters::Akcipher(parameters), Input::Akcipher(input)))
}
