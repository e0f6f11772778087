//! What is computed, by RustCrypto.
//!
//! For the engine, which brings parsed requests. The one rule: whatever the parameters and lengths
//! are, there is a result or a refusal; what a driver should not have sent is `ERR`, what this
//! device does not have is `NOTSUPP`.

mod cipher;

use cipher::Cipher;

use crate::wire::{
    algorithm::Service, data::Input, header::Operation, parameters::Parameters, status::Refusal,
};

/// A session: parameters that can be used.
#[derive(Debug)]
pub enum Session {
    /// A cipher alone.
    Cipher(Cipher),
}

impl Session {
    /// Makes one.
    pub fn new(parameters: &Parameters<'_>) -> Result<Self, Refusal> {
        match parameters {
            Parameters::Cipher(parameters) => Cipher::new(parameters).map(Self::Cipher),
            _ => Err(Refusal::not_supported("no such service")),
        }
    }

    /// Returns the service that it is of.
    pub fn service(&self) -> Service {
        match self {
            Self::Cipher(_) => Service::Cipher,
        }
    }

    /// Computes what goes before the status.
    pub fn compute(&self, operation: Operation, input: &Input<'_>) -> Result<Vec<u8>, Refusal> {
        match (self, operation, input) {
            (Self::Cipher(cipher), Operation::Cipher(direction), Input::Cipher(input)) => {
                cipher.compute(direction, input)
            }
            _ => Err(Refusal::error("the session does something else")),
        }
    }
}
