//! A request and its session, and what a broken rule makes of the two.

use crate::{
    engine::broken::Broken,
    rules::Rule,
    services::{
        HashMode, Session, SessionKind,
        refusals::{FORGED, IV_LEN, NOT_SIGNED, PART_OF_A_BLOCK},
    },
    wire::{
        data::Input,
        header::{Direction, KeyOperation, Operation},
        status::Refusal,
    },
};

impl Broken {
    /// Computes what goes before the status.
    pub(super) fn compute(
        &self,
        session: &Session,
        operation: Operation,
        input: &Input<'_>,
    ) -> Result<Vec<u8>, Refusal> {
        let mut input = *input;
        if let Input::Chain(chain) = &mut input {
            if self.breaks(Rule::ChainOffsets) {
                (chain.cipher.0, chain.hash.0) = (0, 0);
            }
            if self.breaks(Rule::ChainAdditionalData) {
                chain.aad = &[];
            }
        }
        if self.breaks(Rule::EcdsaAnswers) && session.kind() == SessionKind::Ecdsa {
            return Err(Refusal::error("a broken rule"));
        }
        let outcome = session.compute(operation, &input);
        let mut result = match outcome {
            Ok(result) => result,
            Err(refusal) => self.accept(session, operation, input, refusal)?,
        };
        self.distort(session.kind(), operation, &input, &mut result);
        Ok(result)
    }

    /// Answers what has to be refused.
    fn accept(
        &self,
        session: &Session,
        operation: Operation,
        mut input: Input<'_>,
        refusal: Refusal,
    ) -> Result<Vec<u8>, Refusal> {
        match (refusal, &mut input) {
            (IV_LEN, _) if self.breaks(Rule::WrongIvLengthRefused) => {
                compute_with_another_iv(session, operation, input).ok_or(refusal)
            }
            (PART_OF_A_BLOCK, Input::Cipher(cipher)) if self.breaks(Rule::PartialBlockRefused) => {
                let blocks = cipher.source.len() / 16 * 16;
                cipher.source = &cipher.source[..blocks];
                cipher.destination_len = blocks as u32;
                session.compute(operation, &input)
            }
            (FORGED, Input::Aead(aead)) if self.breaks(Rule::AeadForgeryIsFound) => {
                let text_bytes = aead.source.len().saturating_sub(aead.tag_len as usize);
                Ok(aead.source[..text_bytes].to_vec())
            }
            (NOT_SIGNED, _) if self.breaks(Rule::ForgedSignatureIsFound) => Ok(Vec::new()),
            _ => Err(refusal),
        }
    }

    /// Makes a result wrong.
    fn distort(
        &self,
        kind: SessionKind,
        operation: Operation,
        input: &Input<'_>,
        result: &mut Vec<u8>,
    ) {
        let flips_last = match kind {
            SessionKind::Cipher => self.breaks(Rule::CipherAnswers),
            SessionKind::Chain(HashMode::Plain) => self.breaks(Rule::ChainAnswersPlain),
            SessionKind::Chain(HashMode::Authenticated) => self.breaks(Rule::ChainAnswersMac),
            SessionKind::Chain(HashMode::Nested) => false,
            SessionKind::Hash => {
                let len_bytes = source(input).len();
                self.breaks(Rule::HashAnswers)
                    || self.breaks(Rule::HashBoundaries) && (56..=64).contains(&len_bytes)
            }
            SessionKind::Mac => self.breaks(Rule::MacAnswers),
            SessionKind::Aead | SessionKind::Ecdsa => false,
            SessionKind::Rsa => self.breaks(Rule::RsaAnswers),
        };
        if flips_last {
            result.last_mut().into_iter().for_each(|last| *last ^= 1);
        }
        if kind == SessionKind::Cipher && self.breaks(Rule::CipherLong) {
            let beyond = result.iter_mut().zip(source(input)).skip(4096);
            beyond.for_each(|(byte, untouched)| *byte = *untouched);
        }
        if kind == SessionKind::Rsa && self.breaks(Rule::RsaLengthWhole) {
            let is_number = operation != Operation::Akcipher(KeyOperation::Decrypt);
            if is_number && result.first() == Some(&0) {
                result.pop();
            }
        }
        if let Input::Aead(aead) = input {
            let tag_bytes = match operation {
                Operation::Aead(Direction::Encrypt) => aead.tag_len as usize,
                _ => 0,
            };
            let text_bytes = result.len().saturating_sub(tag_bytes);
            if self.breaks(Rule::AeadAnswers) {
                let text = &mut result[..text_bytes];
                text.last_mut().into_iter().for_each(|last| *last ^= 1);
            }
            if self.breaks(Rule::AeadTagFollows) {
                result.rotate_left(text_bytes);
            }
        }
    }
}

/// Computes with an IV that is padded with zeros, or cut.
fn compute_with_another_iv(
    session: &Session,
    operation: Operation,
    input: Input<'_>,
) -> Option<Vec<u8>> {
    [16, 8, 12, 0].into_iter().find_map(|len| {
        let padded = |iv: &[u8]| {
            let mut iv = iv.to_vec();
            iv.resize(len, 0);
            iv
        };
        match input {
            Input::Cipher(mut cipher) => {
                let iv = padded(cipher.iv);
                cipher.iv = &iv;
                session.compute(operation, &Input::Cipher(cipher)).ok()
            }
            Input::Chain(mut chain) => {
                let iv = padded(chain.iv);
                chain.iv = &iv;
                session.compute(operation, &Input::Chain(chain)).ok()
            }
            Input::Aead(mut aead) => {
                let iv = padded(aead.iv);
                aead.iv = &iv;
                session.compute(operation, &Input::Aead(aead)).ok()
            }
            Input::Hash(_) | Input::Akcipher(_) => None,
        }
    })
}

fn source<'a>(input: &Input<'a>) -> &'a [u8] {
    match input {
        Input::Cipher(input) => input.source,
        Input::Chain(input) => input.source,
        Input::Hash(input) => input.source,
        Input::Aead(input) => input.source,
        Input::Akcipher(input) => input.source,
    }
}
