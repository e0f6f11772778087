//! SHA-256 and its HMAC, as rustls wants them. Every suite of this program hashes with SHA-256.

use alloc::boxed::Box;

use hmac::{KeyInit, Mac};
use rustls::crypto::{
    hash::{Context, Hash, HashAlgorithm, Output},
    hmac::{Hmac, Key, Tag},
};
use sha2::{Digest, Sha256};

const LEN: usize = 32;

/// SHA-256.
#[derive(Debug)]
pub struct HashSha256;

struct Running(Sha256);

impl Hash for HashSha256 {
    fn start(&self) -> Box<dyn Context> {
        Box::new(Running(Sha256::new()))
    }

    fn hash(&self, data: &[u8]) -> Output {
        Output::new(&Sha256::digest(data))
    }

    fn output_len(&self) -> usize {
        LEN
    }

    fn algorithm(&self) -> HashAlgorithm {
        HashAlgorithm::SHA256
    }
}

impl Context for Running {
    fn fork_finish(&self) -> Output {
        Output::new(&self.0.clone().finalize())
    }

    fn fork(&self) -> Box<dyn Context> {
        Box::new(Self(self.0.clone()))
    }

    fn finish(self: Box<Self>) -> Output {
        Output::new(&self.0.finalize())
    }

    fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }
}

/// HMAC-SHA256.
#[derive(Debug)]
pub struct HmacSha256;

struct Keyed(hmac::Hmac<Sha256>);

impl Hmac for HmacSha256 {
    fn with_key(&self, key: &[u8]) -> Box<dyn Key> {
        let Ok(keyed) = KeyInit::new_from_slice(key) else {
            unreachable!("HMAC takes a key of any length");
        };
        Box::new(Keyed(keyed))
    }

    fn hash_output_len(&self) -> usize {
        LEN
    }
}

impl Key for Keyed {
    fn sign_concat(&self, first: &[u8], middle: &[&[u8]], last: &[u8]) -> Tag {
        let mut mac = self.0.clone();
        mac.update(first);
        for part in middle {
            mac.update(part);
        }
        mac.update(last);
        Tag::new(&mac.finalize().into_bytes())
    }

    fn tag_len(&self) -> usize {
        LEN
    }
}
