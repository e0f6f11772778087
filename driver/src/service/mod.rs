//! What a user calls: one room for each service of the device (Virtio 1.3, 5.9).
//!
//! A service turns a call into a request. It checks the lengths, encodes the head, names the parts
//! in their order, and judges the result. The rule: a service says what to send and never how.
//! Slots, rings and the lock are the business of `request/` and `queue/`.
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
//! # How to add a service
//!
//! `hash` is the pattern: a service of its kind is one file here, and the bytes in `wire/`.
//!
//! 1. The bytes. Give the algorithm an enum with its lengths (`wire/algorithm.rs`) and a field of
//!    `Capabilities`, a session's parameters a variant of `SessionParameters` (`wire/control`),
//!    and the request a function (`wire/data`). A test beside each holds them to golden bytes.
//! 2. The type. It holds a `Mode` and the lengths that were chosen. `open` checks them and creates
//!    a `Session`; `stateless` keeps the key, under the service's `StatelessFeature`; `close` and
//!    `max_len_bytes` ask the mode.
//! 3. The message. One function checks the lengths of a request, against the algorithm and against
//!    the device's limits, and returns a `Message`: the head, what goes before the data, what goes
//!    behind it, and where the result goes.
//! 4. The calls. One generic `send` takes data in any form (`data::Data`), sends the message,
//!    judges the outcome and gives the data back. Each public call is one line over it:
//!    `Held::read_only` or `Held::in_place` for buffers and lists, `Payload` for slices.
//! 5. The proof. The type is named in `lib.rs`. The fake device computes the service in software
//!    (`fake/services/`), `prove/` asks for a known answer of the standard, and `tests/` holds the
//!    service to both, in every mode and form. `kernel/tests/services.rs` does so in QEMU.

pub(crate) mod aead;
pub(crate) mod akcipher;
pub(crate) mod cache;
pub(crate) mod chain;
pub(crate) mod cipher;
mod data;
pub(crate) mod hash;
pub(crate) mod mac;
pub mod role;
