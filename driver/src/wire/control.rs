//! Control requests: sessions come and go (Virtio 1.3, 5.9.7.2).

use zerocopy::{
    Immutable, IntoBytes, KnownLayout,
    little_endian::{U32, U64},
};

use super::{CipherAlgorithm, Direction, REQUEST_LEN, SYMMETRIC_CIPHER, check_status};
use crate::Refusal;

/// The opcode of a control request: service number and operation (Virtio 1.3, 5.9.7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum ControlOpcode {
    CreateCipherSession = 0x002,
    DestroyCipherSession = 0x003,
}

/// `struct virtio_crypto_ctrl_header`.
#[derive(IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct Header {
    opcode: U32,
    algo: U32,
    flag: U32,
    reserved: U32,
}

/// A *create* of a symmetric session, plain cipher: header, parameters, padding up to `op_type`.
#[derive(IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct CreateCipher {
    header: Header,
    algo: U32,
    keylen: U32,
    op: U32,
    padding: [U32; 9],
    op_type: U32,
    padding_2: U32,
}

#[derive(IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct Destroy {
    header: Header,
    session_id: U64,
    padding: [U32; 12],
}

/// Encodes a *create* of a cipher session; the key follows it.
pub(crate) fn create_cipher_session(
    algorithm: CipherAlgorithm,
    direction: Direction,
    key_len_bytes: u32,
) -> [u8; REQUEST_LEN] {
    zerocopy::transmute!(CreateCipher {
        header: Header {
            opcode: U32::new(ControlOpcode::CreateCipherSession as u32),
            algo: U32::new(algorithm as u32),
            flag: U32::ZERO,
            reserved: U32::ZERO,
        },
        algo: U32::new(algorithm as u32),
        keylen: U32::new(key_len_bytes),
        op: U32::new(direction as u32),
        padding: [U32::ZERO; 9],
        op_type: U32::new(SYMMETRIC_CIPHER),
        padding_2: U32::ZERO,
    })
}

/// Encodes a *destroy* of a session; `opcode` is that of the session's service.
pub(crate) fn destroy_session(opcode: u32, session_id: u64) -> [u8; REQUEST_LEN] {
    zerocopy::transmute!(Destroy {
        header: Header {
            opcode: U32::new(opcode),
            algo: U32::ZERO,
            flag: U32::ZERO,
            reserved: U32::ZERO,
        },
        session_id: U64::new(session_id),
        padding: [U32::ZERO; 12],
    })
}

/// Reads `struct virtio_crypto_session_input`: the id of the new session, if the status is OK.
pub(crate) fn parse_session_answer(bytes: &[u8; 16]) -> Result<u64, Refusal> {
    let [i0, i1, i2, i3, i4, i5, i6, i7, s0, s1, s2, s3, ..] = *bytes;
    check_status(u32::from_le_bytes([s0, s1, s2, s3]))?;
    Ok(u64::from_le_bytes([i0, i1, i2, i3, i4, i5, i6, i7]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn create_cipher_session_has_the_golden_bytes() {
        let bytes = create_cipher_session(CipherAlgorithm::AesCbc, Direction::Decrypt, 32);
        let mut golden = [0; 72];
        golden[0..4].copy_from_slice(&[0x02, 0x00, 0, 0]);
        golden[4] = 3;
        golden[16] = 3;
        golden[20] = 32;
        golden[24] = 2;
        golden[64] = 1;
        assert_eq!(bytes, golden);
    }

    #[test]
    fn destroy_session_has_the_golden_bytes() {
        let bytes = destroy_session(0x405, 0x1122_3344_5566_7788);
        let mut golden = [0; 72];
        golden[0..4].copy_from_slice(&[0x05, 0x04, 0, 0]);
        golden[16..24].copy_from_slice(&[0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11]);
        assert_eq!(bytes, golden);
    }

    #[test]
    fn session_answer_gives_the_id_only_when_the_status_is_ok() {
        let mut bytes = [0xff; 16];
        bytes[..8].copy_from_slice(&7u64.to_le_bytes());
        assert_eq!(
            parse_session_answer(&bytes),
            Err(Refusal::Unknown(0xffff_ffff))
        );
        bytes[8..12].copy_from_slice(&[0; 4]);
        assert_eq!(parse_session_answer(&bytes), Ok(7));
        bytes[8] = 5;
        assert_eq!(parse_session_answer(&bytes), Err(Refusal::NoSpace));
    }
}
