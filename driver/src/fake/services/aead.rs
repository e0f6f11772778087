//! The AEAD service.
//!
//! GCM and CCM are put together of blocks here, for every length of nonce and tag; tests compare
//! them with libraries that know some.

use alloc::vec::Vec;

use aes::{Aes128, Aes192, Aes256};
use chacha20poly1305::{ChaCha20Poly1305, KeyInit, aead::AeadInOut};
use ghash::{GHash, universal_hash::UniversalHash};

use super::{BAD_MESSAGE, Request, cipher, is_encrypting};
use crate::wire::AeadAlgorithm;

#[derive(Clone, Debug)]
pub(in crate::fake) struct Session {
    algorithm: AeadAlgorithm,
    encrypt: bool,
    key: Vec<u8>,
    tag_len: usize,
    aad_len: usize,
}

/// What a request is about.
struct Input<'a> {
    nonce: &'a [u8],
    aad: &'a [u8],
    source: &'a [u8],
}

fn encrypt_block(key: &[u8], mut block: [u8; 16]) -> [u8; 16] {
    match key.len() {
        16 => cipher::ecb::<Aes128>(key, true, &mut block),
        24 => cipher::ecb::<Aes192>(key, true, &mut block),
        _ => cipher::ecb::<Aes256>(key, true, &mut block),
    }
    block
}

fn apply_counter(key: &[u8], counter: [u8; 16], data: &mut [u8]) {
    match key.len() {
        16 => cipher::stream::<ctr::Ctr32BE<Aes128>>(key, &counter, data),
        24 => cipher::stream::<ctr::Ctr32BE<Aes192>>(key, &counter, data),
        _ => cipher::stream::<ctr::Ctr32BE<Aes256>>(key, &counter, data),
    }
}

fn xor(mut block: [u8; 16], by: [u8; 16]) -> [u8; 16] {
    for (byte, by) in block.iter_mut().zip(by) {
        *byte ^= by;
    }
    block
}

/// The first counter block of GCM (NIST SP 800-38D, 7.1); 16 bytes are that block.
fn first_counter(nonce: &[u8]) -> [u8; 16] {
    let mut block = [0; 16];
    block[..nonce.len()].copy_from_slice(nonce);
    if nonce.len() == 12 {
        block[15] = 1;
    }
    block
}

/// NIST SP 800-38D, 7.1 step 5 and 6.
fn gcm_tag(key: &[u8], first: [u8; 16], aad: &[u8], ciphertext: &[u8]) -> [u8; 16] {
    let mut hash = GHash::new(&encrypt_block(key, [0; 16]).into());
    hash.update_padded(aad);
    hash.update_padded(ciphertext);
    let bits = |bytes: &[u8]| u128::from(8 * bytes.len() as u64);
    let lens = bits(aad) << 64 | bits(ciphertext);
    hash.update(&[lens.to_be_bytes().into()]);
    xor(hash.finalize().into(), encrypt_block(key, first))
}

/// NIST SP 800-38C, 6.1 with the formatting of appendix A.
fn ccm_tag(key: &[u8], nonce: &[u8], aad: &[u8], plaintext: &[u8], tag_len: usize) -> [u8; 16] {
    let counter_len = 15 - nonce.len();
    let mut first = [0; 16];
    first[8..].copy_from_slice(&(plaintext.len() as u64).to_be_bytes());
    assert!(first[..16 - counter_len].iter().all(|byte| *byte == 0));
    let flags = 64 * usize::from(!aad.is_empty()) + 8 * ((tag_len - 2) / 2) + counter_len - 1;
    first[0] = flags as u8;
    first[1..=nonce.len()].copy_from_slice(nonce);
    let mut blocks = first.to_vec();
    let mut pad = |part: &[u8]| {
        blocks.extend(part);
        blocks.resize(blocks.len().next_multiple_of(16), 0);
    };
    match aad.len() {
        0 => {}
        len @ ..0xff00 => pad(&[&(len as u16).to_be_bytes(), aad].concat()),
        len => pad(&[&[0xff, 0xfe], &(len as u32).to_be_bytes()[..], aad].concat()),
    }
    pad(plaintext);
    blocks.chunks_exact(16).fold([0; 16], |mac, block| {
        encrypt_block(key, xor(mac, block.try_into().unwrap()))
    })
}

fn ccm_counter(nonce: &[u8], count: u8) -> [u8; 16] {
    let mut block = [0; 16];
    block[0] = 14 - nonce.len() as u8;
    block[1..=nonce.len()].copy_from_slice(nonce);
    block[15] = count;
    block
}

impl Session {
    pub(super) fn algorithm(&self) -> u32 {
        self.algorithm as u32
    }

    pub(super) fn create(request: Request<'_>) -> Result<Self, u8> {
        let [key] = request.parts([request.usize(20)]);
        let lens = (request.usize(24), request.usize(28));
        Ok(Self::new(request.u32(16), request.u32(32), key, lens))
    }

    fn new(number: u32, direction: u32, key: &[u8], (tag_len, aad_len): (usize, usize)) -> Self {
        let algorithm = AeadAlgorithm::ALL
            .into_iter()
            .find(|algorithm| *algorithm as u32 == number)
            .unwrap_or_else(|| panic!("AEAD {number}"));
        let mut key_lens = algorithm.key_lens_bytes().iter();
        assert!(key_lens.any(|lens| lens.contains(&key.len())));
        let mut tag_lens = algorithm.tag_lens_bytes().iter();
        assert!(tag_lens.any(|lens| lens.contains(&tag_len)));
        Self {
            algorithm,
            encrypt: is_encrypting(direction),
            key: key.to_vec(),
            tag_len,
            aad_len,
        }
    }

    pub(super) fn serve(&self, request: Request<'_>) -> Result<Vec<u8>, u8> {
        let lens = [24, 28, 32, 36, 40].map(|at| request.usize(at));
        let [iv_len, aad_len, source_len, destination_len, tag_len] = lens;
        let [nonce, source, aad] = request.parts([iv_len, source_len, aad_len]);
        self.check(request, (aad_len, source_len, destination_len, tag_len));
        self.compute(Input { nonce, aad, source })
    }

    fn check(&self, request: Request<'_>, lens: (usize, usize, usize, usize)) {
        let (aad_len, source_len, destination_len, tag_len) = lens;
        assert_eq!((aad_len, tag_len), (self.aad_len, self.tag_len));
        let opcode = if self.encrypt { 0x300 } else { 0x301 };
        assert_eq!(request.opcode(), opcode, "opcode and direction");
        let (plain, sealed) = if self.encrypt {
            (source_len, destination_len)
        } else {
            (destination_len, source_len)
        };
        assert_eq!(sealed, plain + tag_len, "source and destination");
        request.check_room(destination_len);
    }

    fn compute(&self, input: Input<'_>) -> Result<Vec<u8>, u8> {
        let mut nonce_lens = self.algorithm.nonce_lens_bytes().iter();
        assert!(nonce_lens.any(|lens| lens.contains(&input.nonce.len())));
        let text_len = input.source.len() - if self.encrypt { 0 } else { self.tag_len };
        let (text, given_tag) = input.source.split_at(text_len);
        let (mut text, key) = (text.to_vec(), &self.key[..]);
        let tag = match self.algorithm {
            AeadAlgorithm::Gcm => {
                let first = first_counter(input.nonce);
                let mut tag = gcm_tag(key, first, input.aad, &text);
                let counter = u128::from_be_bytes(first);
                let next = counter & !0xffff_ffff | u128::from((counter as u32).wrapping_add(1));
                apply_counter(key, next.to_be_bytes(), &mut text);
                if self.encrypt {
                    tag = gcm_tag(key, first, input.aad, &text);
                }
                tag
            }
            AeadAlgorithm::Ccm => {
                let plain_tag =
                    |text: &[u8]| ccm_tag(key, input.nonce, input.aad, text, self.tag_len);
                let mut tag = plain_tag(&text);
                apply_counter(key, ccm_counter(input.nonce, 1), &mut text);
                if !self.encrypt {
                    tag = plain_tag(&text);
                }
                xor(tag, encrypt_block(key, ccm_counter(input.nonce, 0)))
            }
            AeadAlgorithm::ChaCha20Poly1305 => {
                return self.chacha20_poly1305(&input, text, given_tag);
            }
        };
        let tag = &tag[..self.tag_len];
        if self.encrypt {
            text.extend(tag);
        } else if tag != given_tag {
            return Err(BAD_MESSAGE);
        }
        Ok(text)
    }

    fn chacha20_poly1305(
        &self,
        input: &Input<'_>,
        mut text: Vec<u8>,
        given_tag: &[u8],
    ) -> Result<Vec<u8>, u8> {
        let cipher = ChaCha20Poly1305::new_from_slice(&self.key).unwrap();
        let nonce = input.nonce.try_into().unwrap();
        if self.encrypt {
            let data = text.as_mut_slice().into();
            let tag = cipher.encrypt_inout_detached(nonce, input.aad, data);
            text.extend(tag.unwrap());
            return Ok(text);
        }
        let tag = given_tag.try_into().unwrap();
        let data = text.as_mut_slice().into();
        let opened = cipher.decrypt_inout_detached(nonce, input.aad, data, tag);
        opened.map_err(|_| BAD_MESSAGE)?;
        Ok(text)
    }
}

pub(super) fn serve_stateless(request: Request<'_>) -> Result<Vec<u8>, u8> {
    let lens = [28, 36, 40, 44, 48, 52].map(|at| request.usize(at));
    let [
        key_len,
        iv_len,
        tag_len,
        aad_len,
        source_len,
        destination_len,
    ] = lens;
    let [key, nonce, source, aad] = request.parts([key_len, iv_len, source_len, aad_len]);
    let session = Session::new(request.u32(24), request.u32(32), key, (tag_len, aad_len));
    session.check(request, (aad_len, source_len, destination_len, tag_len));
    session.compute(Input { nonce, aad, source })
}
