//! What the device computes: AES-CBC, with and without a session.
//!
//! It opens sessions of HASH and MAC, too, for tests of what becomes of sessions. All that it
//! computes otherwise is tested on another device, which has a crate of its own.
//!
//! What a driver must never send is asserted here; what it may send and a device refuses is a
//! status.

use alloc::vec::Vec;

use aes::{Aes128, Aes192, Aes256};
use cbc::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyIvInit, block_padding::NoPadding};

use crate::wire::{CipherAlgorithm, Features};

pub(super) const OK: u8 = 0;
const ERROR: u8 = 1;
pub(super) const NOT_SUPPORTED: u8 = 3;
pub(super) const INVALID_SESSION: u8 = 4;

/// Returns the status of a *create* for which there is no room: without REVISION_1 there is none of
/// its own.
pub(super) fn no_space(features: Features) -> u8 {
    if features.contains(Features::REVISION_1) {
        5
    } else {
        ERROR
    }
}

/// Bytes of header and fixed-length fields without REVISION_1.
const PADDED_LEN: usize = 72;

/// A session of the device.
#[derive(Clone, Debug)]
pub(super) enum Session {
    Cipher(Cipher),
    /// One of another service, by the opcode that has to end it.
    Other(u32),
}

/// A key with what is done with it.
#[derive(Clone, Debug)]
pub(super) struct Cipher {
    algorithm: u32,
    key: Vec<u8>,
    encrypt: bool,
}

/// A request as the device reads it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request<'a> {
    /// All that is readable.
    pub(super) bytes: &'a [u8],
    /// Bytes that the device may write, the status included.
    pub(super) writable_bytes: usize,
    /// Features agreed on.
    pub(super) features: Features,
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

    /// Returns what follows so many bytes of header and fixed-length fields.
    fn variable(&self, head_len: usize) -> &'a [u8] {
        let bytes = self.bytes.len();
        assert!(bytes >= head_len, "a header of {bytes} bytes");
        &self.bytes[head_len..]
    }

    /// Splits what follows header and fixed-length fields into parts of these lengths, and nothing
    /// more.
    fn parts<const N: usize>(&self, head_len: usize, lens: [usize; N]) -> [&'a [u8]; N] {
        let mut rest = self.variable(head_len);
        let parts = lens.map(|len| {
            let (part, behind) = rest.split_at(len);
            rest = behind;
            part
        });
        assert!(rest.is_empty(), "{} bytes too many", rest.len());
        parts
    }

    fn is_exact(&self) -> bool {
        self.features.contains(Features::REVISION_1)
    }

    /// Tells whether a data request brings its own parameters. Without REVISION_1 the flag says
    /// nothing.
    pub(super) fn is_stateless(&self) -> bool {
        self.is_exact() && self.u32(16) & 1 == 0
    }

    /// Returns the bytes of header and fixed-length fields of a cipher's data request.
    fn data_head_len(&self) -> usize {
        match (self.is_exact(), self.is_stateless()) {
            (false, _) => PADDED_LEN,
            (true, false) => 24 + 48,
            (true, true) => 24 + 76,
        }
    }

    /// Returns the first byte of the source, for the log.
    pub(super) fn first_source_byte(&self) -> u8 {
        let source = self.variable(self.data_head_len());
        source.get(self.usize(24)).copied().unwrap_or(0)
    }

    /// Makes the session that a *create* asks for.
    pub(super) fn create(&self) -> Result<Session, u8> {
        match self.opcode() {
            0x002 if self.u32(64) == 2 => Err(NOT_SUPPORTED),
            0x002 => {
                assert_eq!(self.u32(64), 1, "a cipher alone");
                let [key] = self.parts(PADDED_LEN, [self.usize(20)]);
                let cipher = Cipher::new(self.u32(16), self.u32(24), key);
                Ok(Session::Cipher(cipher))
            }
            0x102 => Ok(Session::Other(0x103)),
            0x202 => Ok(Session::Other(0x203)),
            0x302 | 0x404 => Err(NOT_SUPPORTED),
            other => panic!("control opcode {other:#x}"),
        }
    }

    /// Computes what a request without a session asks for.
    pub(super) fn serve_stateless(&self) -> Result<Vec<u8>, u8> {
        let mode = Features::CIPHER_STATELESS_MODE;
        assert!(self.features.contains(mode), "a stateless request");
        assert_eq!(self.u64(8), 0, "no session");
        assert_eq!(self.u32(96), 1, "a cipher alone");
        let lens = [28, 36, 40].map(|at| self.usize(at));
        let [key, iv, source] = self.parts(self.data_head_len(), lens);
        assert_eq!(self.usize(44), source.len(), "destination length");
        let cipher = Cipher::new(self.u32(24), self.u32(32), key);
        assert_eq!(cipher.encrypt, self.opcode() == 0, "opcode and direction");
        cipher.transform(self, iv, source)
    }
}

impl Session {
    /// Returns the opcode that has to end it.
    pub(super) fn destroy_opcode(&self) -> u32 {
        match self {
            Self::Cipher(_) => 0x003,
            Self::Other(opcode) => *opcode,
        }
    }

    /// Computes what a data request of this session asks for: what goes before the status.
    pub(super) fn serve(&self, request: Request<'_>) -> Result<Vec<u8>, u8> {
        let Self::Cipher(cipher) = self else {
            return Err(NOT_SUPPORTED);
        };
        assert_eq!(request.u32(4), cipher.algorithm, "the header's algorithm");
        // Said in session mode too, where a device goes by it.
        assert_eq!(request.u32(16), 1, "the flag of session mode");
        let lens = [24, 28].map(|at| request.usize(at));
        let [iv, source] = request.parts(request.data_head_len(), lens);
        assert_eq!(request.usize(32), source.len(), "destination length");
        cipher.transform(&request, iv, source)
    }
}

impl Cipher {
    fn new(algorithm: u32, direction: u32, key: &[u8]) -> Self {
        let encrypt = match direction {
            1 => true,
            2 => false,
            other => panic!("direction {other}"),
        };
        Self {
            algorithm,
            key: key.to_vec(),
            encrypt,
        }
    }

    /// Encrypts or decrypts `source`. What it does not compute it answers with the bytes reversed.
    fn transform(&self, request: &Request<'_>, iv: &[u8], source: &[u8]) -> Result<Vec<u8>, u8> {
        let len = source.len();
        assert_eq!(request.writable_bytes, len + 1, "room for the answer");
        let mut data = source.to_vec();
        if self.algorithm != CipherAlgorithm::AesCbc as u32 {
            data.reverse();
            return Ok(data);
        }
        if !len.is_multiple_of(16) {
            return Err(ERROR);
        }
        macro_rules! with {
            ($aes:ty) => {
                if self.encrypt {
                    let mode = cbc::Encryptor::<$aes>::new_from_slices(&self.key, iv).unwrap();
                    mode.encrypt_padded::<NoPadding>(&mut data, len).unwrap();
                } else {
                    let mode = cbc::Decryptor::<$aes>::new_from_slices(&self.key, iv).unwrap();
                    mode.decrypt_padded::<NoPadding>(&mut data).unwrap();
                }
            };
        }
        match self.key.len() {
            16 => with!(Aes128),
            24 => with!(Aes192),
            _ => with!(Aes256),
        }
        Ok(data)
    }
}
