//! How a passphrase becomes the key of a key slot.
//!
//! The one rule: how long it takes and how much memory it asks for is the header's to say, so both
//! have bounds.

use alloc::vec::Vec;
use core::{fmt, ops::RangeInclusive};

use argon2::{Algorithm, Argon2, Block, Params, Version};
use zeroize::Zeroize;

use crate::{error::Refusal, fields::in_range, hash::Hash};

/// Bytes of a salt. Argon2 wants eight; a header has no room for many.
const SALT_LEN: RangeInclusive<u64> = 8..=1024;

/// How much a header may ask for.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Iterations of PBKDF2.
    pub iterations: u32,
    /// Argon2's memory.
    pub memory_kib: u32,
    /// Argon2's work: how much memory it goes through in all its passes.
    pub work_kib: u64,
    /// Argon2's lanes.
    pub lanes: u32,
}

/// What `cryptsetup` makes by itself on a fast machine: two seconds of PBKDF2, 1 GiB of Argon2.
impl Default for Limits {
    fn default() -> Self {
        Self {
            iterations: 1 << 24,
            memory_kib: 1 << 20,
            work_kib: 1 << 24,
            lanes: 16,
        }
    }
}

/// A key derivation, with numbers that are within the limits.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kdf {
    /// PBKDF2 with HMAC.
    #[non_exhaustive]
    Pbkdf2 {
        /// HMAC's hash.
        hash: Hash,
        /// How often it is iterated.
        iterations: u32,
        /// What is hashed beside the passphrase.
        salt: Vec<u8>,
    },
    /// Argon2 (RFC 9106), version 1.3.
    #[non_exhaustive]
    Argon2 {
        /// Whether it is Argon2id, and not Argon2i.
        is_hybrid: bool,
        /// How often it goes through its memory.
        passes: u32,
        /// How much memory that is.
        memory_kib: u32,
        /// In how many lanes.
        lanes: u32,
        /// What is hashed beside the passphrase.
        salt: Vec<u8>,
    },
}

impl Kdf {
    /// Checks the numbers of PBKDF2.
    pub(crate) fn pbkdf2(
        hash: Hash,
        iterations: u32,
        salt: Vec<u8>,
        limits: &Limits,
    ) -> Result<Self, Refusal> {
        Ok(Self::Pbkdf2 {
            hash,
            iterations: in_range("PBKDF2's iterations", iterations, 1..=limits.iterations)?,
            salt: checked_salt(salt)?,
        })
    }

    /// Checks the numbers of Argon2.
    pub(crate) fn argon2(
        is_hybrid: bool,
        [passes, memory_kib, lanes]: [u32; 3],
        salt: Vec<u8>,
        limits: &Limits,
    ) -> Result<Self, Refusal> {
        let lanes = in_range("Argon2's lanes", lanes, 1..=limits.lanes)?;
        let least_kib = lanes.saturating_mul(8);
        let field = "Argon2's memory in KiB";
        let memory_kib = in_range(field, memory_kib, least_kib..=limits.memory_kib)?;
        in_range("Argon2's passes", passes, 1..=u32::MAX)?;
        let work_kib = u64::from(passes) * u64::from(memory_kib);
        in_range("Argon2's work in KiB", work_kib, 1..=limits.work_kib)?;
        Ok(Self::Argon2 {
            is_hybrid,
            passes,
            memory_kib,
            lanes,
            salt: checked_salt(salt)?,
        })
    }

    /// Fills `key` with what becomes of `passphrase`.
    ///
    /// # Errors
    ///
    /// [`Refusal::OutOfMemory`].
    pub(crate) fn derive(&self, passphrase: &[u8], key: &mut [u8]) -> Result<(), Refusal> {
        match self {
            Self::Pbkdf2 {
                hash,
                iterations,
                salt,
            } => {
                hash.pbkdf2(passphrase, salt, *iterations, key);
                Ok(())
            }
            Self::Argon2 {
                is_hybrid,
                passes,
                memory_kib,
                lanes,
                salt,
            } => {
                let algorithm = match is_hybrid {
                    true => Algorithm::Argon2id,
                    false => Algorithm::Argon2i,
                };
                let refused = |_| Refusal::Damaged {
                    what: "numbers that Argon2 does not take",
                };
                let params = Params::new(*memory_kib, *passes, *lanes, Some(key.len()));
                let params = params.map_err(refused)?;
                let mut memory = Vec::new();
                let blocks = params.block_count();
                if memory.try_reserve_exact(blocks).is_err() {
                    return Err(Refusal::OutOfMemory {
                        what: "a key slot",
                        needed_kib: (*memory_kib).into(),
                    });
                }
                memory.resize(blocks, Block::default());
                let argon2 = Argon2::new(algorithm, Version::V0x13, params);
                let outcome =
                    argon2.hash_password_into_with_memory(passphrase, salt, key, &mut memory);
                memory.iter_mut().for_each(Zeroize::zeroize);
                outcome.map_err(refused)
            }
        }
    }
}

fn checked_salt(salt: Vec<u8>) -> Result<Vec<u8>, Refusal> {
    in_range("bytes of a salt", salt.len() as u64, SALT_LEN)?;
    Ok(salt)
}

/// As a line of a report: without the salt.
impl fmt::Display for Kdf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pbkdf2 {
                hash, iterations, ..
            } => write!(f, "pbkdf2-{} iterations={iterations}", hash.name()),
            Self::Argon2 {
                is_hybrid,
                passes,
                memory_kib,
                lanes,
                ..
            } => {
                let name = if *is_hybrid { "argon2id" } else { "argon2i" };
                write!(
                    f,
                    "{name} passes={passes} memory_kib={memory_kib} lanes={lanes}"
                )
            }
        }
    }
}

impl fmt::Debug for Kdf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
