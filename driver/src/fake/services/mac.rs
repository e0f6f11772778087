//! The MAC service.

use alloc::vec::Vec;

use aes::{Aes128, Aes192, Aes256};
use cmac::Cmac;
use des::TdesEde3;
use hmac::{Hmac, KeyInit, Mac};

use super::{NOT_SUPPORTED, Request};
use crate::wire::MacAlgorithm;

#[derive(Clone, Debug)]
pub(in crate::fake) struct Session {
    algorithm: MacAlgorithm,
    key: Vec<u8>,
    result_len: usize,
}

fn compute<M: Mac + KeyInit>(key: &[u8], data: &[u8]) -> Vec<u8> {
    let mut mac = <M as KeyInit>::new_from_slice(key).unwrap();
    mac.update(data);
    mac.finalize().into_bytes().to_vec()
}

/// Computes a whole tag, as far as a library at hand does.
pub(crate) fn tag(algorithm: MacAlgorithm, key: &[u8], data: &[u8]) -> Result<Vec<u8>, u8> {
    Ok(match (algorithm, key.len()) {
        (MacAlgorithm::HmacMd5, _) => compute::<Hmac<md5::Md5>>(key, data),
        (MacAlgorithm::HmacSha1, _) => compute::<Hmac<sha1::Sha1>>(key, data),
        (MacAlgorithm::HmacSha224, _) => compute::<Hmac<sha2::Sha224>>(key, data),
        (MacAlgorithm::HmacSha256, _) => compute::<Hmac<sha2::Sha256>>(key, data),
        (MacAlgorithm::HmacSha384, _) => compute::<Hmac<sha2::Sha384>>(key, data),
        (MacAlgorithm::HmacSha512, _) => compute::<Hmac<sha2::Sha512>>(key, data),
        (MacAlgorithm::CmacTripleDes, _) => compute::<Cmac<TdesEde3>>(key, data),
        (MacAlgorithm::CmacAes, 16) => compute::<Cmac<Aes128>>(key, data),
        (MacAlgorithm::CmacAes, 24) => compute::<Cmac<Aes192>>(key, data),
        (MacAlgorithm::CmacAes, _) => compute::<Cmac<Aes256>>(key, data),
        _ => return Err(NOT_SUPPORTED),
    })
}

impl Session {
    pub(super) fn algorithm(&self) -> u32 {
        self.algorithm as u32
    }

    pub(super) fn create(request: Request<'_>) -> Result<Self, u8> {
        let [key] = request.parts([request.usize(24)]);
        let session = Self::new(request.u32(16), key, request.usize(20));
        // What it cannot compute it says at once.
        tag(session.algorithm, &session.key, &[])?;
        Ok(session)
    }

    pub(super) fn new(number: u32, key: &[u8], result_len: usize) -> Self {
        let algorithm = MacAlgorithm::ALL
            .into_iter()
            .find(|algorithm| *algorithm as u32 == number)
            .unwrap_or_else(|| panic!("MAC {number}"));
        let key_lens = algorithm.key_lens_bytes();
        assert!(key_lens.iter().any(|lens| lens.contains(&key.len())));
        assert!((1..=algorithm.result_len_bytes()).contains(&result_len));
        Self {
            algorithm,
            key: key.to_vec(),
            result_len,
        }
    }

    pub(super) fn serve(&self, request: Request<'_>) -> Result<Vec<u8>, u8> {
        assert_eq!(request.opcode(), 0x200);
        let [source] = request.parts([request.usize(24)]);
        assert_eq!(request.usize(28), self.result_len, "result length");
        request.check_room(self.result_len);
        self.tag(source)
    }

    pub(super) fn tag(&self, source: &[u8]) -> Result<Vec<u8>, u8> {
        let mut tag = tag(self.algorithm, &self.key, source)?;
        tag.truncate(self.result_len);
        Ok(tag)
    }
}

pub(super) fn serve_stateless(request: Request<'_>) -> Result<Vec<u8>, u8> {
    let [key, source] = request.parts([request.usize(28), request.usize(32)]);
    let result_len = request.usize(36);
    request.check_room(result_len);
    Session::new(request.u32(24), key, result_len).tag(source)
}
