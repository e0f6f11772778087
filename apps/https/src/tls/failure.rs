//! Why a connection ends before its time.

use core::fmt;

use rustls::Error;

/// Most bytes of a client before the server has answered with its certificate: hellos of browsers
/// have one to two thousand.
pub const MAX_HELLO_LEN: usize = 16 * 1024;

/// Why a connection ends.
#[derive(Clone, Debug, PartialEq)]
pub enum Failure {
    /// What the client sends is no TLS, none that this server speaks, or damaged.
    Tls(Error),
    /// The client sends more than fits before it says what it wants.
    TooLong,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tls(error) => error.fmt(f),
            Self::TooLong => write!(f, "a hello of more than {MAX_HELLO_LEN} bytes"),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Tls(error)
    }
}
