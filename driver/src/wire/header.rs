//! The header of data requests (Virtio 1.3, 5.9.7.3).

use zerocopy::{
    Immutable, IntoBytes, KnownLayout,
    little_endian::{U32, U64},
};

/// `VIRTIO_CRYPTO_FLAG_SESSION_MODE`; without REVISION_1 a device ignores the field.
const SESSION_MODE: u32 = 1;

/// `struct virtio_crypto_op_header`.
#[derive(IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct Header {
    opcode: U32,
    algo: U32,
    session_id: U64,
    flag: U32,
    padding: U32,
}

impl Header {
    /// The header of a request in session mode. The device knows the session's algorithm; there are
    /// some that go by the request's all the same.
    #[inline]
    pub(super) fn of_session(opcode: u32, algorithm: u32, session_id: u64) -> Self {
        Self {
            opcode: U32::new(opcode),
            algo: U32::new(algorithm),
            session_id: U64::new(session_id),
            flag: U32::new(SESSION_MODE),
            padding: U32::ZERO,
        }
    }

    pub(super) fn stateless(opcode: u32, algorithm: u32) -> Self {
        Self {
            opcode: U32::new(opcode),
            algo: U32::new(algorithm),
            session_id: U64::ZERO,
            flag: U32::ZERO,
            padding: U32::ZERO,
        }
    }
}
