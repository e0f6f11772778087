//! Authenticated encryption with additional data: the AEAD service (Virtio 1.3, 5.9.7.7).
//!
//! One type, [`Aead`], over its role: [`AeadEncrypt`] and [`AeadDecrypt`] differ in what becomes of
//! the tag. On the wire the tag follows the ciphertext: in what the device writes (encryption) or
//! reads (decryption). Here it is apart, in the slot's own memory. The rule: data is processed in
//! place, and nothing of it counts before its tag does.
//!
//! What the specification calls IV is called nonce here, as in the standards of all three
//! algorithms; a cipher's is an IV.
//!
//! The IV has `iv_len` bytes on the wire, as the structure says. A comment of the specification
//! speaks of 16 bytes whatever the length, and of a first byte that is reserved with CCM. With that
//! the source would not be where the structure has it, so the driver takes the comment for an
//! advice on the device's own memory.

mod decrypt;
mod encrypt;
mod request;

use core::{fmt::Debug, marker::PhantomData};

use crate::{
    Error, Platform,
    device::Device,
    error::{check_countable, check_one_of_lens},
    request::{
        mode::{Mode, Stateless, StatelessFeature},
        session::Session,
    },
    service::role::{Decryption, Encryption},
    wire::{AeadAlgorithm, Direction, SessionParameters},
};

/// Authenticated encryption or decryption with a key, as its role says: [`AeadEncrypt`] and
/// [`AeadDecrypt`].
#[derive(Debug)]
pub struct Aead<P: Platform, R: AeadRole> {
    mode: Mode<P>,
    algorithm: AeadAlgorithm,
    key_len_bytes: u32,
    tag_len_bytes: usize,
    /// That of a session; without one, each request has its own.
    aad_len_bytes: Option<usize>,
    role: PhantomData<R>,
}

/// Authenticated encryption with a key, opened and closed as [`Aead`] says.
///
/// A nonce that comes twice with one key gives away what both hide, and with GCM and
/// ChaCha20-Poly1305 lets others forge tags. How long nonces and tags are is up to the algorithm
/// ([`AeadAlgorithm`]). A GCM nonce of 16 bytes is J0, the first counter block (NIST SP 800-38D,
/// 7.1), which is what a nonce that is not 12 bytes long comes to; it must not be one that a
/// 12-byte nonce comes to as well.
///
/// # Cancellation
///
/// As with [`Cipher`](crate::Cipher): every future may be dropped at any time, and a buffer given
/// to it is freed when the device has let go of it. Slices and tag are then untouched.
pub type AeadEncrypt<P> = Aead<P, Encryption>;

/// Authenticated decryption with a key, opened and closed as [`Aead`] says: the opposite of
/// [`AeadEncrypt`].
///
/// Data whose tag is wrong is [`Error::TagMismatch`], and whatever the device made of it is wiped:
/// buffers come back with zeros.
///
/// # Cancellation
///
/// As with [`AeadEncrypt`].
pub type AeadDecrypt<P> = Aead<P, Decryption>;

/// What a session of authenticated encryption is for.
pub trait AeadRole: Debug {
    /// That of the session, and of each request.
    const DIRECTION: Direction;
}

impl AeadRole for Encryption {
    const DIRECTION: Direction = Direction::Encrypt;
}

impl AeadRole for Decryption {
    const DIRECTION: Direction = Direction::Decrypt;
}

impl<P: Platform, R: AeadRole> Aead<P, R> {
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
    /// If the future is dropped before it is ready, the session does not stay behind on the device.
    pub async fn open(
        device: &Device<P>,
        algorithm: AeadAlgorithm,
        key: &[u8],
        tag_len_bytes: usize,
        aad_len_bytes: usize,
    ) -> Result<Self, Error> {
        let epoch = device.epoch();
        let key_len_bytes = epoch.capabilities.check_aead_key(algorithm, key)?;
        check_one_of_lens("tag", tag_len_bytes, algorithm.tag_lens_bytes())?;
        let parameters = SessionParameters::Aead {
            algorithm,
            direction: R::DIRECTION,
            key_len_bytes,
            tag_len_bytes: tag_len_bytes as u32,
            aad_len_bytes: check_countable("additional data", aad_len_bytes)?,
        };
        let session = Session::create(epoch, &parameters, &[key, &[]]).await?;
        Ok(Self {
            mode: Mode::Session(session),
            algorithm,
            key_len_bytes,
            tag_len_bytes,
            aad_len_bytes: Some(aad_len_bytes),
            role: PhantomData,
        })
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
        let epoch = device.epoch();
        let key_len_bytes = epoch.capabilities.check_aead_key(algorithm, key)?;
        check_one_of_lens("tag", tag_len_bytes, algorithm.tag_lens_bytes())?;
        let stateless = Stateless::new(epoch, StatelessFeature::AEAD, &[key])?;
        Ok(Self {
            mode: Mode::Stateless(stateless),
            algorithm,
            key_len_bytes,
            tag_len_bytes,
            aad_len_bytes: None,
            role: PhantomData,
        })
    }

    /// Returns the algorithm.
    pub fn algorithm(&self) -> AeadAlgorithm {
        self.algorithm
    }

    /// Returns how many bytes a tag has.
    pub fn tag_len_bytes(&self) -> usize {
        self.tag_len_bytes
    }

    /// Returns how many bytes one request takes at most, with a nonce and additional data of
    /// these lengths.
    pub fn max_len_bytes(&self, nonce_len_bytes: usize, aad_len_bytes: usize) -> usize {
        let other_bytes = self.other_bytes(nonce_len_bytes, aad_len_bytes);
        let capabilities = &self.mode.epoch().capabilities;
        let max_bytes = capabilities.max_data_len_bytes(other_bytes, 2);
        max_bytes.min(self.algorithm.max_len_bytes(nonce_len_bytes))
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
    /// If the future is dropped, the session ends all the same.
    pub async fn close(self) -> Result<(), Error> {
        self.mode.close().await
    }
}
