//! Reads what is readable of a chain from its first byte to its last.

use crate::wire::status::Refusal;

/// What becomes of fields that say nothing: padding, and areas that are only partly used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unused {
    /// They hold anything.
    Ignored,
    /// They hold zeros, or the request is refused. A driver that leaves something there shows.
    Zero,
}

/// What is still unread.
///
/// It also notes where fields end, which says how a chain is framed.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
    unused: Unused,
    read_bytes: usize,
    fields: Vec<usize>,
}

impl<'a> Reader<'a> {
    /// Begins at the first byte.
    pub fn new(bytes: &'a [u8], unused: Unused) -> Self {
        Self {
            rest: bytes,
            unused,
            read_bytes: 0,
            fields: Vec::new(),
        }
    }

    /// Reads an `le32`.
    pub fn le32(&mut self) -> Result<u32, Refusal> {
        self.array().map(u32::from_le_bytes)
    }

    /// Reads an `le64`.
    pub fn le64(&mut self) -> Result<u64, Refusal> {
        self.array().map(u64::from_le_bytes)
    }

    /// Reads past a field that says nothing.
    pub fn skip(&mut self, len_bytes: usize) -> Result<(), Refusal> {
        let skipped = self.take(len_bytes)?;
        self.check_unused(skipped)
    }

    /// Splits off an area of fixed length that may be only partly used.
    pub fn area(&mut self, len_bytes: usize) -> Result<Self, Refusal> {
        let area = self.take(len_bytes)?;
        Ok(Self::new(area, self.unused))
    }

    /// Ends the reading of an area.
    pub fn end_area(&self) -> Result<(), Refusal> {
        self.check_unused(self.rest)
    }

    /// Ends header and fixed-length parameters, which are one field.
    pub fn end_head(&mut self) {
        self.fields.push(self.read_bytes);
    }

    /// Reads a field of variable length.
    pub fn variable(&mut self, len_bytes: u32) -> Result<&'a [u8], Refusal> {
        let field = self.take(len_bytes as usize)?;
        self.fields.push(field.len());
        Ok(field)
    }

    /// Ends the reading, whatever is left, and returns the length of each field.
    pub fn fields(self) -> Vec<usize> {
        self.fields
    }

    /// Ends the reading, and returns the length of each field.
    ///
    /// # Errors
    ///
    /// If there is more. QEMU ignores it; the text gives each structure a length.
    pub fn finish(self) -> Result<Vec<usize>, Refusal> {
        if self.rest.is_empty() {
            Ok(self.fields)
        } else {
            Err(Refusal::error("more is readable than the lengths say"))
        }
    }

    fn check_unused(&self, unused: &[u8]) -> Result<(), Refusal> {
        if self.unused == Unused::Zero && unused.iter().any(|byte| *byte != 0) {
            return Err(Refusal::error("a field that says nothing is not zero"));
        }
        Ok(())
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Refusal> {
        let (array, rest) = self.rest.split_first_chunk().ok_or(SHORT)?;
        self.rest = rest;
        self.read_bytes += N;
        Ok(*array)
    }

    fn take(&mut self, len_bytes: usize) -> Result<&'a [u8], Refusal> {
        let (part, rest) = self.rest.split_at_checked(len_bytes).ok_or(SHORT)?;
        self.rest = rest;
        self.read_bytes += len_bytes;
        Ok(part)
    }
}

const SHORT: Refusal = Refusal::error("less is readable than the structure or its lengths say");
