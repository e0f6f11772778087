//! A request in memory: the parts that become descriptors.

use alloc::vec::Vec;

use kernel::{exit, memory::Shared};

/// What memory holds before the device writes it.
pub const UNWRITTEN: u8 = 0xee;

/// One descriptor's worth of a request.
#[derive(Clone, Debug)]
pub enum Part {
    Readable(Vec<u8>),
    Writable(usize),
}

impl Part {
    fn len(&self) -> usize {
        match self {
            Self::Readable(bytes) => bytes.len(),
            Self::Writable(len_bytes) => *len_bytes,
        }
    }
}

/// A part in memory.
#[derive(Clone, Debug)]
pub struct Piece {
    place: Shared,
    len_bytes: usize,
    /// What the device may read; `None` where it may write.
    content: Option<Vec<u8>>,
}

impl Piece {
    pub fn address(&self) -> u64 {
        self.place.address()
    }

    pub fn len_bytes(&self) -> u32 {
        self.len_bytes as u32
    }

    pub fn is_writable(&self) -> bool {
        self.content.is_none()
    }

    fn bytes(&self) -> impl Iterator<Item = u8> {
        (0..self.len_bytes).map(|at| self.place.read(at as u64))
    }
}

/// A request in memory. Its frames are its own and never used again: a device that writes late
/// writes to nobody.
#[derive(Clone, Debug)]
pub struct Chain {
    pieces: Vec<Piece>,
}

impl Chain {
    /// Lays parts into memory, without a gap between them.
    pub fn new(parts: &[Part]) -> Self {
        let len_bytes: usize = parts.iter().map(Part::len).sum();
        let place = shared(len_bytes.max(1) as u64);
        let mut offset = 0;
        let piece = |part: &Part| {
            let len_bytes = part.len();
            let place = place.part(offset, len_bytes as u64);
            offset += len_bytes as u64;
            let content = match part {
                Part::Readable(bytes) => Some(bytes.clone()),
                Part::Writable(_) => None,
            };
            Piece {
                place,
                len_bytes,
                content,
            }
        };
        let chain = Self {
            pieces: parts.iter().map(piece).collect(),
        };
        chain.refill(UNWRITTEN);
        chain
    }

    /// Writes what the device is to read, and makes all else `fill`.
    pub fn refill(&self, fill: u8) {
        for piece in &self.pieces {
            for at in 0..piece.len_bytes {
                let content = piece.content.as_ref().map(|content| content[at]);
                piece.place.write(at as u64, content.unwrap_or(fill));
            }
        }
    }

    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// Reads all that was writable; what was not written is [`UNWRITTEN`].
    pub fn written(&self) -> Vec<u8> {
        let pieces = self.pieces.iter().filter(|piece| piece.is_writable());
        pieces.flat_map(Piece::bytes).collect()
    }

    /// Tells whether what the device may only read is as it was.
    pub fn is_intact(&self) -> bool {
        let mut pieces = self.pieces.iter();
        pieces.all(|piece| match &piece.content {
            Some(content) => piece.bytes().eq(content.iter().copied()),
            None => true,
        })
    }
}

/// Takes frames that are kept for good.
pub fn shared(len_bytes: u64) -> Shared {
    match Shared::allocate(len_bytes) {
        Some(memory) => memory,
        None => exit::fail(format_args!("no memory for {len_bytes} bytes")),
    }
}
