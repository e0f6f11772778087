//! The MAC service (5.9.7.5).
//!
//! GMAC is not there: it needs an IV, for which a MAC request has no field. KASUMI F9, SNOW 3G UIA2
//! and ZUC EIA3 are not there because no library that is kept well has them.

use core::fmt;

use aes::{Aes128, Aes192, Aes256};
use cbc_mac::CbcMac;
use cmac::Cmac;
use des::TdesEde3;
use hmac::{Hmac, KeyInit};
use sha1::Sha1;
use sha2::{Sha224, Sha256, Sha384, Sha512};

use crate::{
    services::{
        aes_key::{AesKey, padded, xor},
        hash::check_result_len,
        refusals::KEY_LEN,
    },
    wire::{algorithm::MacAlgorithm, data::HashInput, parameters::MacParameters, status::Refusal},
};

/// Returns the whole code of parts one after another.
type Code = Box<dyn Fn(&[&[u8]]) -> Vec<u8> + Send + Sync>;

/// A message authentication code with its key, and how long its results are.
pub struct Mac {
    algorithm: MacAlgorithm,
    result_bytes: usize,
    code: Code,
}

impl Mac {
    /// Takes a key and a length, which may be shorter than the whole code.
    pub fn new(parameters: &MacParameters<'_>) -> Result<Self, Refusal> {
        let algorithm =
            MacAlgorithm::of(parameters.algo).ok_or(Refusal::not_supported("no such MAC"))?;
        let code = code(algorithm, parameters.key.0)?;
        let result_bytes = parameters.result_len as usize;
        if !(1..=code(&[]).len()).contains(&result_bytes) {
            return Err(Refusal::error(
                "hash_result_len is not that of the algorithm",
            ));
        }
        Ok(Self {
            algorithm,
            result_bytes,
            code,
        })
    }

    /// Answers a request.
    pub fn compute(&self, input: &HashInput<'_>) -> Result<Vec<u8>, Refusal> {
        check_result_len(input.result_len, self.result_bytes)?;
        Ok(self.code(&[input.source]))
    }

    /// Returns the code of the parts one after another.
    pub fn code(&self, parts: &[&[u8]]) -> Vec<u8> {
        let mut code = (self.code)(parts);
        code.truncate(self.result_bytes);
        code
    }

    /// Returns how long results are.
    pub fn result_bytes(&self) -> usize {
        self.result_bytes
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} of {} bytes", self.algorithm, self.result_bytes)
    }
}

fn code(algorithm: MacAlgorithm, key: &[u8]) -> Result<Code, Refusal> {
    match algorithm {
        MacAlgorithm::HmacMd5 => keyed::<Hmac<md5::Md5>>(key),
        MacAlgorithm::HmacSha1 => keyed::<Hmac<Sha1>>(key),
        MacAlgorithm::HmacSha224 => keyed::<Hmac<Sha224>>(key),
        MacAlgorithm::HmacSha256 => keyed::<Hmac<Sha256>>(key),
        MacAlgorithm::HmacSha384 => keyed::<Hmac<Sha384>>(key),
        MacAlgorithm::HmacSha512 => keyed::<Hmac<Sha512>>(key),
        MacAlgorithm::CmacTripleDes => keyed::<Cmac<TdesEde3>>(key),
        MacAlgorithm::CmacAes => match key.len() {
            16 => keyed::<Cmac<Aes128>>(key),
            24 => keyed::<Cmac<Aes192>>(key),
            _ => keyed::<Cmac<Aes256>>(key),
        },
        // The last block is filled with zeros.
        MacAlgorithm::CbcMacAes => match key.len() {
            16 => keyed::<CbcMac<Aes128>>(key),
            24 => keyed::<CbcMac<Aes192>>(key),
            _ => keyed::<CbcMac<Aes256>>(key),
        },
        MacAlgorithm::XcbcAes => xcbc(key),
        MacAlgorithm::GmacAes
        | MacAlgorithm::GmacTwofish
        | MacAlgorithm::KasumiF9
        | MacAlgorithm::Snow3gUia2
        | MacAlgorithm::CbcMacKasumiF9
        | MacAlgorithm::ZucEia3 => Err(Refusal::not_supported("a MAC that is not there")),
    }
}

fn keyed<M>(key: &[u8]) -> Result<Code, Refusal>
where
    M: hmac::Mac + KeyInit + Clone + Send + Sync + 'static,
{
    let keyed = <M as KeyInit>::new_from_slice(key).map_err(|_| KEY_LEN)?;
    Ok(Box::new(move |parts| {
        let mut mac = keyed.clone();
        for part in parts {
            mac.update(part);
        }
        mac.finalize().into_bytes().to_vec()
    }))
}

/// AES-XCBC-MAC (RFC 3566), which no library has. Its key has 16 bytes.
fn xcbc(key: &[u8]) -> Result<Code, Refusal> {
    let key = <[u8; 16]>::try_from(key).map_err(|_| KEY_LEN)?;
    let aes = |key: &[u8]| AesKey::new(key).ok_or(KEY_LEN);
    let derive = aes(&key)?;
    let first = aes(&derive.encrypt([1; 16]))?;
    let (whole, part) = (derive.encrypt([2; 16]), derive.encrypt([3; 16]));
    Ok(Box::new(move |parts| {
        let message = parts.concat();
        let begun = message.len().saturating_sub(1) / 16 * 16;
        let (blocks, last) = message.split_at(begun);
        let state = blocks.chunks_exact(16).map(padded);
        let state = state.fold([0; 16], |state, block| first.chain(state, block));
        let last = match last.len() {
            16 => xor(padded(last), whole),
            _ => xor(padded(&[last, &[0x80]].concat()), part),
        };
        first.chain(state, last).to_vec()
    }))
}
