//! Data requests (Virtio 1.3, 5.9.7.3 and 5.9.7.6).

use zerocopy::{
    Immutable, IntoBytes, KnownLayout,
    little_endian::{U32, U64},
};

use super::{Direction, REQUEST_LEN, SYMMETRIC_CIPHER};

/// The opcode of a data request. A device goes by the direction of the session all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum DataOpcode {
    CipherEncrypt = 0x000,
    CipherDecrypt = 0x001,
}

impl From<Direction> for DataOpcode {
    fn from(direction: Direction) -> Self {
        match direction {
            Direction::Encrypt => Self::CipherEncrypt,
            Direction::Decrypt => Self::CipherDecrypt,
        }
    }
}

/// `struct virtio_crypto_op_data_req` of a plain cipher: header, parameters, padding up to
/// `op_type`.
#[derive(IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct CipherRequest {
    opcode: U32,
    algo: U32,
    session_id: U64,
    flag: U32,
    padding: U32,
    iv_len: U32,
    src_data_len: U32,
    dst_data_len: U32,
    padding_2: [U32; 7],
    op_type: U32,
    padding_3: U32,
}

/// Encodes a cipher request; IV and source follow it. Source and destination have one length:
/// QEMU asks for a reset when they differ.
#[inline]
pub(crate) fn cipher_request(
    opcode: DataOpcode,
    session_id: u64,
    iv_len_bytes: u32,
    len_bytes: u32,
) -> [u8; REQUEST_LEN] {
    zerocopy::transmute!(CipherRequest {
        opcode: U32::new(opcode as u32),
        algo: U32::ZERO,
        session_id: U64::new(session_id),
        flag: U32::ZERO,
        padding: U32::ZERO,
        iv_len: U32::new(iv_len_bytes),
        src_data_len: U32::new(len_bytes),
        dst_data_len: U32::new(len_bytes),
        padding_2: [U32::ZERO; 7],
        op_type: U32::new(SYMMETRIC_CIPHER),
        padding_3: U32::ZERO,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cipher_request_has_the_golden_bytes() {
        let bytes = cipher_request(Direction::Decrypt.into(), 0x0102_0304_0506_0708, 16, 0x1234);
        let mut golden = [0; 72];
        golden[0] = 1;
        golden[8..16].copy_from_slice(&[8, 7, 6, 5, 4, 3, 2, 1]);
        golden[24] = 16;
        golden[28..30].copy_from_slice(&[0x34, 0x12]);
        golden[32..34].copy_from_slice(&[0x34, 0x12]);
        golden[64] = 1;
        assert_eq!(bytes, golden);
    }
}
