//! What has to come of a request, by software of others.

use aes_gcm::{Aes128Gcm, Aes256Gcm, KeyInit, aead::AeadInOut};
use ccm::{
    Ccm,
    consts::{U13, U16},
};
use chacha20poly1305::ChaCha20Poly1305;
use virtio_crypto::{AeadAlgorithm, ChainOrder, Direction, Error};

use super::{
    opened::{CHAIN_HASH, CHAIN_MAC},
    request::Request,
    spec::{Hashed, Kind, Spec},
};
use crate::{
    checks::digests::{compute_digest, compute_tag},
    oracle::cipher_oracle,
};

/// What goes into a request, and what comes of it where the device is honest.
#[derive(Debug)]
pub(super) struct Expected {
    /// The data that is sent.
    pub(super) input: Vec<u8>,
    /// A tag that is sent.
    pub(super) tag: Vec<u8>,
    /// What becomes of the data.
    pub(super) output: Vec<u8>,
    /// A digest or tag that comes back.
    pub(super) result: Vec<u8>,
    pub(super) outcome: Result<(), Error>,
}

/// Seals `data` in place, and returns the tag.
pub(super) fn seal(
    algorithm: AeadAlgorithm,
    key: &[u8],
    nonce: &[u8],
    aad: &[u8],
    data: &mut [u8],
) -> Vec<u8> {
    macro_rules! with {
        ($aead:ty) => {{
            let aead = <$aead>::new_from_slice(key).expect("a key of that length");
            let nonce = nonce.try_into().expect("a nonce of that length");
            let sealed = aead.encrypt_inout_detached(nonce, aad, data.into());
            sealed.expect("not too long").to_vec()
        }};
    }
    match (algorithm, key.len()) {
        (AeadAlgorithm::Gcm, 16) => with!(Aes128Gcm),
        (AeadAlgorithm::Gcm, _) => with!(Aes256Gcm),
        (AeadAlgorithm::Ccm, 16) => with!(Ccm<aes::Aes128, U16, U13>),
        (AeadAlgorithm::Ccm, _) => with!(Ccm<aes::Aes256, U16, U13>),
        (_, _) => with!(ChaCha20Poly1305),
    }
}

impl Expected {
    pub(super) fn of(spec: &Spec, request: &Request) -> Self {
        let mut expected = Self {
            input: request.data.to_vec(),
            tag: Vec::new(),
            output: request.data.to_vec(),
            result: Vec::new(),
            outcome: Ok(()),
        };
        if request.is_valid && spec.is_valid {
            expected.compute(spec, request);
        }
        expected
    }

    fn compute(&mut self, spec: &Spec, request: &Request) {
        let (key, data) = (spec.key, request.data);
        match spec.kind {
            Kind::Cipher(algorithm, direction) => {
                self.output = cipher_oracle(algorithm, direction, key, request.iv, data);
            }
            Kind::Hash(algorithm) => {
                self.result = compute_digest(algorithm, data, spec.result_len);
            }
            Kind::Mac(algorithm) => {
                let mut tag = compute_tag(algorithm, key, data).expect("one that is computed");
                tag.truncate(spec.result_len);
                self.tag_for(tag, request);
            }
            Kind::Aead(algorithm, direction) => {
                let mut sealed = data.to_vec();
                let tag = seal(algorithm, key, request.iv, request.aad, &mut sealed);
                match direction {
                    Direction::Encrypt => (self.output, self.result) = (sealed, tag),
                    Direction::Decrypt => {
                        self.input = sealed;
                        self.tag = forged(tag, request.is_forged);
                        if request.is_forged {
                            self.outcome = Err(Error::TagMismatch);
                        }
                    }
                }
            }
            Kind::Chain(cipher, direction, order, hashed) => {
                let part = request.ciphered.clone();
                let done = cipher_oracle(cipher, direction, key, request.iv, &data[part.clone()]);
                self.output[part].copy_from_slice(&done);
                let over = match order {
                    ChainOrder::HashThenCipher => data,
                    ChainOrder::CipherThenHash => &self.output,
                };
                let over = [request.aad, &over[request.hashed.clone()]].concat();
                let digest = |data: &[u8]| compute_digest(CHAIN_HASH, data, spec.result_len);
                self.result = match hashed {
                    Hashed::Plain => digest(&over),
                    Hashed::Nested => digest(&digest(&over)),
                    Hashed::Authenticated => {
                        let tag = compute_tag(CHAIN_MAC, spec.hash_key, &over);
                        tag.expect("one that is computed")
                    }
                };
            }
            // These are judged where they are called.
            _ => {}
        }
    }

    /// Returns how long a result is that comes back: that of a session, or none.
    pub(super) fn result_len(&self, spec: &Spec) -> usize {
        let has_result = !matches!(spec.kind, Kind::Aead(_, Direction::Decrypt));
        match has_result && self.tag.is_empty() {
            true => spec.result_len,
            false => 0,
        }
    }

    /// A tag comes back, or is verified.
    fn tag_for(&mut self, tag: Vec<u8>, request: &Request) {
        if request.is_verified {
            self.tag = forged(tag, request.is_forged);
            if request.is_forged {
                self.outcome = Err(Error::TagMismatch);
            }
        } else {
            self.result = tag;
        }
    }
}

fn forged(mut tag: Vec<u8>, is_forged: bool) -> Vec<u8> {
    tag[0] ^= u8::from(is_forged);
    tag
}
