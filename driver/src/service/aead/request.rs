//! A request of authenticated encryption: its lengths checked, its parts in their order.

use super::{Aead, AeadRole};
use crate::{
    Error, Platform,
    error::{check_at_most, check_countable, check_exact_len, check_one_of_lens},
    request::{mode::Mode, sending::Message},
    wire::{self, AeadLens, Direction, Head},
};

/// What goes into a request beside data and tag.
#[derive(Clone, Copy, Debug)]
pub(super) struct Input<'a> {
    pub(super) nonce: &'a [u8],
    pub(super) aad: &'a [u8],
}

impl<P: Platform, R: AeadRole> Aead<P, R> {
    /// Returns the bytes of a request beside the data. Nonce and additional data have been checked.
    pub(super) fn other_bytes(&self, nonce_len_bytes: usize, aad_len_bytes: usize) -> usize {
        let own_bytes = self.mode.overhead_bytes() + self.tag_len_bytes;
        own_bytes
            .saturating_add(nonce_len_bytes)
            .saturating_add(aad_len_bytes)
    }

    fn check_lens(&self, input: &Input<'_>, len_bytes: usize, tag: &[u8]) -> Result<(), Error> {
        let Input { nonce, aad } = input;
        check_one_of_lens("nonce", nonce.len(), self.algorithm.nonce_lens_bytes())?;
        check_exact_len("tag", tag.len(), self.tag_len_bytes)?;
        match self.aad_len_bytes {
            Some(required_bytes) => {
                check_exact_len("additional data", aad.len(), required_bytes)?;
            }
            None => {
                check_countable("additional data", aad.len())?;
            }
        }
        let max_bytes = self.algorithm.max_len_bytes(nonce.len()) as u64;
        check_at_most("data", len_bytes, max_bytes)?;
        let other_bytes = self.other_bytes(nonce.len(), aad.len());
        let capabilities = &self.mode.epoch().capabilities;
        capabilities.check_len(other_bytes, len_bytes, 2)
    }

    /// Puts an encryption together, whose tag goes to `tag`.
    pub(super) fn encryption<'a>(
        &'a self,
        input: Input<'a>,
        len_bytes: usize,
        tag: &'a mut [u8],
    ) -> Result<Message<'a>, Error> {
        self.check_lens(&input, len_bytes, tag)?;
        Ok(Message {
            head: self.head(&input, len_bytes),
            before: [self.mode.key(), input.nonce, &[], &[]],
            after: [&[], input.aad],
            result: tag,
        })
    }

    /// Puts a decryption together.
    pub(super) fn decryption<'a>(
        &'a self,
        input: Input<'a>,
        len_bytes: usize,
        tag: &'a [u8],
    ) -> Result<Message<'a>, Error> {
        self.check_lens(&input, len_bytes, tag)?;
        Ok(Message {
            head: self.head(&input, len_bytes),
            before: [self.mode.key(), input.nonce, &[], &[]],
            after: [tag, input.aad],
            result: &mut [],
        })
    }

    fn head(&self, input: &Input<'_>, len_bytes: usize) -> Head {
        let tag_len_bytes = self.tag_len_bytes as u32;
        let with_tag_len_bytes = len_bytes as u32 + tag_len_bytes;
        let (source_len_bytes, destination_len_bytes) = match R::DIRECTION {
            Direction::Encrypt => (len_bytes as u32, with_tag_len_bytes),
            Direction::Decrypt => (with_tag_len_bytes, len_bytes as u32),
        };
        let lens = AeadLens {
            iv_len_bytes: input.nonce.len() as u32,
            aad_len_bytes: input.aad.len() as u32,
            source_len_bytes,
            destination_len_bytes,
            tag_len_bytes,
        };
        match &self.mode {
            Mode::Session(session) => {
                let form = session.epoch.sessions.form();
                wire::aead_request(form, self.algorithm, R::DIRECTION, session.id(), lens)
            }
            Mode::Stateless(_) => {
                wire::stateless_aead_request(self.algorithm, R::DIRECTION, self.key_len_bytes, lens)
            }
        }
    }
}
