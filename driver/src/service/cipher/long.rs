//! Data that is longer than one request: cut into pieces, each of which goes on where the last
//! ended.
//!
//! For `process_long` and `process_slice`. The one rule: half a result is none, so one piece that
//! fails spoils all.

use super::{
    Cipher,
    batch::{Entry, all_or_nothing, rejoin},
    chaining::{Chaining, Iv, add_to_counter, iv_of, last_block},
};
use crate::{
    Error, Platform,
    dma::DmaBuffer,
    error::{Failed, Requirement, invalid_len},
    heap::room_for,
    request::exchange::Admission,
    wire::Direction,
};

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
    /// Those of [`process`](Self::process). If several pieces failed, that of the first. The buffer
    /// is wiped wherever the device had it, also where a piece succeeded. [`Error::OutOfMemory`],
    /// with the buffer as it was. [`Requirement::AtMost`] for data that does not fit one request of
    /// an algorithm that cannot be cut: XTS, whose data units are whole
    /// ([`process_units`](Self::process_units)), and stream ciphers with a state of their own.
    ///
    /// # Cancellation
    ///
    /// That of [`process`](Self::process), for each piece. Those that the device has are finished
    /// for nobody; those that wait their turn are freed.
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
        all_or_nothing(&mut pieces)?;
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
