//! Checks of lengths, before anything is sent.
//!
//! The one rule: what fails here was not sent.

use core::ops::RangeInclusive;

use super::{Error, Requirement};

/// Checks that something has the one length that it can have.
pub(crate) fn check_exact_len(
    field: &'static str,
    len_bytes: usize,
    required_bytes: usize,
) -> Result<(), Error> {
    if len_bytes == required_bytes {
        return Ok(());
    }
    let requirement = Requirement::Exactly {
        len_bytes: required_bytes,
    };
    Err(invalid_len(field, len_bytes, requirement))
}

/// Checks that something is not too short.
pub(crate) fn check_at_least(
    field: &'static str,
    len_bytes: usize,
    min_bytes: usize,
) -> Result<(), Error> {
    if len_bytes >= min_bytes {
        return Ok(());
    }
    let requirement = Requirement::AtLeast { min_bytes };
    Err(invalid_len(field, len_bytes, requirement))
}

/// Checks that something is not too long.
pub(crate) fn check_at_most(
    field: &'static str,
    len_bytes: usize,
    max_bytes: u64,
) -> Result<(), Error> {
    if len_bytes as u64 <= max_bytes {
        return Ok(());
    }
    let requirement = Requirement::AtMost { max_bytes };
    Err(invalid_len(field, len_bytes, requirement))
}

/// Checks that something can be counted in 32 bits, as the device does, and returns its length.
pub(crate) fn check_countable(field: &'static str, len_bytes: usize) -> Result<u32, Error> {
    check_at_most(field, len_bytes, u32::MAX.into())?;
    Ok(len_bytes as u32)
}

/// Checks that something has one of the lengths that it can have.
pub(crate) fn check_one_of_lens(
    field: &'static str,
    len_bytes: usize,
    lens_bytes: &'static [RangeInclusive<usize>],
) -> Result<(), Error> {
    if lens_bytes.iter().any(|lens| lens.contains(&len_bytes)) {
        return Ok(());
    }
    let requirement = Requirement::OneOf { lens_bytes };
    Err(invalid_len(field, len_bytes, requirement))
}

/// Says what a length is not.
#[cold]
pub(crate) fn invalid_len(
    field: &'static str,
    len_bytes: usize,
    requirement: Requirement,
) -> Error {
    Error::InvalidLength {
        field,
        len_bytes,
        requirement,
    }
}
