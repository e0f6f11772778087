//! TLS by `rustls`, without an operating system, and with a signature that is awaited.
//!
//! | file | what it does |
//! |---|---|
//! | `connection`, `room` | one connection: bytes in, bytes out, a signature asked for and given |
//! | `server` | what the server offers; the seats that connections take |
//! | `recorder` | what a first flight is made of, so that it can be made a second time |
//! | `signing`, `pss` | which schemes the certificate's key serves, and what each computes |
//! | `identity` | the certificate and its key, as files hold them |
//! | `software` | the same signatures without a device |
//! | `trial` | whether somebody can sign |
//! | `tickets` | clients that come back |
//! | `exchange`, `hash`, `records` | what rustls computes with: RustCrypto's primitives |

mod connection;
mod exchange;
mod hash;
mod identity;
mod pss;
mod recorder;
mod records;
mod room;
mod server;
mod signing;
mod software;
#[cfg(test)]
mod tests;
mod tickets;
mod trial;

pub use self::{
    connection::{Connection, Failure, MAX_HELLO_LEN, MAX_INCOMING_LEN, MAX_PLAIN_LEN, Wants},
    identity::{Fault, Identity, KeyKind, PrivateKey, read_identity},
    pss::MIN_MODULUS_BITS,
    server::{Seat, Server, Sources},
    signing::{Abilities, ToSign},
    software::SoftwareKey,
    trial::Trial,
};
