//! The HASH service.

use alloc::{vec, vec::Vec};

use sha1::Digest;
use shake::{ExtendableOutput, Update, XofReader};

use super::Request;
use crate::wire::HashAlgorithm;

#[derive(Clone, Debug)]
pub(in crate::fake) struct Session {
    algorithm: HashAlgorithm,
    result_len: usize,
}

/// Finds an algorithm by its number, and checks the result's length.
pub(super) fn parse(number: u32, result_len: usize) -> HashAlgorithm {
    let algorithm = HashAlgorithm::ALL
        .into_iter()
        .find(|algorithm| *algorithm as u32 == number)
        .unwrap_or_else(|| panic!("hash {number}"));
    let fixed_len = algorithm.digest_len_bytes();
    assert!(fixed_len.is_none_or(|len| len == result_len) && result_len > 0);
    algorithm
}

/// Computes a digest.
pub(crate) fn digest(algorithm: HashAlgorithm, data: &[u8], result_len: usize) -> Vec<u8> {
    fn shake<S: Default + Update + ExtendableOutput>(data: &[u8], len: usize) -> Vec<u8> {
        let mut shake = S::default();
        shake.update(data);
        let mut result = vec![0; len];
        shake.finalize_xof().read(&mut result);
        result
    }
    match algorithm {
        HashAlgorithm::Md5 => md5::Md5::digest(data).to_vec(),
        HashAlgorithm::Sha1 => sha1::Sha1::digest(data).to_vec(),
        HashAlgorithm::Sha224 => sha2::Sha224::digest(data).to_vec(),
        HashAlgorithm::Sha256 => sha2::Sha256::digest(data).to_vec(),
        HashAlgorithm::Sha384 => sha2::Sha384::digest(data).to_vec(),
        HashAlgorithm::Sha512 => sha2::Sha512::digest(data).to_vec(),
        HashAlgorithm::Sha3_224 => sha3::Sha3_224::digest(data).to_vec(),
        HashAlgorithm::Sha3_256 => sha3::Sha3_256::digest(data).to_vec(),
        HashAlgorithm::Sha3_384 => sha3::Sha3_384::digest(data).to_vec(),
        HashAlgorithm::Sha3_512 => sha3::Sha3_512::digest(data).to_vec(),
        HashAlgorithm::Shake128 => shake::<shake::Shake128>(data, result_len),
        HashAlgorithm::Shake256 => shake::<shake::Shake256>(data, result_len),
    }
}

impl Session {
    pub(super) fn algorithm(&self) -> u32 {
        self.algorithm as u32
    }

    pub(super) fn create(request: Request<'_>) -> Result<Self, u8> {
        let [] = request.parts([]);
        let result_len = request.usize(20);
        Ok(Self {
            algorithm: parse(request.u32(16), result_len),
            result_len,
        })
    }

    pub(super) fn serve(&self, request: Request<'_>) -> Result<Vec<u8>, u8> {
        assert_eq!(request.opcode(), 0x100);
        let [source] = request.parts([request.usize(24)]);
        assert_eq!(request.usize(28), self.result_len, "result length");
        request.check_room(self.result_len);
        Ok(digest(self.algorithm, source, self.result_len))
    }
}

pub(super) fn serve_stateless(request: Request<'_>) -> Result<Vec<u8>, u8> {
    let [source] = request.parts([request.usize(28)]);
    let result_len = request.usize(32);
    request.check_room(result_len);
    let algorithm = parse(request.u32(24), result_len);
    Ok(digest(algorithm, source, result_len))
}
