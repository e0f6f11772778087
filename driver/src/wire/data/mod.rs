//! Data requests (Virtio 1.3, 5.9.7.3 to 5.9.7.7); those of public keys are in `akcipher.rs`.
//!
//! Session mode and stateless mode differ in the fixed-length fields. The specification says both
//! that these go by what has been negotiated and that they go by the mode of each request; here
//! they go by the request, whose `flag` tells the device.

use zerocopy::{Immutable, IntoBytes, KnownLayout, little_endian::U32};

use super::{
    AeadAlgorithm, ChainHash, ChainOrder, CipherAlgorithm, Direction, Form, HashAlgorithm, Head,
    MacAlgorithm, REQUEST_LEN, SYMMETRIC_CHAIN, SYMMETRIC_CIPHER, Service, header::Header,
};

impl Direction {
    /// Returns the opcode of a request of `service`. A device goes by the direction of the session
    /// all the same.
    #[inline]
    fn opcode(self, service: Service) -> u32 {
        service.opcode(match self {
            Self::Encrypt => 0,
            Self::Decrypt => 1,
        })
    }
}

/// A request of a plain cipher in session mode; the same in both forms.
#[derive(IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct CipherRequest {
    header: Header,
    iv_len: U32,
    src_data_len: U32,
    dst_data_len: U32,
    unused: [U32; 7],
    op_type: U32,
    padding: U32,
}

/// Encodes a cipher request; IV and source follow it. Source and destination have one length:
/// QEMU asks for a reset when they differ.
#[inline]
pub(crate) fn cipher_request(
    algorithm: CipherAlgorithm,
    direction: Direction,
    session_id: u64,
    len_bytes: u32,
) -> [u8; REQUEST_LEN] {
    let opcode = direction.opcode(Service::Cipher);
    zerocopy::transmute!(CipherRequest {
        header: Header::of_session(opcode, algorithm as u32, session_id),
        iv_len: U32::new(algorithm.shape().iv_len_bytes.into()),
        src_data_len: U32::new(len_bytes),
        dst_data_len: U32::new(len_bytes),
        unused: [U32::ZERO; 7],
        op_type: U32::new(SYMMETRIC_CIPHER),
        padding: U32::ZERO,
    })
}

/// `struct virtio_crypto_sym_data_flf_stateless` of a plain cipher.
#[derive(IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct StatelessCipher {
    algo: U32,
    key_len: U32,
    op: U32,
    iv_len: U32,
    src_data_len: U32,
    dst_data_len: U32,
    unused: [U32; 12],
    op_type: U32,
}

/// Encodes a stateless cipher request; key, IV and source follow it.
pub(crate) fn stateless_cipher_request(
    algorithm: CipherAlgorithm,
    direction: Direction,
    key_len_bytes: u32,
    len_bytes: u32,
) -> Head {
    let fields = StatelessCipher {
        algo: U32::new(algorithm as u32),
        key_len: U32::new(key_len_bytes),
        op: U32::new(direction as u32),
        iv_len: U32::new(algorithm.iv_len_bytes() as u32),
        src_data_len: U32::new(len_bytes),
        dst_data_len: U32::new(len_bytes),
        unused: [U32::ZERO; 12],
        op_type: U32::new(SYMMETRIC_CIPHER),
    };
    let opcode = direction.opcode(Service::Cipher);
    Form::Exact.head(&Header::stateless(opcode, algorithm as u32), &fields)
}

/// What a request of a chain works on, beside IV, source and additional data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ChainLens {
    pub(crate) iv_len_bytes: u32,
    /// Source, and destination too.
    pub(crate) len_bytes: u32,
    pub(crate) cipher_start_bytes: u32,
    pub(crate) cipher_len_bytes: u32,
    pub(crate) hash_start_bytes: u32,
    pub(crate) hash_len_bytes: u32,
    pub(crate) aad_len_bytes: u32,
    pub(crate) result_len_bytes: u32,
}

/// `struct virtio_crypto_alg_chain_data_flf`.
#[derive(IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct ChainFields {
    iv_len: U32,
    src_data_len: U32,
    dst_data_len: U32,
    cipher_start_src_offset: U32,
    len_to_cipher: U32,
    hash_start_src_offset: U32,
    len_to_hash: U32,
    aad_len: U32,
    hash_result_len: U32,
    reserved: U32,
}

impl From<ChainLens> for ChainFields {
    fn from(lens: ChainLens) -> Self {
        Self {
            iv_len: U32::new(lens.iv_len_bytes),
            src_data_len: U32::new(lens.len_bytes),
            dst_data_len: U32::new(lens.len_bytes),
            cipher_start_src_offset: U32::new(lens.cipher_start_bytes),
            len_to_cipher: U32::new(lens.cipher_len_bytes),
            hash_start_src_offset: U32::new(lens.hash_start_bytes),
            len_to_hash: U32::new(lens.hash_len_bytes),
            aad_len: U32::new(lens.aad_len_bytes),
            hash_result_len: U32::new(lens.result_len_bytes),
            reserved: U32::ZERO,
        }
    }
}

#[derive(IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct ChainRequest {
    chain: ChainFields,
    op_type: U32,
    padding: U32,
}

/// Encodes a request of a chain; IV, source and additional data follow it.
pub(crate) fn chain_request(
    cipher: super::CipherParameters,
    session_id: u64,
    lens: ChainLens,
) -> Head {
    let fields = ChainRequest {
        chain: lens.into(),
        op_type: U32::new(SYMMETRIC_CHAIN),
        padding: U32::ZERO,
    };
    let opcode = cipher.direction.opcode(Service::Cipher);
    let header = Header::of_session(opcode, cipher.algorithm as u32, session_id);
    Form::Exact.head(&header, &fields)
}

/// `struct virtio_crypto_sym_data_flf_stateless` of a chain.
#[derive(IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct StatelessChain {
    alg_chain_order: U32,
    sess_aad_len: U32,
    cipher_algo: U32,
    cipher_key_len: U32,
    cipher_op: U32,
    hash_algo: U32,
    auth_key_len: U32,
    hash_mode: U32,
    chain: ChainFields,
    op_type: U32,
}

/// Encodes a stateless request of a chain; cipher key, authentication key, IV, additional data and
/// source follow it, in this order: it is not that of session mode.
pub(crate) fn stateless_chain_request(
    order: ChainOrder,
    cipher: super::CipherParameters,
    hash: ChainHash,
    lens: ChainLens,
) -> Head {
    let hash = hash.numbers();
    let fields = StatelessChain {
        alg_chain_order: U32::new(order as u32),
        sess_aad_len: U32::new(lens.aad_len_bytes),
        cipher_algo: U32::new(cipher.algorithm as u32),
        cipher_key_len: U32::new(cipher.key_len_bytes),
        cipher_op: U32::new(cipher.direction as u32),
        hash_algo: U32::new(hash.algorithm),
        auth_key_len: U32::new(hash.key_len_bytes),
        hash_mode: U32::new(hash.mode),
        chain: lens.into(),
        op_type: U32::new(SYMMETRIC_CHAIN),
    };
    let opcode = cipher.direction.opcode(Service::Cipher);
    let header = Header::stateless(opcode, cipher.algorithm as u32);
    Form::Exact.head(&header, &fields)
}

/// `struct virtio_crypto_hash_data_flf`, which is also that of MAC.
#[derive(IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct HashFields {
    src_data_len: U32,
    hash_result_len: U32,
}

fn hash_or_mac(
    (service, algorithm): (Service, u32),
    form: Form,
    session_id: u64,
    lens: (u32, u32),
) -> Head {
    let fields = HashFields {
        src_data_len: U32::new(lens.0),
        hash_result_len: U32::new(lens.1),
    };
    let header = Header::of_session(service.opcode(0), algorithm, session_id);
    form.head(&header, &fields)
}

/// Encodes a hash request; the source follows it.
pub(crate) fn hash_request(
    form: Form,
    algorithm: HashAlgorithm,
    session_id: u64,
    len_bytes: u32,
    result_len_bytes: u32,
) -> Head {
    hash_or_mac(
        (Service::Hash, algorithm as u32),
        form,
        session_id,
        (len_bytes, result_len_bytes),
    )
}

/// Encodes a MAC request; the source follows it.
pub(crate) fn mac_request(
    form: Form,
    algorithm: MacAlgorithm,
    session_id: u64,
    len_bytes: u32,
    result_len_bytes: u32,
) -> Head {
    hash_or_mac(
        (Service::Mac, algorithm as u32),
        form,
        session_id,
        (len_bytes, result_len_bytes),
    )
}

/// Encodes a stateless hash request; the source follows it.
pub(crate) fn stateless_hash_request(
    algorithm: HashAlgorithm,
    len_bytes: u32,
    result_len_bytes: u32,
) -> Head {
    // algo, src_data_len, hash_result_len, reserved
    let fields = [algorithm as u32, len_bytes, result_len_bytes, 0].map(U32::new);
    let header = Header::stateless(Service::Hash.opcode(0), algorithm as u32);
    Form::Exact.head(&header, &fields)
}

/// Encodes a stateless MAC request; key and source follow it.
pub(crate) fn stateless_mac_request(
    algorithm: MacAlgorithm,
    key_len_bytes: u32,
    len_bytes: u32,
    result_len_bytes: u32,
) -> Head {
    // algo, auth_key_len, src_data_len, hash_result_len
    let fields = [algorithm as u32, key_len_bytes, len_bytes, result_len_bytes].map(U32::new);
    let header = Header::stateless(Service::Mac.opcode(0), algorithm as u32);
    Form::Exact.head(&header, &fields)
}

/// What a request of authenticated encryption works on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AeadLens {
    pub(crate) iv_len_bytes: u32,
    pub(crate) aad_len_bytes: u32,
    pub(crate) source_len_bytes: u32,
    pub(crate) destination_len_bytes: u32,
    pub(crate) tag_len_bytes: u32,
}

/// Encodes a request of authenticated encryption; IV, source and additional data follow it.
pub(crate) fn aead_request(
    form: Form,
    algorithm: AeadAlgorithm,
    direction: Direction,
    session_id: u64,
    lens: AeadLens,
) -> Head {
    // iv_len, aad_len, src_data_len, dst_data_len, tag_len, reserved
    let fields = [
        lens.iv_len_bytes,
        lens.aad_len_bytes,
        lens.source_len_bytes,
        lens.destination_len_bytes,
        lens.tag_len_bytes,
        0,
    ]
    .map(U32::new);
    let opcode = direction.opcode(Service::Aead);
    let header = Header::of_session(opcode, algorithm as u32, session_id);
    form.head(&header, &fields)
}

/// Encodes a stateless request of authenticated encryption; key, IV, source and additional data
/// follow it.
pub(crate) fn stateless_aead_request(
    algorithm: AeadAlgorithm,
    direction: Direction,
    key_len_bytes: u32,
    lens: AeadLens,
) -> Head {
    // algo, key_len, op, iv_len, tag_len, aad_len, src_data_len, dst_data_len
    let fields = [
        algorithm as u32,
        key_len_bytes,
        direction as u32,
        lens.iv_len_bytes,
        lens.tag_len_bytes,
        lens.aad_len_bytes,
        lens.source_len_bytes,
        lens.destination_len_bytes,
    ]
    .map(U32::new);
    let opcode = direction.opcode(Service::Aead);
    Form::Exact.head(&Header::stateless(opcode, algorithm as u32), &fields)
}

#[cfg(test)]
pub(super) mod tests;
