//! The hashes that headers name.

use alloc::borrow::ToOwned;

use pbkdf2::pbkdf2_hmac;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};

use crate::error::Refusal;

/// Most bytes of a digest.
pub const MAX_LEN: usize = 64;

/// A hash of a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Hash {
    /// SHA-1, the default of old LUKS1 containers.
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA-512.
    Sha512,
}

impl Hash {
    /// Returns the hash of a name in a header.
    ///
    /// # Errors
    ///
    /// [`Refusal::Unsupported`].
    pub fn by_name(name: &str) -> Result<Self, Refusal> {
        match name {
            "sha1" => Ok(Self::Sha1),
            "sha256" => Ok(Self::Sha256),
            "sha512" => Ok(Self::Sha512),
            _ => Err(Refusal::Unsupported {
                what: "hash",
                name: name.to_owned(),
            }),
        }
    }

    /// Returns its name in headers.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
        }
    }

    /// Returns how many bytes its digests have.
    pub fn len_bytes(self) -> usize {
        match self {
            Self::Sha1 => 20,
            Self::Sha256 => 32,
            Self::Sha512 => MAX_LEN,
        }
    }

    /// Writes the digest of what `parts` are together to the start of `out`.
    pub fn digest(self, parts: &[&[u8]], out: &mut [u8; MAX_LEN]) {
        fn write<D: Digest>(parts: &[&[u8]], out: &mut [u8]) {
            let mut hash = D::new();
            parts.iter().for_each(|part| hash.update(part));
            let digest = hash.finalize();
            out.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
        }
        match self {
            Self::Sha1 => write::<Sha1>(parts, out),
            Self::Sha256 => write::<Sha256>(parts, out),
            Self::Sha512 => write::<Sha512>(parts, out),
        }
    }

    /// Fills `out` by PBKDF2 with HMAC (RFC 8018, 5.2).
    pub fn pbkdf2(self, password: &[u8], salt: &[u8], iterations: u32, out: &mut [u8]) {
        match self {
            Self::Sha1 => pbkdf2_hmac::<Sha1>(password, salt, iterations, out),
            Self::Sha256 => pbkdf2_hmac::<Sha256>(password, salt, iterations, out),
            Self::Sha512 => pbkdf2_hmac::<Sha512>(password, salt, iterations, out),
        }
    }
}
