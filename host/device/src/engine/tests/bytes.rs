//! Requests put together byte by byte.

/// Bytes of a request, from its first on.
#[derive(Clone, Debug)]
pub(super) struct Bytes(pub(super) Vec<u8>);

/// Begins a control request.
pub(super) fn control(opcode: u32, algo: u32) -> Bytes {
    Bytes(Vec::new()).words(&[opcode, algo, 0, 0])
}

/// Begins a data request of session mode.
pub(super) fn data(opcode: u32, algo: u32, session_id: u64) -> Bytes {
    Bytes(Vec::new())
        .words(&[opcode, algo])
        .le64(session_id)
        .words(&[1, 0])
}

impl Bytes {
    pub(super) fn words(mut self, words: &[u32]) -> Self {
        for word in words {
            self.0.extend(word.to_le_bytes());
        }
        self
    }

    pub(super) fn le64(mut self, value: u64) -> Self {
        self.0.extend(value.to_le_bytes());
        self
    }

    /// Adds zeros up to a length.
    pub(super) fn pad(mut self, len_bytes: usize) -> Self {
        assert!(self.0.len() <= len_bytes);
        self.0.resize(len_bytes, 0);
        self
    }

    pub(super) fn field(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }
}

/// Reads hexadecimal.
pub(super) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(16)).collect();
    let pairs = digits.chunks_exact(2);
    assert!(pairs.remainder().is_empty());
    pairs.map(|pair| (pair[0] << 4 | pair[1]) as u8).collect()
}
