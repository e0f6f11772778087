//! Headers (5.9.7.2, 5.9.7.3) and what the features say about the form of what follows them.

use crate::{
    feature,
    wire::{algorithm::Service, reader::Reader, status::Refusal},
};

/// `VIRTIO_CRYPTO_FLAG_SESSION_MODE`.
const SESSION_MODE: u32 = 1;

/// How long fixed-length parameters are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Always that of the longest: REVISION_1 was not negotiated.
    Padded,
    /// As long as their structure: REVISION_1 was negotiated.
    Exact,
}

impl Form {
    /// What the negotiated features say.
    pub fn of(features: u64) -> Self {
        if features & feature::REVISION_1 == 0 {
            Self::Padded
        } else {
            Self::Exact
        }
    }

    /// Reads fixed-length parameters, which are padded to `padded_bytes` or are not.
    pub fn fixed<'a, T>(
        self,
        reader: &mut Reader<'a>,
        padded_bytes: usize,
        parse: impl FnOnce(&mut Reader<'a>) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let parsed = match self {
            Self::Padded => {
                let mut area = reader.area(padded_bytes)?;
                let parsed = parse(&mut area)?;
                area.end_area()?;
                parsed
            }
            Self::Exact => parse(reader)?,
        };
        reader.end_head();
        Ok(parsed)
    }
}

/// `struct virtio_crypto_ctrl_header`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ControlHeader {
    /// Service and operation.
    pub opcode: u32,
    /// The algorithm of the service. It is in the parameters as well, which are what counts.
    pub algo: u32,
    /// No meaning is given to it.
    pub flag: u32,
    /// Zero.
    pub reserved: u32,
}

impl ControlHeader {
    /// Reads it.
    pub fn read(reader: &mut Reader<'_>) -> Result<Self, Refusal> {
        Ok(Self {
            opcode: reader.le32()?,
            algo: reader.le32()?,
            flag: reader.le32()?,
            reserved: reader.le32()?,
        })
    }

    /// Returns what is to be done to a session of which service.
    pub fn operation(&self) -> Option<(Service, ControlOperation)> {
        let service = Service::of(self.opcode >> 8)?;
        let (create, destroy) = match service {
            Service::Akcipher => (0x04, 0x05),
            _ => (0x02, 0x03),
        };
        match self.opcode & 0xff {
            operation if operation == create => Some((service, ControlOperation::Create)),
            operation if operation == destroy => Some((service, ControlOperation::Destroy)),
            _ => None,
        }
    }
}

/// What a control request does to a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ControlOperation {
    /// Makes one.
    Create,
    /// Ends one.
    Destroy,
}

/// `struct virtio_crypto_op_header`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataHeader {
    /// Service and operation.
    pub opcode: u32,
    /// The algorithm of the service. A session has its own, and stateless parameters have too.
    pub algo: u32,
    /// In session mode, which.
    pub session_id: u64,
    /// Session mode or not, if REVISION_1 was negotiated.
    pub flag: u32,
    /// Nothing.
    pub padding: u32,
}

impl DataHeader {
    /// Reads it.
    pub fn read(reader: &mut Reader<'_>) -> Result<Self, Refusal> {
        Ok(Self {
            opcode: reader.le32()?,
            algo: reader.le32()?,
            session_id: reader.le64()?,
            flag: reader.le32()?,
            padding: reader.le32()?,
        })
    }

    /// Returns what is to be computed.
    pub fn operation(&self) -> Option<Operation> {
        Some(match (Service::of(self.opcode >> 8)?, self.opcode & 0xff) {
            (Service::Cipher, 0x00) => Operation::Cipher(Direction::Encrypt),
            (Service::Cipher, 0x01) => Operation::Cipher(Direction::Decrypt),
            (Service::Hash, 0x00) => Operation::Hash,
            (Service::Mac, 0x00) => Operation::Mac,
            (Service::Aead, 0x00) => Operation::Aead(Direction::Encrypt),
            (Service::Aead, 0x01) => Operation::Aead(Direction::Decrypt),
            (Service::Akcipher, 0x00) => Operation::Akcipher(KeyOperation::Encrypt),
            (Service::Akcipher, 0x01) => Operation::Akcipher(KeyOperation::Decrypt),
            (Service::Akcipher, 0x02) => Operation::Akcipher(KeyOperation::Sign),
            (Service::Akcipher, 0x03) => Operation::Akcipher(KeyOperation::Verify),
            _ => return None,
        })
    }

    /// Returns in which mode the request is. Without REVISION_1 the flag is ignored.
    pub fn mode(&self, form: Form) -> Mode {
        if form == Form::Exact && self.flag & SESSION_MODE == 0 {
            Mode::Stateless
        } else {
            Mode::Session
        }
    }
}

/// Where the parameters of a data request are.
///
/// In 5.9.7.3 the layout of a request depends on whether the stateless mode of its service was
/// negotiated, in the sections of the services on the flag of each request. The flag is followed
/// here: without a stateless layout, a request of a session would have nowhere to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// In its session.
    Session,
    /// In the request.
    Stateless,
}

/// What a data request computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// A cipher, or a chain of a cipher and a hash.
    Cipher(Direction),
    /// A digest.
    Hash,
    /// A message authentication code.
    Mac,
    /// Authenticated encryption or decryption.
    Aead(Direction),
    /// What keys do.
    Akcipher(KeyOperation),
}

impl Operation {
    /// Returns the service that computes it.
    pub fn service(self) -> Service {
        match self {
            Self::Cipher(_) => Service::Cipher,
            Self::Hash => Service::Hash,
            Self::Mac => Service::Mac,
            Self::Aead(_) => Service::Aead,
            Self::Akcipher(_) => Service::Akcipher,
        }
    }
}

/// `VIRTIO_CRYPTO_OP_*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Encryption (1).
    Encrypt,
    /// Decryption (2).
    Decrypt,
}

impl Direction {
    /// Finds a direction by its number.
    pub fn of(number: u32) -> Result<Self, Refusal> {
        match number {
            1 => Ok(Self::Encrypt),
            2 => Ok(Self::Decrypt),
            _ => Err(Refusal::not_supported("op is neither encrypt nor decrypt")),
        }
    }
}

/// What AKCIPHER does with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyOperation {
    /// Encryption by a public key.
    Encrypt,
    /// Decryption by a private key.
    Decrypt,
    /// A signature by a private key.
    Sign,
    /// Its verification by a public key.
    Verify,
}

/// Returns the feature that a stateless request of a service needs.
pub fn stateless_mode(service: Service) -> u64 {
    match service {
        Service::Cipher => feature::CIPHER_STATELESS,
        Service::Hash => feature::HASH_STATELESS,
        Service::Mac => feature::MAC_STATELESS,
        Service::Aead => feature::AEAD_STATELESS,
        Service::Akcipher => feature::AKCIPHER_STATELESS,
    }
}
