//! Fields of binary headers, and the range of numbers.
//!
//! The one rule: nothing here panics, whatever the bytes are.

use alloc::{borrow::ToOwned, string::String};
use core::ops::RangeInclusive;

use crate::error::Refusal;

/// Returns the bytes of a field.
pub fn bytes<const N: usize>(header: &[u8], at: usize) -> Result<&[u8; N], Refusal> {
    let field = header.get(at..).and_then(<[u8]>::first_chunk);
    field.ok_or(Refusal::Damaged {
        what: "it ends too soon",
    })
}

/// Returns a number of two bytes.
pub fn u16_at(header: &[u8], at: usize) -> Result<u16, Refusal> {
    Ok(u16::from_be_bytes(*bytes(header, at)?))
}

/// Returns a number of four bytes.
pub fn u32_at(header: &[u8], at: usize) -> Result<u32, Refusal> {
    Ok(u32::from_be_bytes(*bytes(header, at)?))
}

/// Returns a number of eight bytes.
pub fn u64_at(header: &[u8], at: usize) -> Result<u64, Refusal> {
    Ok(u64::from_be_bytes(*bytes(header, at)?))
}

/// Returns the printable text that a zero byte ends.
pub fn text<const N: usize>(
    header: &[u8],
    at: usize,
    what: &'static str,
) -> Result<String, Refusal> {
    let field: &[u8; N] = bytes(header, at)?;
    let end = field.iter().position(|byte| *byte == 0);
    let text = end.and_then(|end| core::str::from_utf8(&field[..end]).ok());
    match text.filter(|text| !text.chars().any(char::is_control)) {
        Some(text) => Ok(text.to_owned()),
        None => Err(Refusal::Damaged { what }),
    }
}

/// Returns a number that is in its range.
pub fn in_range<N: Copy + PartialOrd + Into<u64>>(
    field: &'static str,
    value: N,
    range: RangeInclusive<N>,
) -> Result<N, Refusal> {
    match range.contains(&value) {
        true => Ok(value),
        false => Err(Refusal::OutOfRange {
            field,
            value: value.into(),
            least: (*range.start()).into(),
            most: (*range.end()).into(),
        }),
    }
}
