//! What is computed, by RustCrypto.
//!
//! For the engine, which brings parsed requests. The one rule: whatever the parameters and lengths
//! are, there is a result or a refusal; what a driver should not have sent is `ERR`, what this
//! device does not have is `NOTSUPP`.

mod aead;
mod aes_key;
mod akcipher;
mod chain;
mod cipher;
mod ecdsa;
mod hash;
mod mac;
pub mod refusals;
mod rsa;
#[cfg(test)]
mod tests;

use crate::wire::{
    algorithm::Service, data::Input, header::Operation, parameters::Parameters, status::Refusal,
};
use aead::Aead;
use akcipher::Akcipher;
use chain::Chain;
pub use chain::HashMode;
use cipher::Cipher;
use hash::Hash;
use mac::Mac;

/// A session: parameters that can be used.
#[derive(Debug)]
pub struct Session(Kind);

/// What a session computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionKind {
    /// A cipher alone.
    Cipher,
    /// A cipher and a hash.
    Chain(HashMode),
    /// A hash.
    Hash,
    /// A message authentication code.
    Mac,
    /// Authenticated encryption.
    Aead,
    /// RSA.
    Rsa,
    /// ECDSA.
    Ecdsa,
}

#[derive(Debug)]
enum Kind {
    Cipher(Cipher),
    Chain(Chain),
    Hash(Hash),
    Mac(Mac),
    Aead(Box<Aead>),
    Akcipher(Akcipher),
}

impl Session {
    /// Makes one.
    ///
    /// # Errors
    ///
    /// Fails if an algorithm is not there, or if a key or a length is not of the algorithm.
    pub fn new(parameters: &Parameters<'_>) -> Result<Self, Refusal> {
        let kind = match parameters {
            Parameters::Cipher(parameters) => Kind::Cipher(Cipher::new(parameters)?),
            Parameters::Chain(parameters) => Kind::Chain(Chain::new(parameters)?),
            Parameters::Hash(parameters) => Kind::Hash(Hash::new(parameters)?),
            Parameters::Mac(parameters) => Kind::Mac(Mac::new(parameters)?),
            Parameters::Aead(parameters) => Kind::Aead(Box::new(Aead::new(parameters)?)),
            Parameters::Akcipher(parameters) => Kind::Akcipher(Akcipher::new(parameters)?),
        };
        Ok(Self(kind))
    }

    /// Returns the service that it is of.
    pub fn service(&self) -> Service {
        match self.0 {
            Kind::Cipher(_) | Kind::Chain(_) => Service::Cipher,
            Kind::Hash(_) => Service::Hash,
            Kind::Mac(_) => Service::Mac,
            Kind::Aead(_) => Service::Aead,
            Kind::Akcipher(_) => Service::Akcipher,
        }
    }

    /// Returns what it computes.
    pub fn kind(&self) -> SessionKind {
        match &self.0 {
            Kind::Cipher(_) => SessionKind::Cipher,
            Kind::Chain(chain) => SessionKind::Chain(chain.hash_mode()),
            Kind::Hash(_) => SessionKind::Hash,
            Kind::Mac(_) => SessionKind::Mac,
            Kind::Aead(_) => SessionKind::Aead,
            Kind::Akcipher(Akcipher::Rsa(_)) => SessionKind::Rsa,
            Kind::Akcipher(Akcipher::Ecdsa(_)) => SessionKind::Ecdsa,
        }
    }

    /// Computes what goes before the status.
    ///
    /// # Errors
    ///
    /// Fails if the request is not of this session, or contradicts it or itself.
    pub fn compute(&self, operation: Operation, input: &Input<'_>) -> Result<Vec<u8>, Refusal> {
        match (&self.0, operation, input) {
            (Kind::Cipher(cipher), Operation::Cipher(direction), Input::Cipher(input)) => {
                cipher.compute(direction, input)
            }
            (Kind::Chain(chain), Operation::Cipher(direction), Input::Chain(input)) => {
                chain.compute(direction, input)
            }
            (Kind::Hash(hash), Operation::Hash, Input::Hash(input)) => hash.compute(input),
            (Kind::Mac(mac), Operation::Mac, Input::Hash(input)) => mac.compute(input),
            (Kind::Aead(aead), Operation::Aead(direction), Input::Aead(input)) => {
                aead.compute(direction, input)
            }
            (Kind::Akcipher(akcipher), Operation::Akcipher(operation), Input::Akcipher(input)) => {
                akcipher.compute(operation, input)
            }
            _ => Err(Refusal::error("the session does something else")),
        }
    }
}
