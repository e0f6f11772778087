//! TLS by `rustls`, without an operating system, and with a signature that is awaited.
//!
//! | file | what it does |
//! |---|---|
//! | `connection`, `room`, `failure` | one connection: bytes and signatures, in and out |
//! | `server` | what the server offers; the seats that connections take |
//! | `recorder` | what a first flight is made of, so that it can be made a second time |
//! | `signing`, `pss`, `to_sign` | what the key can sign, and what that takes |
//! | `identity` | the certificate and its key, as files hold them |
//! | `software` | the same signatures without a device |
//! | `trial` | whether somebody can sign |
//! | `tickets` | clients that come back |
//! | `exchange`, `curves`, `hash`, `records` | what rustls computes with: RustCrypto's primitives |

mod connection;
mod curves;
mod exchange;
mod failure;
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
mod to_sign;
mod trial;

pub use self::{
    connection::{Connection, MAX_INCOMING_LEN, MAX_PLAIN_LEN, Wants},
    failure::{Failure, MAX_HELLO_LEN},
    identity::{Fault, Identity, KeyKind, PrivateKey, read_identity},
    pss::MIN_MODULUS_BITS,
    server::{Seat, Server, Sources},
    signing::Abilities,
    software::SoftwareKey,
    to_sign::ToSign,
    trial::Trial,
};
