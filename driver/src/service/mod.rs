//! What a user calls: one room for each service of the device (Virtio 1.3, 5.9).

pub(crate) mod aead;
pub(crate) mod akcipher;
pub(crate) mod cache;
pub(crate) mod chain;
pub(crate) mod cipher;
mod data;
pub(crate) mod hash;
pub(crate) mod mac;
pub mod role;
