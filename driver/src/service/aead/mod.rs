//! Authenticated encryption with additional data: the AEAD service (Virtio 1.3, 5.9.7.7).
//!
//! On the wire the tag follows the ciphertext, in what is written (encryption) and in what is read
//! (decryption). Here it is apart: the device writes it into the slot's own memory, or reads it from
//! there, so the data is processed in place.
//!
//! What the specification calls IV is called nonce here, as the standards of all three algorithms do; a
//! cipher's is an IV.
//!
//! The IV has `iv_len` bytes on the wire, as the structure says. A comment of the specification speaks
//! of 16 bytes whatever the length, and of a first byte that is reserved with CCM; with that the
//! source would not be where the structure has it, so it is taken for an advice on the device's own
//! memory.

mod core;

use alloc::vec::Vec;

use self::core::{Aead, Input, judge_tag};
use crate::{
    Error, Platform,
    device::Device,
    dma::DmaBuffer,
    error::Failed,
    request::Admission,
    service::data::{Data, Held, whole},
    wire::{AeadAlgorithm, Direction},
};

/// Authenticated encryption with a key.
///
/// A nonce that comes twice with one key gives away what both hide, and with GCM and
/// ChaCha20-Poly1305 lets others forge tags. How long nonces and tags are is up to the algorithm
/// ([`AeadAlgorithm`]). A GCM nonce of 16 bytes is J0, the first counter block (NIST SP 800-38D, 7.1),
/// which is what a nonce that is not 12 bytes long comes to; it must not be one that a 12-byte nonce
/// comes to as well.
///
/// # Cancellation
///
/// As with [`Cipher`](crate::Cipher): every future may be dropped at any time, and a buffer given to
/// it is freed when the device has let go of it. Slices and tag are then untouched.
#[derive(Debug)]
pub struct AeadEncrypt<P: Platform>(Aead<P>);

/// Authenticated decryption with a key: the opposite of [`AeadEncrypt`].
///
/// Data whose tag is wrong is [`Error::TagMismatch`], and whatever the device made of it is wiped:
/// buffers come back with zeros.
///
/// # Cancellation
///
/// As with [`AeadEncrypt`].
#[derive(Debug)]
pub struct AeadDecrypt<P: Platform>(Aead<P>);

/// What both types have alike.
macro_rules! common {
    ($name:ident, $direction:expr) => {
        impl<P: Platform> $name<P> {
            /// Opens a session with a key of one of the algorithm's lengths
            /// ([`AeadAlgorithm::key_lens_bytes`]), with tags of `tag_len_bytes` bytes
            /// ([`AeadAlgorithm::tag_lens_bytes`]) and always so many bytes of additional data: the
            /// specification has their number in the session and in each request, and a device may go
            /// by either.
            ///
            /// The key is copied into device memory, which is wiped when the device has answered;
            /// `key` itself is the caller's to wipe.
            ///
            /// # Errors
            ///
            /// [`Error::InvalidLength`]; [`Error::TooManySessions`]; [`Error::Refused`] as the device
            /// says (QEMU: `NotSupported`); [`Error::Broken`]; [`Error::ShutDown`].
            ///
            /// # Cancellation
            ///
            /// Dropped before it is ready, the session does not stay behind on the device.
            pub async fn open(
                device: &Device<P>,
                algorithm: AeadAlgorithm,
                key: &[u8],
                tag_len_bytes: usize,
                aad_len_bytes: usize,
            ) -> Result<Self, Error> {
                let direction = $direction;
                Aead::open(
                    device,
                    algorithm,
                    direction,
                    key,
                    tag_len_bytes,
                    aad_len_bytes,
                )
                .await
                .map(Self)
            }

            /// Makes requests without a session: each brings the key, and as many bytes of additional
            /// data as it likes. The driver keeps a copy of the key, which is wiped at the end.
            ///
            /// # Errors
            ///
            /// [`Error::InvalidLength`]; [`Error::FeatureMissing`] where
            /// `VIRTIO_CRYPTO_F_AEAD_STATELESS_MODE` has not been agreed on.
            pub fn stateless(
                device: &Device<P>,
                algorithm: AeadAlgorithm,
                key: &[u8],
                tag_len_bytes: usize,
            ) -> Result<Self, Error> {
                Aead::stateless(device, algorithm, $direction, key, tag_len_bytes).map(Self)
            }

            /// Returns the algorithm.
            pub fn algorithm(&self) -> AeadAlgorithm {
                self.0.algorithm
            }

            /// Returns how many bytes a tag has.
            pub fn tag_len_bytes(&self) -> usize {
                self.0.tag_len_bytes
            }

            /// Returns how many bytes one request takes at most, with a nonce and additional data of
            /// these lengths.
            pub fn max_len_bytes(&self, nonce_len_bytes: usize, aad_len_bytes: usize) -> usize {
                self.0.max_len_bytes(nonce_len_bytes, aad_len_bytes)
            }

            /// Ends the session and waits for the device's answer; without one, wipes the key.
            ///
            /// # Errors
            ///
            /// [`Error::Refused`], [`Error::Broken`] or [`Error::ShutDown`]; the session is gone for
            /// the driver in any case.
            ///
            /// # Cancellation
            ///
            /// Dropped, the session ends all the same.
            pub async fn close(self) -> Result<(), Error> {
                self.0.mode.close().await
            }
        }
    };
}

common!(AeadEncrypt, Direction::Encrypt);
common!(AeadDecrypt, Direction::Decrypt);

impl<P: Platform> AeadEncrypt<P> {
    /// Encrypts `buffer` in place, without copying, and writes its tag; waits for a slot if none is
    /// free. `aad` is authenticated and stays as it is.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidLength`], [`Error::Refused`], [`Error::ShortAnswer`], [`Error::ShutDown`],
    /// [`Error::OutOfDeviceMemory`] for long additional data: with the buffer, which is wiped if the
    /// device had it. [`Error::Broken`]: without it, if the device had it. `tag` is unchanged.
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
        let message = self.0.encryption(input, data.len_bytes(), tag);
        let outcome = data.send(&self.0.mode, message).await;
        data.give_back(outcome)
    }
}

impl<P: Platform> AeadDecrypt<P> {
    /// Decrypts `buffer` in place, without copying, if `tag` is that of it and of `aad`; waits for a
    /// slot if none is free.
    ///
    /// # Errors
    ///
    /// [`Error::TagMismatch`], by the device's word; else those of [`AeadEncrypt::encrypt`]. A buffer that the device had comes back wiped.
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
        let message = self.0.decryption(input, data.len_bytes(), tag);
        let outcome = data.send(&self.0.mode, message).await;
        data.give_back(judge_tag(outcome))
    }
}
