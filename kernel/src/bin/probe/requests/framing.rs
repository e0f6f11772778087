//! How a request is cut into descriptors, which is to make no difference (Virtio 1.3, 2.7.4.1).

use alloc::{vec, vec::Vec};

use crate::requests::{
    ring::Part,
    words::{ANSWER_LEN, head},
};

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

    /// Cuts a control request: words, keys.
    pub fn create(self, words: &[(usize, u32)], key: &[u8]) -> Vec<Part> {
        self.cut(&[&head(words), key], &[ANSWER_LEN])
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
