//! Data that is longer than one request: cut into pieces that follow from each other by the rules
//! of the mode (NIST SP 800-38A).

use super::{
    Cipher, MAX_IV_LEN,
    batch::{Entry, judge, rejoin},
};
use crate::{
    Error, Platform,
    dma::DmaBuffer,
    error::{Failed, Requirement, invalid_len},
    heap::room_for,
    request::Admission,
    wire::{CipherAlgorithm, Direction},
};

/// How data goes on behind a cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Chaining {
    /// Every block is for itself.
    Independent,
    /// The last block of ciphertext is the next IV.
    Ciphertext,
    /// The IV counts blocks, big-endian over its whole length, and wraps (SP 800-38A, B.1 with
    /// *m* = *b*, as QEMU's libraries do).
    Counter,
    /// By a state that no IV tells: no cut is possible.
    Hidden,
}

impl Chaining {
    pub(crate) fn of(algorithm: CipherAlgorithm) -> Self {
        match algorithm {
            CipherAlgorithm::AesEcb | CipherAlgorithm::DesEcb | CipherAlgorithm::TripleDesEcb => {
                Self::Independent
            }
            CipherAlgorithm::AesCbc | CipherAlgorithm::DesCbc | CipherAlgorithm::TripleDesCbc => {
                Self::Ciphertext
            }
            CipherAlgorithm::AesCtr | CipherAlgorithm::TripleDesCtr => Self::Counter,
            // Within a data unit of XTS the tweak is multiplied on from block to block (IEEE 1619,
            // 5.3), and a request begins with the one that its unit's number gives.
            CipherAlgorithm::Arc4
            | CipherAlgorithm::KasumiF8
            | CipherAlgorithm::Snow3gUea2
            | CipherAlgorithm::AesF8
            | CipherAlgorithm::AesXts
            | CipherAlgorithm::ZucEea3 => Self::Hidden,
        }
    }
}

/// An IV, counter block or last block, of which as much counts as the algorithm has.
pub(crate) type Iv = arrayvec::ArrayVec<u8, MAX_IV_LEN>;

/// Returns `bytes` as an IV; no more than there is room for.
pub(crate) fn iv_of(bytes: &[u8]) -> Iv {
    bytes.iter().copied().take(MAX_IV_LEN).collect()
}

/// Returns the last `len_bytes` bytes of `data` as an IV, or all of it.
pub(crate) fn last_block(data: &[u8], len_bytes: usize) -> Iv {
    iv_of(&data[data.len().saturating_sub(len_bytes)..])
}

/// Adds to a big-endian number of any length, which wraps.
pub(crate) fn add_to_counter(counter: &mut [u8], blocks: u64) {
    let mut carry = u128::from(blocks);
    for byte in counter.iter_mut().rev() {
        carry += u128::from(*byte);
        *byte = carry as u8;
        carry >>= 8;
    }
}

impl<P: Platform> Cipher<P> {
    /// Processes a buffer of any length in place, without copying: as one request if it takes no
    /// more than [`max_len_bytes`](Self::max_len_bytes), else as several, cut where a piece can go
    /// on from the one before.
    ///
    /// ECB, CTR and the decryption of CBC send all pieces at once; in the encryption of CBC each
    /// waits for the last. Allocates two hundred bytes for each piece.
    ///
    /// # Errors
    ///
    /// Those of [`process`](Self::process); of more pieces that failed, that of the first. The buffer is
    /// wiped wherever the device had it, also where a piece succeeded. [`Error::OutOfMemory`], with the
    /// buffer as it was.
    /// [`Requirement::AtMost`] for data that does not fit one request of an algorithm that cannot
    /// be cut: XTS, whose data units are whole
    /// ([`process_units`](Self::process_units)), and stream ciphers with a state of their own.
    ///
    /// # Cancellation
    ///
    /// That of [`process`](Self::process), for each piece: those that the device has are finished for
    /// nobody, those that wait their turn are freed.
    pub async fn process_long(
        &self,
        iv: &[u8],
        buffer: DmaBuffer<P>,
    ) -> Result<DmaBuffer<P>, Failed<DmaBuffer<P>>> {
        if buffer.len() <= self.max_len_bytes() {
            return self.process(iv, buffer).await;
        }
        let room = self
            .check_long(iv, buffer.len())
            .and_then(|piece_len_bytes| {
                let room = room_for(buffer.len().div_ceil(piece_len_bytes))?;
                Ok((piece_len_bytes, room))
            });
        let (piece_len_bytes, mut pieces) = match room {
            Ok(room) => room,
            Err(error) => {
                let returned = Some(buffer);
                return Err(Failed { error, returned });
            }
        };
        let entry = |piece| Entry::new(Iv::new(), piece);
        pieces.extend(buffer.split(piece_len_bytes).map(entry));
        self.process_pieces(iv, &mut pieces).await;
        rejoin(pieces)
    }

    /// Processes `data`, then `padding`, as if they were one, through copies in device memory, each
    /// no longer than one request. Both are unchanged unless all of it succeeds.
    pub(super) async fn process_copies(
        &self,
        iv: &[u8],
        data: &mut [u8],
        padding: &mut [u8],
    ) -> Result<(), Error> {
        let piece_len_bytes = self.check_long(iv, data.len() + padding.len())?;
        let mut pieces = room_for(data.len().div_ceil(piece_len_bytes))?;
        let mut rest = &*data;
        while !rest.is_empty() {
            let (piece, behind) = rest.split_at(rest.len().min(piece_len_bytes));
            // A piece is whole blocks, so the padding of the last block is with what it pads.
            let padded = if behind.is_empty() { padding.len() } else { 0 };
            let mut buffer = DmaBuffer::new(piece.len() + padded)?;
            buffer[..piece.len()].copy_from_slice(piece);
            buffer[piece.len()..].copy_from_slice(&padding[..padded]);
            pieces.push(Entry::new(Iv::new(), buffer));
            rest = behind;
        }
        self.process_pieces(iv, &mut pieces).await;
        judge(&mut pieces)?;
        for (data, piece) in data.chunks_mut(piece_len_bytes).zip(&pieces) {
            let (result, padded) = piece.data().split_at(data.len());
            data.copy_from_slice(result);
            if !padded.is_empty() {
                padding.copy_from_slice(padded);
            }
        }
        Ok(())
    }

    /// Checks lengths but for the device's limit, and returns the length of a piece within it.
    fn check_long(&self, iv: &[u8], len_bytes: usize) -> Result<usize, Error> {
        self.check_shape(iv, len_bytes)?;
        let max_bytes = self.max_len_bytes();
        let piece_len_bytes = max_bytes - max_bytes % self.algorithm.block_len_bytes();
        let fits = len_bytes <= max_bytes;
        if !fits && (piece_len_bytes == 0 || Chaining::of(self.algorithm) == Chaining::Hidden) {
            let max_bytes = max_bytes as u64;
            let requirement = Requirement::AtMost { max_bytes };
            return Err(invalid_len("data", len_bytes, requirement));
        }
        Ok(if fits { max_bytes } else { piece_len_bytes })
    }

    /// Processes pieces that are one behind the other, none too long and all but the last of whole
    /// blocks; each says how it ended, but for those behind a failed one whose turn never came.
    async fn process_pieces<'s>(&'s self, iv: &[u8], pieces: &mut [Entry<'s, P>]) {
        let chaining = Chaining::of(self.algorithm);
        let mut next = iv_of(iv);
        if chaining == Chaining::Ciphertext && self.direction == Direction::Encrypt {
            // Each goes on with the end of the one before.
            for piece in pieces {
                let sent = self.transfer(&next, &mut piece.buffers, Admission::Wait);
                let outcome = sent.await;
                piece.outcome = Some(outcome);
                if outcome.is_err() {
                    return;
                }
                next = last_block(piece.data(), next.len());
            }
            return;
        }
        for piece in &mut *pieces {
            piece.iv = next.clone();
            match chaining {
                Chaining::Counter => {
                    let blocks = piece
                        .data()
                        .len()
                        .div_ceil(self.algorithm.block_len_bytes());
                    add_to_counter(&mut next, blocks as u64);
                }
                Chaining::Ciphertext => next = last_block(piece.data(), next.len()),
                Chaining::Independent | Chaining::Hidden => {}
            }
        }
        self.process_entries(pieces).await;
    }
}
