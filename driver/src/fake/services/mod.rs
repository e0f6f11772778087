//! What the device computes: one file a service, each with real cryptography by other hands.
//!
//! What a driver must never send is asserted here; what it may send and a device refuses is a
//! status.

mod cipher;

pub(crate) use self::cipher::oracle as cipher_oracle;

use alloc::vec::Vec;

pub(super) const OK: u8 = 0;
pub(super) const ERROR: u8 = 1;
pub(super) const INVALID_SESSION: u8 = 4;

/// Bytes of header and fixed-length fields without REVISION_1.
const PADDED_LEN: usize = 72;

/// A session of the device.
#[derive(Clone, Debug)]
pub(super) enum Session {
    Cipher(cipher::Session),
}

/// A request as the device reads it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request<'a> {
    /// All that is readable.
    pub(super) bytes: &'a [u8],
    /// Bytes that the device may write, the status included.
    pub(super) writable_bytes: usize,
}

impl<'a> Request<'a> {
    pub(super) fn u32(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.bytes[at..at + 4].try_into().unwrap())
    }

    fn usize(&self, at: usize) -> usize {
        self.u32(at) as usize
    }

    pub(super) fn u64(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.bytes[at..at + 8].try_into().unwrap())
    }

    pub(super) fn opcode(&self) -> u32 {
        self.u32(0)
    }

    /// Returns what follows header and fixed-length fields.
    fn variable(&self) -> &'a [u8] {
        assert!(
            self.bytes.len() >= PADDED_LEN,
            "a header of {} bytes",
            self.bytes.len()
        );
        &self.bytes[PADDED_LEN..]
    }
}

/// Makes the session that a *create* asks for.
pub(super) fn create(request: Request<'_>) -> Result<Session, u8> {
    match request.opcode() {
        0x002 => cipher::Session::create(request).map(Session::Cipher),
        other => panic!("control opcode {other:#x}"),
    }
}

impl Session {
    /// Returns the opcode that has to end it.
    pub(super) fn destroy_opcode(&self) -> u32 {
        match self {
            Self::Cipher(_) => 0x003,
        }
    }

    /// Tells whether the source of a cipher request ends within a block.
    pub(super) fn ends_in_a_block(&self, request: Request<'_>) -> bool {
        match self {
            Self::Cipher(session) => session.ends_in_a_block(request),
        }
    }

    /// Computes what a data request of this session asks for: what goes before the status.
    pub(super) fn serve(&self, request: Request<'_>) -> Result<Vec<u8>, u8> {
        match self {
            Self::Cipher(session) => session.serve(request),
        }
    }
}

/// Returns the first byte of the source, for the log.
pub(super) fn first_source_byte(request: Request<'_>) -> u8 {
    let before = match request.opcode() >> 8 {
        0 => request.usize(24),
        _ => 0,
    };
    request.variable().get(before).copied().unwrap_or(0)
}
