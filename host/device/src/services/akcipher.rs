//! The AKCIPHER service (5.9.7.8).

use crate::{
    services::{ecdsa::Ecdsa, refusals::BAD_KEY, rsa::Rsa},
    wire::{
        data::AkcipherInput, header::KeyOperation, parameters::AkcipherParameters, status::Refusal,
    },
};

/// Most bytes of a key. A private one of 16384 bits has fewer; the time that it takes to find that
/// the numbers in a key do not belong together grows with the square of its length.
const MOST_KEY_BYTES: usize = 1 << 14;

/// A key of RSA or ECDSA.
#[derive(Debug)]
pub enum Akcipher {
    /// Of RSA.
    Rsa(Rsa),
    /// Of ECDSA.
    Ecdsa(Ecdsa),
}

impl Akcipher {
    /// Takes a key.
    ///
    /// ECDSA is 2 in 5.9.4.5. The headers of Linux and QEMU have DSA there and ECDSA as 3, so 3 can
    /// be offered too.
    pub fn new(parameters: &AkcipherParameters<'_>) -> Result<Self, Refusal> {
        if parameters.key.0.len() > MOST_KEY_BYTES {
            return Err(BAD_KEY);
        }
        match parameters.algo {
            1 => Rsa::new(parameters).map(Self::Rsa),
            2 | 3 => Ecdsa::new(parameters).map(Self::Ecdsa),
            _ => Err(Refusal::not_supported("no such algorithm of AKCIPHER")),
        }
    }

    /// Answers a request. A result may be shorter than the destination.
    pub fn compute(
        &self,
        operation: KeyOperation,
        input: &AkcipherInput<'_>,
    ) -> Result<Vec<u8>, Refusal> {
        let result = match self {
            Self::Rsa(rsa) => rsa.compute(operation, input)?,
            Self::Ecdsa(ecdsa) => ecdsa.compute(operation, input)?,
        };
        if result.len() > input.destination_len as usize {
            return Err(Refusal::error("the destination has no room for the result"));
        }
        Ok(result)
    }
}
