//! Encryption: the device writes the tag.

use alloc::vec::Vec;

use super::{AeadEncrypt, request::Input};
use crate::{
    Error, Platform,
    dma::DmaBuffer,
    error::Failed,
    request::exchange::Admission,
    service::data::{Data, Held, whole},
};

impl<P: Platform> AeadEncrypt<P> {
    /// Encrypts `buffer` in place, without copying, and writes its tag; waits for a slot if none is
    /// free. `aad` is authenticated and stays as it is.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidLength`], [`Error::Refused`], [`Error::ShortAnswer`], [`Error::ShutDown`],
    /// [`Error::OutOfDeviceMemory`] for long additional data: with the buffer, which is wiped if
    /// the device had it. [`Error::Broken`]: without it, if the device had it. `tag` is unchanged.
    pub async fn encrypt(
        &self,
        nonce: &[u8],
        aad: &[u8],
        buffer: DmaBuffer<P>,
        tag: &mut [u8],
    ) -> Result<DmaBuffer<P>, Failed<DmaBuffer<P>>> {
        let data = Held::in_place(buffer, Admission::Wait);
        self.send(data, Input { nonce, aad }, tag).await
    }

    /// Like [`encrypt`](Self::encrypt), but never waits for a slot.
    ///
    /// # Errors
    ///
    /// Also [`Error::QueueFull`], with the buffer.
    pub async fn try_encrypt(
        &self,
        nonce: &[u8],
        aad: &[u8],
        buffer: DmaBuffer<P>,
        tag: &mut [u8],
    ) -> Result<DmaBuffer<P>, Failed<DmaBuffer<P>>> {
        let data = Held::in_place(buffer, Admission::Try);
        self.send(data, Input { nonce, aad }, tag).await
    }

    /// Encrypts several buffers in place, as if they were one. None of them may be empty.
    ///
    /// # Errors
    ///
    /// Those of [`encrypt`](Self::encrypt), and [`Error::TooManyBuffers`].
    pub async fn encrypt_list(
        &self,
        nonce: &[u8],
        aad: &[u8],
        buffers: Vec<DmaBuffer<P>>,
        tag: &mut [u8],
    ) -> Result<Vec<DmaBuffer<P>>, Failed<Vec<DmaBuffer<P>>>> {
        let data = Held::in_place(buffers, Admission::Wait);
        self.send(data, Input { nonce, aad }, tag).await
    }

    /// Encrypts `data` in place through a copy in device memory: up to 512 bytes in the slot's own,
    /// which allocates nothing. Waits for a slot if none is free.
    ///
    /// # Errors
    ///
    /// Those of [`encrypt`](Self::encrypt), and [`Error::OutOfDeviceMemory`]. `data` and `tag` are
    /// unchanged.
    pub async fn encrypt_slice(
        &self,
        nonce: &[u8],
        aad: &[u8],
        data: &mut [u8],
        tag: &mut [u8],
    ) -> Result<(), Error> {
        self.send(whole(data), Input { nonce, aad }, tag).await
    }

    /// Encrypts data in any form.
    async fn send<D: Data<P>>(&self, mut data: D, input: Input<'_>, tag: &mut [u8]) -> D::Outcome {
        let message = self.encryption(input, data.len_bytes(), tag);
        let outcome = data.send(&self.mode, message).await;
        data.give_back(outcome)
    }
}
