//! Room for what rustls writes: it writes into slices, and says what it needs where one is short.

use alloc::vec::Vec;

use rustls::{
    Error,
    unbuffered::{EncodeError, EncryptError, InsufficientSizeError},
};

use super::failure::Failure;

/// Why there was no room, or something worse.
pub enum Refused {
    /// So many bytes are needed.
    Room(usize),
    /// No room would help.
    Error(Error),
}

/// Reads an error of encoding.
pub fn of_encoding(error: EncodeError) -> Refused {
    match error {
        EncodeError::InsufficientSize(InsufficientSizeError { required_size }) => {
            Refused::Room(required_size)
        }
        EncodeError::AlreadyEncoded => Refused::Error(Error::General("encoded twice".into())),
    }
}

/// Reads an error of encryption.
pub fn of_encryption(error: EncryptError) -> Refused {
    match error {
        EncryptError::InsufficientSize(InsufficientSizeError { required_size }) => {
            Refused::Room(required_size)
        }
        EncryptError::EncryptExhausted => Refused::Error(Error::EncryptError),
    }
}

/// Appends what `make` makes, in room that is first a guess and then what it asks for.
///
/// # Errors
///
/// [`Failure`]; nothing is appended then.
pub fn append(
    outgoing: &mut Vec<u8>,
    guess_bytes: usize,
    mut make: impl FnMut(&mut [u8]) -> Result<usize, Refused>,
) -> Result<(), Failure> {
    let at = outgoing.len();
    let mut room_bytes = guess_bytes;
    loop {
        outgoing.resize(at + room_bytes, 0);
        let made = make(&mut outgoing[at..]);
        match made {
            Ok(len_bytes) => {
                outgoing.truncate(at + len_bytes);
                return Ok(());
            }
            Err(Refused::Room(needed_bytes)) if needed_bytes > room_bytes => {
                room_bytes = needed_bytes;
            }
            Err(Refused::Room(_)) => {
                outgoing.truncate(at);
                return Err(Error::EncryptError.into());
            }
            Err(Refused::Error(error)) => {
                outgoing.truncate(at);
                return Err(error.into());
            }
        }
    }
}
