//! The HASH service (5.9.7.4).

use sha1::{Digest, Sha1};
use sha2::{Sha224, Sha256, Sha384, Sha512};
use sha3::{Sha3_224, Sha3_256, Sha3_384, Sha3_512};
use shake::{ExtendableOutput, Shake128, Shake256, Update, XofReader};

use crate::wire::{
    algorithm::HashAlgorithm, data::HashInput, parameters::HashParameters, status::Refusal,
};

/// Most bytes of a result that has any length.
const MOST_RESULT_BYTES: usize = 1 << 26;

/// A hash, and how long its results are.
#[derive(Clone, Copy, Debug)]
pub struct Hash {
    algorithm: HashAlgorithm,
    result_bytes: usize,
}

impl Hash {
    /// Takes an algorithm and a length.
    ///
    /// Nothing says what a length would mean that is not the algorithm's. It is refused.
    pub fn new(parameters: &HashParameters) -> Result<Self, Refusal> {
        let algorithm =
            HashAlgorithm::of(parameters.algo).ok_or(Refusal::not_supported("no such hash"))?;
        let result_bytes = parameters.result_len as usize;
        let fits = match digest_bytes(algorithm) {
            Some(whole) => result_bytes == whole,
            None => (1..=MOST_RESULT_BYTES).contains(&result_bytes),
        };
        if !fits {
            return Err(Refusal::error(
                "hash_result_len is not that of the algorithm",
            ));
        }
        Ok(Self {
            algorithm,
            result_bytes,
        })
    }

    /// Answers a request.
    pub fn compute(&self, input: &HashInput<'_>) -> Result<Vec<u8>, Refusal> {
        check_result_len(input.result_len, self.result_bytes)?;
        Ok(self.digest(&[input.source]))
    }

    /// Returns the digest of the parts one after another.
    pub fn digest(&self, parts: &[&[u8]]) -> Vec<u8> {
        match self.algorithm {
            HashAlgorithm::Md5 => fixed::<md5::Md5>(parts),
            HashAlgorithm::Sha1 => fixed::<Sha1>(parts),
            HashAlgorithm::Sha224 => fixed::<Sha224>(parts),
            HashAlgorithm::Sha256 => fixed::<Sha256>(parts),
            HashAlgorithm::Sha384 => fixed::<Sha384>(parts),
            HashAlgorithm::Sha512 => fixed::<Sha512>(parts),
            HashAlgorithm::Sha3_224 => fixed::<Sha3_224>(parts),
            HashAlgorithm::Sha3_256 => fixed::<Sha3_256>(parts),
            HashAlgorithm::Sha3_384 => fixed::<Sha3_384>(parts),
            HashAlgorithm::Sha3_512 => fixed::<Sha3_512>(parts),
            HashAlgorithm::Shake128 => any_len::<Shake128>(parts, self.result_bytes),
            HashAlgorithm::Shake256 => any_len::<Shake256>(parts, self.result_bytes),
        }
    }

    /// Returns how long results are.
    pub fn result_bytes(&self) -> usize {
        self.result_bytes
    }
}

/// Checks that a request wants as long a result as its session gives.
pub fn check_result_len(result_len: u32, result_bytes: usize) -> Result<(), Refusal> {
    if result_len as usize == result_bytes {
        Ok(())
    } else {
        Err(Refusal::error("hash_result_len is not the session's"))
    }
}

fn digest_bytes(algorithm: HashAlgorithm) -> Option<usize> {
    match algorithm {
        HashAlgorithm::Md5 => Some(16),
        HashAlgorithm::Sha1 => Some(20),
        HashAlgorithm::Sha224 | HashAlgorithm::Sha3_224 => Some(28),
        HashAlgorithm::Sha256 | HashAlgorithm::Sha3_256 => Some(32),
        HashAlgorithm::Sha384 | HashAlgorithm::Sha3_384 => Some(48),
        HashAlgorithm::Sha512 | HashAlgorithm::Sha3_512 => Some(64),
        HashAlgorithm::Shake128 | HashAlgorithm::Shake256 => None,
    }
}

fn fixed<D: Digest>(parts: &[&[u8]]) -> Vec<u8> {
    let mut hash = D::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize().to_vec()
}

fn any_len<X: Default + Update + ExtendableOutput>(parts: &[&[u8]], len_bytes: usize) -> Vec<u8> {
    let mut hash = X::default();
    for part in parts {
        hash.update(part);
    }
    let mut result = vec![0; len_bytes];
    hash.finalize_xof().read(&mut result);
    result
}
