//! Tests on containers in memory, with software in place of the device.
//!
//! What real programs make is in `tests/real_images.rs`.

mod damage;
mod derivation;
mod opening;
mod waiting;

mod maker;
mod memory;

use self::{
    maker::{KEY, PASSPHRASE},
    memory::{MemoryDisk, Trouble, now},
};
use crate::{
    error::Error,
    header::Header,
    kdf::Limits,
    opening::{Opened, open},
};

/// What these tests let a header ask for: little, since damage asks for more.
const LIMITS: Limits = Limits {
    iterations: 40,
    memory_kib: 256,
    work_kib: 1024,
    lanes: 4,
};

fn try_open(disk: &MemoryDisk, passphrase: &[u8]) -> Result<(Header, Opened), Error<Trouble>> {
    now(open(disk, passphrase, &LIMITS))
}
