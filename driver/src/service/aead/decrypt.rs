//! Decryption: the device reads the tag, and says whether it is right.

use alloc::vec::Vec;

use super::{AeadDecrypt, request::Input};
use crate::{
    Error, Platform,
    dma::DmaBuffer,
    error::Failed,
    request::exchange::Admission,
    service::data::{Data, Held, whole},
    wire::Refusal,
};

impl<P: Platform> AeadDecrypt<P> {
    /// Decrypts `buffer` in place, without copying, if `tag` is that of it and of `aad`; waits for
    /// a slot if none is free.
    ///
    /// # Errors
    ///
    /// [`Error::TagMismatch`], by the device's word; else those of
    /// [`AeadEncrypt::encrypt`](super::AeadEncrypt::encrypt). A buffer that the device had comes
    /// back wiped.
    pub async fn decrypt(
        &self,
        nonce: &[u8],
        aad: &[u8],
        buffer: DmaBuffer<P>,
        tag: &[u8],
    ) -> Result<DmaBuffer<P>, Failed<DmaBuffer<P>>> {
        let data = Held::in_place(buffer, Admission::Wait);
        self.send(data, Input { nonce, aad }, tag).await
    }

    /// Like [`decrypt`](Self::decrypt), but never waits for a slot.
    ///
    /// # Errors
    ///
    /// Also [`Error::QueueFull`], with the buffer.
    pub async fn try_decrypt(
        &self,
        nonce: &[u8],
        aad: &[u8],
        buffer: DmaBuffer<P>,
        tag: &[u8],
    ) -> Result<DmaBuffer<P>, Failed<DmaBuffer<P>>> {
        let data = Held::in_place(buffer, Admission::Try);
        self.send(data, Input { nonce, aad }, tag).await
    }

    /// Decrypts several buffers in place, as if they were one. None of them may be empty.
    ///
    /// # Errors
    ///
    /// Those of [`decrypt`](Self::decrypt), and [`Error::TooManyBuffers`].
    pub async fn decrypt_list(
        &self,
        nonce: &[u8],
        aad: &[u8],
        buffers: Vec<DmaBuffer<P>>,
        tag: &[u8],
    ) -> Result<Vec<DmaBuffer<P>>, Failed<Vec<DmaBuffer<P>>>> {
        let data = Held::in_place(buffers, Admission::Wait);
        self.send(data, Input { nonce, aad }, tag).await
    }

    /// Decrypts `data` in place through a copy in device memory: up to 512 bytes in the slot's own,
    /// which allocates nothing. Waits for a slot if none is free.
    ///
    /// # Errors
    ///
    /// Those of [`decrypt`](Self::decrypt), and [`Error::OutOfDeviceMemory`]. `data` is unchanged.
    pub async fn decrypt_slice(
        &self,
        nonce: &[u8],
        aad: &[u8],
        data: &mut [u8],
        tag: &[u8],
    ) -> Result<(), Error> {
        self.send(whole(data), Input { nonce, aad }, tag).await
    }

    /// Decrypts data in any form.
    async fn send<D: Data<P>>(&self, mut data: D, input: Input<'_>, tag: &[u8]) -> D::Outcome {
        let message = self.decryption(input, data.len_bytes(), tag);
        let outcome = data.send(&self.mode, message).await;
        data.give_back(outcome.map_err(not_authentic))
    }
}

/// Gives a wrong tag the error that it has where the driver itself compares tags.
fn not_authentic(error: Error) -> Error {
    match error {
        Error::Refused(Refusal::BadMessage) => Error::TagMismatch,
        error => error,
    }
}
