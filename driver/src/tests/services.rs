//! What the tests of the services share: every way to reach a device, lengths, buffers.

use alloc::{vec, vec::Vec};

pub(super) use super::checks::{random::Random, standards::hex};
use crate::{
    DmaBuffer, Error, Features, Framing, Options, Requirement,
    fake::{FakePlatform, Rig, Setup},
};

pub(super) const STATELESS: Features = Features::CIPHER_STATELESS_MODE
    .union(Features::HASH_STATELESS_MODE)
    .union(Features::MAC_STATELESS_MODE)
    .union(Features::AEAD_STATELESS_MODE)
    .union(Features::AKCIPHER_STATELESS_MODE);

/// How a service is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// Sessions, and fields with padding.
    Padded,
    /// Sessions, and fields without padding (REVISION_1).
    Exact,
    /// No sessions.
    Stateless,
    /// [`Padded`](Self::Padded) with direct descriptors, on a device that drops what has not one
    /// for each field.
    Fields,
    /// [`Stateless`](Self::Stateless) on such a device.
    StatelessFields,
}

pub(super) const EVERY_WAY: [How; 5] = [
    How::Padded,
    How::Exact,
    How::Stateless,
    How::Fields,
    How::StatelessFields,
];

impl How {
    pub(super) fn features(self) -> Features {
        let common = Setup::default().features;
        match self {
            Self::Padded => common,
            Self::Exact => common | Features::REVISION_1,
            Self::Stateless | Self::StatelessFields => common | Features::REVISION_1 | STATELESS,
            Self::Fields => common & !Features::INDIRECT_DESC,
        }
    }

    pub(super) fn is_stateless(self) -> bool {
        matches!(self, Self::Stateless | Self::StatelessFields)
    }

    /// A device that is used so, and serves when the test says so.
    pub(super) fn rig(self) -> Rig {
        self.rig_of(Setup::default())
    }

    pub(super) fn rig_of(self, setup: Setup) -> Rig {
        let features = self.features();
        let framing = match self {
            Self::Padded | Self::Exact | Self::Stateless => Framing::Compact,
            Self::Fields | Self::StatelessFields => Framing::OnePerField,
        };
        let options = Options {
            framing,
            ..Rig::options()
        };
        let rig = Rig::new(Setup { features, ..setup }, options).unwrap();
        if framing == Framing::OnePerField {
            rig.fake.want_one_per_field();
        }
        rig
    }
}

/// What the tests of the services make of random numbers.
pub(super) trait Cases {
    fn len(&mut self) -> usize;
    fn cut(&mut self, data: &[u8]) -> Vec<DmaBuffer<FakePlatform>>;
}

impl Cases for Random {
    /// Mostly short, sometimes around what a slot has room for, sometimes pages.
    fn len(&mut self) -> usize {
        match self.below(4) {
            0 => self.below(20),
            1 => self.below(600),
            2 => 500 + self.below(30),
            _ => self.below(10_000),
        }
    }

    /// Cuts `data` into up to four buffers, none of them empty.
    fn cut(&mut self, data: &[u8]) -> Vec<DmaBuffer<FakePlatform>> {
        let mut rest = data;
        let mut buffers = vec![];
        while !rest.is_empty() {
            let len = match buffers.len() {
                3 => rest.len(),
                _ => 1 + self.below(rest.len()),
            };
            let (part, behind) = rest.split_at(len);
            buffers.push(buffer(part));
            rest = behind;
        }
        buffers
    }
}

pub(super) fn buffer(bytes: &[u8]) -> DmaBuffer<FakePlatform> {
    DmaBuffer::from_slice(bytes).unwrap()
}

pub(super) fn concat(buffers: &[DmaBuffer<FakePlatform>]) -> Vec<u8> {
    buffers.iter().flat_map(|buffer| buffer.to_vec()).collect()
}

pub(super) fn invalid(field: &'static str, len_bytes: usize, requirement: Requirement) -> Error {
    Error::InvalidLength {
        field,
        len_bytes,
        requirement,
    }
}

pub(super) fn exactly(field: &'static str, len_bytes: usize, required: usize) -> Error {
    let requirement = Requirement::Exactly {
        len_bytes: required,
    };
    invalid(field, len_bytes, requirement)
}
