//! What the device computes: one file a service, each with real cryptography by other hands.
//!
//! What a driver must never send is asserted here; what it may send and a device refuses is a
//! status.

mod aead;
pub(super) mod akcipher;
mod chain;
mod cipher;
pub(super) mod hash;
pub(super) mod mac;

pub(crate) use self::cipher::oracle as cipher_oracle;

use alloc::vec::Vec;

use crate::wire::Features;

pub(super) const OK: u8 = 0;
pub(super) const ERROR: u8 = 1;
const BAD_MESSAGE: u8 = 2;
pub(super) const NOT_SUPPORTED: u8 = 3;
pub(super) const INVALID_SESSION: u8 = 4;
pub(super) const NO_SPACE: u8 = 5;

/// Bytes of header and fixed-length fields without REVISION_1.
const PADDED_LEN: usize = 72;

/// A session of the device.
#[derive(Clone, Debug)]
pub(super) enum Session {
    Akcipher(akcipher::Session),
    Cipher(cipher::Session),
    Hash(hash::Session),
    Mac(mac::Session),
    Aead(aead::Session),
    Chain(chain::Session),
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

    /// Returns what follows header and fixed-length fields.
    fn variable(&self) -> &'a [u8] {
        let head_len = self.head_len();
        assert!(
            self.bytes.len() >= head_len,
            "a header of {} bytes",
            self.bytes.len()
        );
        &self.bytes[head_len..]
    }

    /// Splits what follows header and fixed-length fields into parts of these lengths, and nothing
    /// more.
    fn parts<const N: usize>(&self, lens: [usize; N]) -> [&'a [u8]; N] {
        let mut rest = self.variable();
        let parts = lens.map(|len| {
            let (part, behind) = rest.split_at(len);
            rest = behind;
            part
        });
        assert!(rest.is_empty(), "{} bytes too many", rest.len());
        parts
    }

    /// Returns the lengths of the fields that are read and of those that are written.
    pub(super) fn fields(&self, is_control: bool) -> [Vec<usize>; 2] {
        let lens = |places: &[usize]| places.iter().map(|at| self.usize(*at)).collect::<Vec<_>>();
        let (service, operation) = (self.opcode() >> 8, self.opcode() & 0xff);
        let is_verify = service == 4 && operation == 3;
        let (mut readable, mut writable) = if is_control {
            let keys = match service {
                _ if operation & 1 == 1 => lens(&[]),
                0 if self.u32(64) == 2 => lens(&[28, 48]),
                0 | 3 => lens(&[20]),
                2 | 4 => lens(&[24]),
                _ => lens(&[]),
            };
            (keys, Vec::new())
        } else if self.is_stateless() {
            match service {
                0 if self.u32(96) == 2 => {
                    // Both keys are one field here.
                    let mut readable = lens(&[56, 84, 60]);
                    readable.insert(0, self.usize(36) + self.usize(48));
                    (readable, lens(&[64, 88]))
                }
                0 => (lens(&[28, 36, 40]), lens(&[44])),
                1 => (lens(&[28]), lens(&[32])),
                2 => (lens(&[28, 32]), lens(&[36])),
                3 => (lens(&[28, 36, 48, 44]), lens(&[52])),
                _ if is_verify => (lens(&[32, 44, 48]), lens(&[])),
                _ => (lens(&[32, 44]), lens(&[48])),
            }
        } else {
            match service {
                0 if self.u32(64) == 2 => (lens(&[24, 28, 52]), lens(&[32, 56])),
                0 => (lens(&[24, 28]), lens(&[32])),
                1 | 2 => (lens(&[24]), lens(&[28])),
                3 => (lens(&[24, 32, 28]), lens(&[36])),
                _ if is_verify => (lens(&[24, 28]), lens(&[])),
                _ => (lens(&[24]), lens(&[28])),
            }
        };
        readable.insert(0, self.head_len());
        // The status, or all of the answer to a control request.
        writable.push(1);
        [readable, writable]
    }

    /// Checks the room for an answer of so many bytes and the status.
    fn check_room(&self, len: usize) {
        assert_eq!(self.writable_bytes, len + 1, "room for the answer");
    }

    fn is_control(&self) -> bool {
        let (service, operation) = (self.opcode() >> 8, self.opcode() & 0xff);
        operation >= if service == 4 { 4 } else { 2 }
    }

    /// Tells whether a data request brings its own parameters. Without REVISION_1 the flag says
    /// nothing.
    pub(super) fn is_stateless(&self) -> bool {
        self.features.contains(Features::REVISION_1) && self.u32(16) & 1 == 0
    }

    /// Returns the bytes of header and fixed-length fields (Virtio 1.3, 5.9.7.2 and 5.9.7.3).
    fn head_len(&self) -> usize {
        let (service, is_destroy) = (self.opcode() >> 8, self.opcode() & 1 == 1);
        let exact = self.features.contains(Features::REVISION_1);
        if self.is_control() {
            return match (exact, service, is_destroy) {
                (false, ..) => PADDED_LEN,
                (true, _, true) => 16 + 8,
                (true, 0 | 4, false) => 16 + 56,
                (true, 1, false) => 16 + 8,
                (true, 2, false) => 16 + 16,
                (true, _, false) => 16 + 24,
            };
        }
        match (exact, self.is_stateless(), service) {
            (false, ..) => PADDED_LEN,
            (true, true, 0) => 24 + 76,
            (true, true, 1 | 2) => 24 + 16,
            (true, true, 3) => 24 + 32,
            (true, true, _) => 24 + 28,
            (true, false, 0) => 24 + 48,
            (true, false, 3) => 24 + 24,
            (true, false, _) => 24 + 8,
        }
    }
}

/// Tells whether a session or a request encrypts.
fn is_encrypting(number: u32) -> bool {
    match number {
        1 => true,
        2 => false,
        other => panic!("direction {other}"),
    }
}

/// Makes the session that a *create* asks for.
pub(super) fn create(request: Request<'_>) -> Result<Session, u8> {
    match request.opcode() {
        0x002 if request.u32(64) == 2 => chain::Session::create(request).map(Session::Chain),
        0x002 => cipher::Session::create(request).map(Session::Cipher),
        0x102 => hash::Session::create(request).map(Session::Hash),
        0x202 => mac::Session::create(request).map(Session::Mac),
        0x302 => aead::Session::create(request).map(Session::Aead),
        0x404 => akcipher::Session::create(request).map(Session::Akcipher),
        other => panic!("control opcode {other:#x}"),
    }
}

impl Session {
    /// Returns the opcode that has to end it.
    pub(super) fn destroy_opcode(&self) -> u32 {
        match self {
            Self::Cipher(_) | Self::Chain(_) => 0x003,
            Self::Hash(_) => 0x103,
            Self::Mac(_) => 0x203,
            Self::Aead(_) => 0x303,
            Self::Akcipher(_) => 0x405,
        }
    }

    /// Tells whether the source of a cipher request ends within a block.
    pub(super) fn ends_in_a_block(&self, request: Request<'_>) -> bool {
        match self {
            Self::Cipher(session) => session.ends_in_a_block(request),
            _ => false,
        }
    }

    /// Returns the number of its algorithm; of a chain, that of its cipher.
    fn algorithm(&self) -> u32 {
        match self {
            Self::Akcipher(session) => session.algorithm(),
            Self::Cipher(session) => session.algorithm(),
            Self::Hash(session) => session.algorithm(),
            Self::Mac(session) => session.algorithm(),
            Self::Aead(session) => session.algorithm(),
            Self::Chain(session) => session.algorithm(),
        }
    }

    /// Computes what a data request of this session asks for: what goes before the status.
    pub(super) fn serve(&self, request: Request<'_>) -> Result<Vec<u8>, u8> {
        assert_eq!(request.u32(4), self.algorithm(), "the header's algorithm");
        // Said in session mode too, where a device goes by it.
        assert_eq!(request.u32(16), 1, "the flag of session mode");
        match self {
            Self::Akcipher(session) => session.serve(request),
            Self::Cipher(session) => session.serve(request),
            Self::Hash(session) => session.serve(request),
            Self::Mac(session) => session.serve(request),
            Self::Aead(session) => session.serve(request),
            Self::Chain(session) => session.serve(request),
        }
    }
}

/// Computes what a request without a session asks for.
pub(super) fn serve_stateless(request: Request<'_>) -> Result<Vec<u8>, u8> {
    let (service, mode) = match request.opcode() >> 8 {
        0 => ("CIPHER", Features::CIPHER_STATELESS_MODE),
        1 => ("HASH", Features::HASH_STATELESS_MODE),
        2 => ("MAC", Features::MAC_STATELESS_MODE),
        3 => ("AEAD", Features::AEAD_STATELESS_MODE),
        4 => ("AKCIPHER", Features::AKCIPHER_STATELESS_MODE),
        other => panic!("service {other}"),
    };
    assert!(
        request.features.contains(mode),
        "a stateless request of {service}"
    );
    assert_eq!(request.u64(8), 0, "no session");
    match request.opcode() {
        0x000 | 0x001 if request.u32(96) == 2 => chain::serve_stateless(request),
        0x000 | 0x001 => cipher::serve_stateless(request),
        0x100 => hash::serve_stateless(request),
        0x200 => mac::serve_stateless(request),
        0x300 | 0x301 => aead::serve_stateless(request),
        0x400..=0x403 => akcipher::serve_stateless(request),
        other => panic!("data opcode {other:#x}"),
    }
}

/// Returns the first byte of the source, for the log.
pub(super) fn first_source_byte(request: Request<'_>) -> u8 {
    let before = match request.opcode() >> 8 {
        0 | 3 => request.usize(24),
        _ => 0,
    };
    request.variable().get(before).copied().unwrap_or(0)
}
