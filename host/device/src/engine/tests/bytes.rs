//! Requests put together byte by byte.

use crate::wire::header::Form;

/// A request, from its first byte on.
#[derive(Clone, Debug)]
pub(super) struct Bytes(pub(super) Vec<u8>);

impl Bytes {
    fn new() -> Self {
        Self(Vec::new())
    }

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

    /// Puts another word at an offset in bytes.
    pub(super) fn with_word(mut self, at: usize, word: u32) -> Self {
        self.0[at..at + 4].copy_from_slice(&word.to_le_bytes());
        self
    }
}

/// What a chain is made of, beside its data.
#[derive(Clone, Copy, Debug)]
pub(super) struct ChainOf<'a> {
    pub(super) order: u32,
    pub(super) hash_mode: u32,
    pub(super) cipher: (u32, u32, &'a [u8]),
    pub(super) hash: (u32, u32, &'a [u8]),
    pub(super) aad_len: usize,
}

/// Requests in one of both forms.
#[derive(Clone, Copy, Debug)]
pub(super) struct Requests(pub(super) Form);

impl Requests {
    fn control(self, opcode: u32, fixed: Bytes) -> Bytes {
        let request = Bytes::new().words(&[opcode, 0, 0, 0]).field(&fixed.0);
        match self.0 {
            Form::Padded => request.pad(72),
            Form::Exact => request,
        }
    }

    fn data(self, opcode: u32, session_id: u64, fixed: Bytes) -> Bytes {
        let header = Bytes::new().words(&[opcode, 0]).le64(session_id);
        let request = header.words(&[1, 0]).field(&fixed.0);
        match self.0 {
            Form::Padded => request.pad(72),
            Form::Exact => request,
        }
    }

    pub(super) fn create_cipher(self, algo: u32, direction: u32, key: &[u8]) -> Bytes {
        let fixed = Bytes::new().words(&[algo, key.len() as u32, direction, 0]);
        let fixed = fixed.pad(48).words(&[1, 0]);
        self.control(0x002, fixed).field(key)
    }

    pub(super) fn create_chain(self, of: ChainOf<'_>) -> Bytes {
        let (algo, direction, key) = of.cipher;
        let (hash, result_len, hash_key) = of.hash;
        let fixed = Bytes::new()
            .words(&[of.order, of.hash_mode])
            .words(&[algo, key.len() as u32, direction, 0])
            .words(&[hash, result_len, hash_key.len() as u32, 0])
            .words(&[of.aad_len as u32, 0, 2, 0]);
        self.control(0x002, fixed).field(key).field(hash_key)
    }

    pub(super) fn create_hash(self, algo: u32, result_len: u32) -> Bytes {
        self.control(0x102, Bytes::new().words(&[algo, result_len]))
    }

    pub(super) fn create_mac(self, algo: u32, result_len: u32, key: &[u8]) -> Bytes {
        let fixed = Bytes::new().words(&[algo, result_len, key.len() as u32, 0]);
        self.control(0x202, fixed).field(key)
    }

    pub(super) fn create_aead(self, algo: u32, lens: [u32; 2], op: u32, key: &[u8]) -> Bytes {
        let [tag_len, aad_len] = lens;
        let fixed = Bytes::new().words(&[algo, key.len() as u32, tag_len, aad_len, op, 0]);
        self.control(0x302, fixed).field(key)
    }

    pub(super) fn create_akcipher(self, numbers: [u32; 4], key: &[u8]) -> Bytes {
        let [algo, key_type, padding_or_curve, hash] = numbers;
        let fixed = Bytes::new().words(&[algo, key_type, key.len() as u32]);
        let fixed = fixed.words(&[padding_or_curve, hash]).pad(56);
        self.control(0x404, fixed).field(key)
    }

    pub(super) fn destroy(self, opcode: u32, session_id: u64) -> Bytes {
        self.control(opcode, Bytes::new().le64(session_id))
    }

    pub(super) fn cipher(self, opcode: u32, id: u64, iv: &[u8], source: &[u8]) -> Bytes {
        let len = source.len() as u32;
        let fixed = Bytes::new().words(&[iv.len() as u32, len, len, 0]);
        let fixed = fixed.pad(40).words(&[1, 0]);
        self.data(opcode, id, fixed).field(iv).field(source)
    }

    /// Cipher and hash are over the ranges that `ranges` gives by start and length.
    pub(super) fn chain(
        self,
        (opcode, id): (u32, u64),
        (iv, source, aad): (&[u8], &[u8], &[u8]),
        ranges: [u32; 4],
        result_len: u32,
    ) -> Bytes {
        let len = source.len() as u32;
        let fixed = Bytes::new()
            .words(&[iv.len() as u32, len, len])
            .words(&ranges)
            .words(&[aad.len() as u32, result_len, 0, 2, 0]);
        self.data(opcode, id, fixed)
            .field(iv)
            .field(source)
            .field(aad)
    }

    /// A request of HASH (0x100) or MAC (0x200).
    pub(super) fn hash(self, opcode: u32, id: u64, source: &[u8], result_len: u32) -> Bytes {
        let fixed = Bytes::new().words(&[source.len() as u32, result_len]);
        self.data(opcode, id, fixed).field(source)
    }

    pub(super) fn aead(
        self,
        (opcode, id): (u32, u64),
        (iv, source, aad): (&[u8], &[u8], &[u8]),
        (destination_len, tag_len): (u32, u32),
    ) -> Bytes {
        let lens = [iv.len() as u32, aad.len() as u32, source.len() as u32];
        let fixed = Bytes::new()
            .words(&lens)
            .words(&[destination_len, tag_len, 0]);
        self.data(opcode, id, fixed)
            .field(iv)
            .field(source)
            .field(aad)
    }

    /// For a verification, `source` is the signature with the digest behind it.
    pub(super) fn akcipher(self, opcode: u32, id: u64, lens: [u32; 2], source: &[u8]) -> Bytes {
        self.data(opcode, id, Bytes::new().words(&lens))
            .field(source)
    }
}

/// Begins a request without a session: its header, and fixed-length parameters.
pub(super) fn stateless(opcode: u32, fixed: &[u32]) -> Bytes {
    Bytes::new().words(&[opcode, 0, 0, 0, 0, 0]).words(fixed)
}

/// Reads hexadecimal.
pub(super) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(16)).collect();
    let pairs = digits.chunks_exact(2);
    assert!(pairs.remainder().is_empty());
    pairs.map(|pair| (pair[0] << 4 | pair[1]) as u8).collect()
}
