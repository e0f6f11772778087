//! What the tests of the services share: every way to reach a device, lengths, buffers.

use device::options;
use virtio_crypto::{DmaBuffer, Error, Features, Framing, Requirement};

pub(crate) use crate::checks::{random::Random, standards::hex};
use crate::rig::{FakePlatform, Rig, Setup};

pub(crate) const STATELESS: Features = Features::CIPHER_STATELESS_MODE
    .union(Features::HASH_STATELESS_MODE)
    .union(Features::MAC_STATELESS_MODE)
    .union(Features::AEAD_STATELESS_MODE)
    .union(Features::AKCIPHER_STATELESS_MODE);

/// How a service is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// Sessions, and fields with padding.
    Padded,
    /// Sessions, and fields without padding (REVISION_1).
    Exact,
    /// No sessions.
    Stateless,
    /// [`Padded`](Self::Padded) with direct descriptors, on a device that refuses what has not one
    /// for each field.
    Fields,
    /// [`Stateless`](Self::Stateless) on such a device.
    StatelessFields,
}

#[cfg(not(miri))]
pub(crate) const EVERY_WAY: [How; 5] = [
    How::Padded,
    How::Exact,
    How::Stateless,
    How::Fields,
    How::StatelessFields,
];

/// Fewer in Miri: with sessions and without, with fields that share descriptors and that do not.
#[cfg(miri)]
pub(crate) const EVERY_WAY: [How; 2] = [How::Exact, How::StatelessFields];

/// Returns how often a test tries something: less in Miri, which takes a thousand times as long.
pub(crate) const fn times<T: Copy>(natively: T, in_miri: T) -> T {
    if cfg!(miri) { in_miri } else { natively }
}

impl How {
    pub(crate) fn features(self) -> Features {
        let common = Setup::default().features;
        match self {
            Self::Padded => common,
            Self::Exact => common | Features::REVISION_1,
            Self::Stateless | Self::StatelessFields => common | Features::REVISION_1 | STATELESS,
            Self::Fields => common & !Features::INDIRECT_DESC,
        }
    }

    pub(crate) fn is_stateless(self) -> bool {
        matches!(self, Self::Stateless | Self::StatelessFields)
    }

    /// A device that is used so, and serves when the test says so.
    pub(crate) fn rig(self) -> Rig {
        self.rig_of(Setup::default())
    }

    pub(crate) fn rig_of(self, setup: Setup) -> Rig {
        let features = self.features();
        let framing = match self {
            Self::Padded | Self::Exact | Self::Stateless => Framing::Compact,
            Self::Fields | Self::StatelessFields => Framing::OnePerField,
        };
        let options = Rig::options_with(|options| options.framing = framing);
        let wanted = match framing {
            Framing::OnePerField => options::Framing::OnePerField,
            _ => options::Framing::Any,
        };
        let setup = Setup {
            features,
            framing: wanted,
            ..setup
        };
        Rig::new(setup, options).unwrap()
    }
}

/// What the tests of the services make of random numbers.
pub(crate) trait Cases {
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

pub(crate) fn buffer(bytes: &[u8]) -> DmaBuffer<FakePlatform> {
    DmaBuffer::from_slice(bytes).unwrap()
}

pub(crate) fn concat(buffers: &[DmaBuffer<FakePlatform>]) -> Vec<u8> {
    buffers.iter().flat_map(|buffer| buffer.to_vec()).collect()
}

pub(crate) fn invalid(field: &'static str, len_bytes: usize, requirement: Requirement) -> Error {
    Error::InvalidLength {
        field,
        len_bytes,
        requirement,
    }
}

pub(crate) fn exactly(field: &'static str, len_bytes: usize, required: usize) -> Error {
    let requirement = Requirement::Exactly {
        len_bytes: required,
    };
    invalid(field, len_bytes, requirement)
}
