//! The AEAD service (5.9.7.7).
//!
//! GCM and CCM are put together of AES and GHASH here: libraries fix the lengths of nonce and tag
//! when they are compiled, and none begins GCM by a given J0.

use core::fmt;

use chacha20poly1305::{ChaCha20Poly1305, KeyInit, aead::AeadInOut};
use ghash::{GHash, universal_hash::UniversalHash};

use crate::{
    services::{
        aes_key::{AesKey, Block, padded, xor},
        refusals::{FORGED, IV_LEN, KEY_LEN},
    },
    wire::{
        algorithm::AeadAlgorithm, data::AeadInput, header::Direction, parameters::AeadParameters,
        status::Refusal,
    },
};

/// An algorithm with its key and lengths.
pub struct Aead {
    cipher: Cipher,
    direction: Direction,
    tag_bytes: usize,
    aad_bytes: usize,
}

enum Cipher {
    Gcm(AesKey),
    Ccm(AesKey),
    ChaCha20Poly1305(Box<ChaCha20Poly1305>),
}

/// What a text is and what it comes with.
#[derive(Clone, Copy)]
struct Message<'a> {
    iv: &'a [u8],
    aad: &'a [u8],
    text: &'a [u8],
}

impl Aead {
    /// Takes a key and the lengths of tag and additional data.
    pub fn new(parameters: &AeadParameters<'_>) -> Result<Self, Refusal> {
        let algorithm =
            AeadAlgorithm::of(parameters.algo).ok_or(Refusal::not_supported("no such AEAD"))?;
        let key = parameters.key.0;
        let aes = || AesKey::new(key).ok_or(KEY_LEN);
        let tag_bytes = parameters.tag_len as usize;
        let (cipher, has_tag) = match algorithm {
            // NIST SP 800-38D, 5.2.1.2.
            AeadAlgorithm::Gcm => (Cipher::Gcm(aes()?), matches!(tag_bytes, 4 | 8 | 12..=16)),
            // NIST SP 800-38C, A.1.
            AeadAlgorithm::Ccm => (
                Cipher::Ccm(aes()?),
                matches!(tag_bytes, 4 | 6 | 8 | 10 | 12 | 14 | 16),
            ),
            // RFC 8439, 2.8.
            AeadAlgorithm::ChaCha20Poly1305 => {
                let cipher = ChaCha20Poly1305::new_from_slice(key).map_err(|_| KEY_LEN)?;
                (Cipher::ChaCha20Poly1305(Box::new(cipher)), tag_bytes == 16)
            }
        };
        if !has_tag {
            return Err(Refusal::error("a tag of this length does not exist"));
        }
        Ok(Self {
            cipher,
            direction: parameters.direction,
            tag_bytes,
            aad_bytes: parameters.aad_len as usize,
        })
    }

    /// Encrypts, with the tag behind the result, or decrypts a source that has it there.
    pub fn compute(&self, direction: Direction, input: &AeadInput<'_>) -> Result<Vec<u8>, Refusal> {
        if direction != self.direction {
            return Err(Refusal::error("the session has the other direction"));
        }
        if input.aad.len() != self.aad_bytes || input.tag_len as usize != self.tag_bytes {
            return Err(Refusal::error("aad_len or tag_len is not the session's"));
        }
        let room_bytes = input.destination_len as usize;
        let (text, tag) = match direction {
            Direction::Encrypt => (input.source, &[][..]),
            Direction::Decrypt => {
                let text_bytes = input.source.len().checked_sub(self.tag_bytes);
                let text_bytes = text_bytes.ok_or(Refusal::error("a source without a tag"))?;
                input.source.split_at(text_bytes)
            }
        };
        let message = Message {
            iv: input.iv,
            aad: input.aad,
            text,
        };
        let result = match direction {
            Direction::Encrypt => self.seal(message)?,
            Direction::Decrypt => self.open(message, tag)?,
        };
        // The text asks for at least as much (5.9.7.7).
        if result.len() > room_bytes {
            return Err(Refusal::error("the destination has no room for the result"));
        }
        Ok(result)
    }

    fn seal(&self, message: Message<'_>) -> Result<Vec<u8>, Refusal> {
        let mut text = message.text.to_vec();
        let tag = match &self.cipher {
            Cipher::Gcm(key) => {
                let first = gcm_first(message.iv)?;
                gcm_apply(key, first, &mut text)?;
                gcm_tag(key, first, message.aad, &text)
            }
            Cipher::Ccm(key) => {
                let tag = ccm_tag(key, &message, self.tag_bytes)?;
                ccm_apply(key, message.iv, &mut text)?;
                xor(tag, key.encrypt(ccm_counter(message.iv, 0)))
            }
            Cipher::ChaCha20Poly1305(cipher) => {
                let nonce = message.iv.try_into().map_err(|_| IV_LEN)?;
                let text = text.as_mut_slice().into();
                let tag = cipher.encrypt_inout_detached(nonce, message.aad, text);
                tag.map_err(|_| TOO_LONG)?.into()
            }
        };
        text.extend(tag.iter().take(self.tag_bytes));
        Ok(text)
    }

    fn open(&self, message: Message<'_>, tag: &[u8]) -> Result<Vec<u8>, Refusal> {
        let mut text = message.text.to_vec();
        let expected = match &self.cipher {
            Cipher::Gcm(key) => {
                let first = gcm_first(message.iv)?;
                let tag = gcm_tag(key, first, message.aad, &text);
                gcm_apply(key, first, &mut text)?;
                tag
            }
            Cipher::Ccm(key) => {
                ccm_check(&message)?;
                ccm_apply(key, message.iv, &mut text)?;
                let opened = Message {
                    text: &text,
                    ..message
                };
                let tag = ccm_tag(key, &opened, self.tag_bytes)?;
                xor(tag, key.encrypt(ccm_counter(message.iv, 0)))
            }
            Cipher::ChaCha20Poly1305(cipher) => {
                let nonce = message.iv.try_into().map_err(|_| IV_LEN)?;
                let tag = tag.try_into().map_err(|_| FORGED)?;
                let data = text.as_mut_slice().into();
                let opened = cipher.decrypt_inout_detached(nonce, message.aad, data, tag);
                return opened.map(|()| text).map_err(|_| FORGED);
            }
        };
        // A model for tests has no secrets to keep from whoever measures its time.
        if expected.iter().take(self.tag_bytes).eq(tag) {
            Ok(text)
        } else {
            Err(FORGED)
        }
    }
}

impl fmt::Debug for Aead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match &self.cipher {
            Cipher::Gcm(_) => "AES-GCM",
            Cipher::Ccm(_) => "AES-CCM",
            Cipher::ChaCha20Poly1305(_) => "ChaCha20-Poly1305",
        };
        write!(f, "{name} to {:?}", self.direction)
    }
}

const TOO_LONG: Refusal = Refusal::error("a text that is too long for the IV");

/// Returns J0: of 12 bytes as NIST SP 800-38D, 7.1 says, of 16 bytes these (5.9.7.7).
fn gcm_first(iv: &[u8]) -> Result<Block, Refusal> {
    match iv.len() {
        12 => {
            let mut block = padded(iv);
            block[15] = 1;
            Ok(block)
        }
        16 => Ok(padded(iv)),
        _ => Err(IV_LEN),
    }
}

fn gcm_apply(key: &AesKey, first: Block, text: &mut [u8]) -> Result<(), Refusal> {
    let number = u128::from_be_bytes(first);
    let next = number & !0xffff_ffff | u128::from((number as u32).wrapping_add(1));
    key.apply_counter(next.to_be_bytes(), text).ok_or(TOO_LONG)
}

fn gcm_tag(key: &AesKey, first: Block, aad: &[u8], sealed: &[u8]) -> Block {
    let mut hash = GHash::new(&key.encrypt([0; 16]).into());
    hash.update_padded(aad);
    hash.update_padded(sealed);
    let bits = |part: &[u8]| part.len() as u128 * 8;
    let lens = bits(aad) << 64 | bits(sealed);
    hash.update(&[lens.to_be_bytes().into()]);
    xor(hash.finalize().into(), key.encrypt(first))
}

/// Returns how many bytes the length of a text has (NIST SP 800-38C, A.1), if it fits.
///
/// The text of 5.9.7.7 says in one place that the nonce begins at the second byte of `iv`, and in
/// another that `iv` has as many bytes as the nonce. Only the second leaves a whole nonce.
fn ccm_check(message: &Message<'_>) -> Result<usize, Refusal> {
    if !(7..=13).contains(&message.iv.len()) {
        return Err(IV_LEN);
    }
    let len_bytes = 15 - message.iv.len();
    let fits = (message.text.len() as u128) < 1 << (8 * len_bytes);
    if fits { Ok(len_bytes) } else { Err(TOO_LONG) }
}

fn ccm_counter(iv: &[u8], count: u8) -> Block {
    let mut block = padded(&[&[14 - iv.len() as u8], iv].concat());
    block[15] = count;
    block
}

/// The lengths of nonces leave the counter at least 16 bits, and the text is no longer than those
/// can count.
fn ccm_apply(key: &AesKey, iv: &[u8], text: &mut [u8]) -> Result<(), Refusal> {
    key.apply_counter(ccm_counter(iv, 1), text).ok_or(TOO_LONG)
}

/// Returns the CBC-MAC of NIST SP 800-38C, 6.1, formatted by its appendix A.2.
fn ccm_tag(key: &AesKey, message: &Message<'_>, tag_bytes: usize) -> Result<Block, Refusal> {
    let len_bytes = ccm_check(message)?;
    let has_aad = u8::from(!message.aad.is_empty());
    let flags = has_aad << 6 | ((tag_bytes as u8 - 2) / 2) << 3 | (len_bytes as u8 - 1);
    let mut first = padded(&[&[flags], message.iv].concat());
    let len = (message.text.len() as u64).to_be_bytes();
    let shared = len_bytes.min(len.len());
    first[16 - shared..].copy_from_slice(&len[len.len() - shared..]);

    let aad = match message.aad.len() {
        0 => Vec::new(),
        len @ ..0xff00 => [&(len as u16).to_be_bytes(), message.aad].concat(),
        len => [&[0xff, 0xfe], &(len as u32).to_be_bytes()[..], message.aad].concat(),
    };
    let blocks = aad.chunks(16).chain(message.text.chunks(16)).map(padded);
    let begun = key.chain([0; 16], first);
    Ok(blocks.fold(begun, |state, block| key.chain(state, block)))
}
