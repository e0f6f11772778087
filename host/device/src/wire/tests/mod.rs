//! Golden words: every structure of 5.9 with a value of its own in each field.

mod control;
mod data;
mod numbers;
mod stateless;

use crate::wire::{
    header::{ControlHeader, DataHeader, Form},
    reader::{Reader, Unused},
    status::{Refusal, Status},
};

/// Bytes of consecutive `le32`.
fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// Bytes of a request, from its header on.
#[derive(Clone, Debug)]
struct Request(Vec<u8>);

impl Request {
    fn of(header: &[u32], fixed: &[u32]) -> Self {
        Self(words(&[header, fixed].concat()))
    }

    /// Adds zeros up to a length.
    fn pad(mut self, len_bytes: usize) -> Self {
        assert!(self.0.len() <= len_bytes);
        self.0.resize(len_bytes, 0);
        self
    }

    fn field(mut self, field: &[u8]) -> Self {
        self.0.extend(field);
        self
    }
}

/// Refusals that say that bytes are missing or too many.
fn is_of_length(refusal: &Refusal) -> bool {
    refusal.status == Status::Err && refusal.why.contains("readable than")
}

/// Parses a request that is whole; one byte less or more is refused.
fn exactly<T>(
    request: &Request,
    parse: impl Fn(&mut Reader<'_>) -> Result<T, Refusal>,
) -> Result<(T, Vec<usize>), Refusal> {
    let parse = |bytes: &[u8]| {
        let mut reader = Reader::new(bytes, Unused::Ignored);
        let parsed = parse(&mut reader)?;
        Ok((parsed, reader.finish()?))
    };
    let bytes = &request.0;
    for len_bytes in 0..bytes.len() {
        let refusal = parse(&bytes[..len_bytes]).map(drop).unwrap_err();
        assert!(is_of_length(&refusal), "{len_bytes} bytes: {refusal:?}");
    }
    let more = request.clone().field(&[0]);
    assert!(is_of_length(&parse(&more.0).map(drop).unwrap_err()));
    parse(bytes)
}

/// Every form of a request whose fixed-length parameters are padded without REVISION_1.
fn forms(padded_bytes: usize, head: Request, variable: &[u8]) -> [(Form, Request); 2] {
    let padded = head.clone().pad(padded_bytes).field(variable);
    [(Form::Padded, padded), (Form::Exact, head.field(variable))]
}

#[test]
fn numbers_begin_with_their_lowest_byte() {
    let mut reader = Reader::new(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12], Unused::Ignored);
    assert_eq!(reader.le32(), Ok(0x0403_0201));
    assert_eq!(reader.le64(), Ok(0x0c0b_0a09_0807_0605));
}

#[test]
fn headers_are_read_in_their_order() {
    let bytes = words(&[0x11, 0x12, 0x13, 0x14]);
    let header = ControlHeader::read(&mut Reader::new(&bytes, Unused::Ignored)).unwrap();
    let expected = ControlHeader {
        opcode: 0x11,
        algo: 0x12,
        flag: 0x13,
        reserved: 0x14,
    };
    assert_eq!(header, expected);
    let bytes = words(&[0x11, 0x12, 0x13, 0x14, 0x15, 0x16]);
    let header = DataHeader::read(&mut Reader::new(&bytes, Unused::Ignored)).unwrap();
    let expected = DataHeader {
        opcode: 0x11,
        algo: 0x12,
        session_id: 0x14_0000_0013,
        flag: 0x15,
        padding: 0x16,
    };
    assert_eq!(header, expected);
}

#[test]
fn fields_that_say_nothing_hold_zeros_where_they_have_to() {
    for byte in [0, 1, 0x80] {
        let skips = |unused| Reader::new(&[0, byte, 0], unused).skip(3).is_ok();
        assert!(skips(Unused::Ignored));
        assert_eq!(skips(Unused::Zero), byte == 0, "{byte:#x}");
    }
}
