//! What a user calls: one room for each service of the device (Virtio 1.3, 5.9).
//!
//! A service turns a call into a request. It checks the lengths, encodes the head, names the parts
//! in their order, and gives the data back with the outcome. The rule: a service says what to send
//! and never how. Slots, rings and the lock are the business of `request/` and `queue/`.
//!
//! | room       | what it offers                                                       |
//! | ---------- | -------------------------------------------------------------------- |
//! | `cipher/`  | CIPHER: data of any length, units of a disk, streams, batches        |
//! | `hash`     | HASH                                                                 |
//! | `mac`      | MAC: tags, made and checked                                          |
//! | `aead/`    | AEAD: encryption and decryption                                      |
//! | `chain/`   | a cipher and a hash or MAC in one request                            |
//! | `akcipher/`| AKCIPHER: RSA and ECDSA                                              |
//! | `cache`    | cipher sessions kept open by key                                     |
//! | `data`     | one buffer, a list of buffers or a slice: the forms of every call    |
//! | `role`     | what a session is for, as a type                                     |
//!
//! # What a service consists of
//!
//! `hash` is the pattern. The other files of a new service are listed in `docs/ARCHITECTURE.md`,
//! "How to add a service".
//!
//! 1. The type. It holds a `Mode` and the lengths that were chosen. `open` checks them and creates
//!    a `Session`; `stateless` keeps the key, under the service's `StatelessFeature`; `close` and
//!    `max_len_bytes` ask the mode.
//! 2. The message. One function checks the lengths of a request, against the algorithm and against
//!    the device's limits, and returns a `Message`: the head, what goes before the data, what goes
//!    behind it, and where the result goes.
//! 3. The calls. One generic `send` takes data in any form (`data::Data`), sends the message and
//!    gives the data back with the outcome. Each public call is one line over it:
//!    `Held::read_only` or `Held::in_place` for buffers and lists, `Payload` for slices.

pub(crate) mod aead;
pub(crate) mod akcipher;
pub(crate) mod cache;
pub(crate) mod chain;
pub(crate) mod cipher;
mod data;
pub(crate) mod hash;
pub(crate) mod mac;
pub mod role;
