//! How a request is cut into descriptors, which is to make no difference (Virtio 1.3, 2.7.4.1).

use alloc::{vec, vec::Vec};

use crate::requests::{chain::Part, words::ANSWER_LEN};

/// How a request is cut into descriptors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// Each field begins one, as most drivers send and some devices want it.
    Fields,
    /// One for all that is read, one for all that is written.
    Joined,
}

impl Framing {
    pub const ALL: [Self; 2] = [Self::Fields, Self::Joined];

    pub fn name(self) -> &'static str {
        match self {
            Self::Fields => "one-per-field",
            Self::Joined => "compact",
        }
    }

    /// Cuts a control request: header, keys.
    pub fn control(self, head: &[u8], key: &[u8]) -> Vec<Part> {
        self.cut(&[head, key], &[ANSWER_LEN])
    }

    /// Cuts a data request: header, what is read, how much is written before the status.
    pub fn data(self, head: &[u8], source: &[&[u8]], result_len: usize) -> Vec<Part> {
        self.cut(&[&[head], source].concat(), &[result_len, 1])
    }

    fn cut(self, readable: &[&[u8]], writable: &[usize]) -> Vec<Part> {
        if self == Self::Joined {
            let writable = writable.iter().sum();
            return vec![Part::Readable(readable.concat()), Part::Writable(writable)];
        }
        // No descriptor may be empty.
        let readable = readable.iter().filter(|part| !part.is_empty());
        let readable = readable.map(|part| Part::Readable(part.to_vec()));
        let writable = writable.iter().filter(|len| **len > 0);
        let writable = writable.map(|len| Part::Writable(*len));
        readable.chain(writable).collect()
    }
}

/// Where a request is cut beside or instead of between its fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Borders {
    /// Nowhere: one descriptor for all that is read, one for all that is written.
    None,
    /// Within the header, and again within the fixed-length fields.
    InTheHeader,
    /// In front of the last byte that is read, and of the last that is written.
    BeforeTheLast,
    /// Behind the first byte that is read, and the first that is written.
    BehindTheFirst,
    /// Every 13 bytes, which no field keeps to.
    Regular,
    /// Everywhere, of which a ring may not have enough descriptors.
    EachByte,
}

impl Borders {
    /// Those that fit into most rings.
    pub const ALL: [Self; 5] = [
        Self::None,
        Self::InTheHeader,
        Self::BeforeTheLast,
        Self::BehindTheFirst,
        Self::Regular,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::None => "in two",
            Self::InTheHeader => "in the header",
            Self::BeforeTheLast => "before the last byte",
            Self::BehindTheFirst => "behind the first byte",
            Self::Regular => "every 13 bytes",
            Self::EachByte => "every byte",
        }
    }

    /// Tells whether there is one at an offset into `len` bytes.
    fn is_at(self, offset: usize, len: usize) -> bool {
        match self {
            Self::None => false,
            Self::InTheHeader => matches!(offset, 6 | 19 | 45),
            Self::BeforeTheLast => offset + 1 == len,
            Self::BehindTheFirst => offset == 1,
            Self::Regular => offset.is_multiple_of(13),
            Self::EachByte => true,
        }
    }
}

/// Cuts a request's parts elsewhere.
pub fn cut_anew(parts: &[Part], borders: Borders) -> Vec<Part> {
    let (mut readable, mut writable) = (Vec::new(), 0);
    for part in parts {
        match part {
            Part::Readable(bytes) => readable.extend_from_slice(bytes),
            Part::Writable(len) => writable += len,
        }
    }
    let starts = |len: usize| {
        let inner = (1..len).filter(move |&at| borders.is_at(at, len));
        let starts: Vec<usize> = [0].into_iter().chain(inner).chain([len]).collect();
        starts
    };
    let read = starts(readable.len());
    let read = read.windows(2);
    let read = read.map(|ends| Part::Readable(readable[ends[0]..ends[1]].to_vec()));
    let written = starts(writable);
    let written = written.windows(2);
    let written = written.map(|ends| Part::Writable(ends[1] - ends[0]));
    read.chain(written).collect()
}
