//! Every service: sessions of it, requests in every form, and what has to come of them.
//!
//! For the targets, which say when what is called. The one rule: a key and a plaintext are secrets
//! that are known wherever they are left.

mod expected;
mod opened;
mod public;
mod request;
mod send;
mod spec;

pub(crate) use self::{
    opened::Opened,
    request::Request,
    send::{Buffer, Reply},
    spec::Spec,
};
