//! RSA (RFC 8017): what its types have in common; RSAES-PKCS1-v1_5 and the primitives alone.
//!
//! # Results that come short
//!
//! A ciphertext and a signature have the bytes of the modulus. If the number has leading zero
//! bytes, QEMU with nettle (crypto/akcipher-nettle.c.inc) writes all of it but counts the bytes
//! without the zeros, and so cuts as many off the *end*. The driver never passes such a result on.
//! It makes an encryption anew, since its padding is random. It tries the last bytes of a signature
//! until a VERIFY with the public half proves them.
//!
//! If the modulus is a whole number of bytes, one result in 128 to 256 begins with a zero byte; if
//! it is a bit longer, up to nearly all do. In the second case a message is encrypted with a
//! multiple of the modulus that fills its bytes, and the ciphertext is reduced. That is right: a
//! result modulo the multiple holds modulo the modulus, too, and the message, padded to the same
//! bytes, is below both. Signatures have no such way, and take their search nearly every time.

use alloc::borrow::Cow;
use core::{fmt::Debug, marker::PhantomData};

use zeroize::{Zeroize, Zeroizing};

use super::{
    half::{Half, RsaHalf},
    key::Key,
    numbers::{MAX_MODULUS_LEN, reduce},
    rsa_keys::{RsaPrivateKey, RsaPublicKey},
};
use crate::{
    Error, Platform,
    device::Device,
    error::{check_at_least, check_at_most, check_exact_len},
    service::role::{Decryption, Encryption, RawDecryption, RawEncryption},
    wire::{AkcipherOperation, AkcipherScheme, RsaHash},
};

/// Bytes that the padding of an encrypted message takes at least (RFC 8017, 7.2.1).
const ENCRYPTION_PADDING_LEN: usize = 11;
/// How often an encryption that comes short is made anew. One in eight does at most
/// ([`RsaPublicKey::to_encrypt_with`]), so all of them do once in 2^48 times.
const ENCRYPTION_TRIES: usize = 16;

/// RSA with one half of a key, as its role says: [`RsaEncryptor`], [`RsaDecryptor`],
/// [`RsaRawEncryptor`] and [`RsaRawDecryptor`].
#[derive(Debug)]
pub struct Rsa<P: Platform, R: RsaRole> {
    key: Key<P>,
    public_key: RsaPublicKey,
    role: PhantomData<R>,
}

/// Encryption with a public key, opened and closed as [`Rsa`] says.
pub type RsaEncryptor<P> = Rsa<P, Encryption>;

/// Decryption with a private key, which the device holds or, stateless, the driver. Opened and
/// closed as [`Rsa`] says.
pub type RsaDecryptor<P> = Rsa<P, Decryption>;

/// RSAEP, the encryption primitive (RFC 8017, 5.1.1): no padding, so no security by itself. QEMU
/// with nettle opens its session and refuses the operations. Opened and closed as [`Rsa`] says.
pub type RsaRawEncryptor<P> = Rsa<P, RawEncryption>;

/// RSADP, the decryption primitive (RFC 8017, 5.1.2): no padding, so no security by itself. QEMU
/// with nettle opens its session and refuses the operations. Opened and closed as [`Rsa`] says.
pub type RsaRawDecryptor<P> = Rsa<P, RawDecryption>;

/// The hash of a session that has no use for one: QEMU refuses it without, and knows this one.
const UNUSED_HASH: RsaHash = RsaHash::Sha256;

/// What a session of RSA is for.
pub trait RsaRole: Debug {
    /// The half of a key that it takes.
    type Key: RsaHalf;

    /// What the session computes.
    const SCHEME: AkcipherScheme;

    /// Returns a key as the device is to have it.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidKey`].
    fn encoding(key: &Self::Key) -> Result<Cow<'_, [u8]>, Error> {
        Ok(Cow::Borrowed(key.encoding()))
    }
}

impl RsaRole for Encryption {
    type Key = RsaPublicKey;
    const SCHEME: AkcipherScheme = AkcipherScheme::RsaPkcs1(UNUSED_HASH);

    fn encoding(key: &RsaPublicKey) -> Result<Cow<'_, [u8]>, Error> {
        key.to_encrypt_with()
    }
}

impl RsaRole for Decryption {
    type Key = RsaPrivateKey;
    const SCHEME: AkcipherScheme = AkcipherScheme::RsaPkcs1(UNUSED_HASH);
}

impl RsaRole for RawEncryption {
    type Key = RsaPublicKey;
    const SCHEME: AkcipherScheme = AkcipherScheme::RsaRaw;
}

impl RsaRole for RawDecryption {
    type Key = RsaPrivateKey;
    const SCHEME: AkcipherScheme = AkcipherScheme::RsaRaw;
}

impl<P: Platform, R: RsaRole> Rsa<P, R> {
    /// Opens a session with a public key to encrypt, or a private one to decrypt. The key is copied
    /// into device memory, which is wiped when the device has answered.
    ///
    /// # Errors
    ///
    /// [`Error::TooManySessions`]; [`Error::OutOfDeviceMemory`] where the key does not fit into a
    /// slot; [`Error::Refused`] as the device says (QEMU: `Error` when its own limit of 256
    /// sessions is met); [`Error::Broken`]; [`Error::ShutDown`].
    ///
    /// # Cancellation
    ///
    /// If the future is dropped before it is ready, the session does not stay behind on the device.
    pub async fn open(device: &Device<P>, key: &R::Key) -> Result<Self, Error> {
        let encoding = R::encoding(key)?;
        let opened = Key::open(device.epoch(), R::SCHEME, R::Key::TYPE, &encoding).await?;
        Ok(Self::new(opened, key))
    }

    /// Makes requests without a session: each brings the key. The driver keeps a copy of it, which
    /// is wiped at the end.
    ///
    /// # Errors
    ///
    /// [`Error::FeatureMissing`] where `VIRTIO_CRYPTO_F_AKCIPHER_STATELESS_MODE` has not been
    /// agreed on. Requests also end with [`Error::OutOfDeviceMemory`], where a long key has no room
    /// in a slot, and [`Error::TooManyBuffers`] on a queue of a few entries.
    pub fn stateless(device: &Device<P>, key: &R::Key) -> Result<Self, Error> {
        let encoding = R::encoding(key)?;
        let opened = Key::stateless(device.epoch(), R::SCHEME, R::Key::TYPE, &encoding)?;
        Ok(Self::new(opened, key))
    }

    fn new(opened: Key<P>, key: &R::Key) -> Self {
        Self {
            key: opened,
            public_key: key.public_half().clone(),
            role: PhantomData,
        }
    }

    /// Returns the public key, or the public half of the private one.
    pub fn public_key(&self) -> &RsaPublicKey {
        &self.public_key
    }

    /// Ends the session and waits for the device's answer; without one, wipes the key.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`], [`Error::Broken`] or [`Error::ShutDown`]; the session is gone for the
    /// driver in any case.
    ///
    /// # Cancellation
    ///
    /// If the future is dropped, the session ends all the same.
    pub async fn close(self) -> Result<(), Error> {
        self.key.close().await
    }

    /// Raises a number below the modulus to an exponent.
    async fn raise(
        &self,
        operation: AkcipherOperation,
        number: &[u8],
        result: &mut [u8],
    ) -> Result<(), Error> {
        self.public_key.check_number("number", number)?;
        check_exact_len("result", result.len(), number.len())?;
        let len_bytes = self.key.transform(operation, number, result).await?;
        check_whole(len_bytes, result)
    }
}

impl<P: Platform> RsaEncryptor<P> {
    /// Returns the length of the longest message in bytes.
    pub fn max_message_len_bytes(&self) -> usize {
        self.public_key.modulus_len_bytes() - ENCRYPTION_PADDING_LEN
    }

    /// Encrypts a message of 1 to [`max_message_len_bytes`](Self::max_message_len_bytes) bytes into
    /// `ciphertext`, which is as long as the modulus (RFC 8017, 7.2.1).
    ///
    /// # Errors
    ///
    /// [`Error::InvalidLength`], [`Error::Refused`], [`Error::Broken`], [`Error::ShutDown`];
    /// [`Error::ShortAnswer`] from a device that always answers so. `ciphertext` is unchanged or
    /// zeros then.
    ///
    /// # Cancellation
    ///
    /// If the future is dropped, the device finishes the request for nobody.
    pub async fn encrypt(&self, message: &[u8], ciphertext: &mut [u8]) -> Result<(), Error> {
        let max_bytes = self.max_message_len_bytes();
        check_at_least("message", message.len(), 1)?;
        check_at_most("message", message.len(), max_bytes as u64)?;
        check_exact_len(
            "ciphertext",
            ciphertext.len(),
            self.public_key.modulus_len_bytes(),
        )?;
        let mut outcome = Ok(());
        for _ in 0..ENCRYPTION_TRIES {
            let sent = self
                .key
                .transform(AkcipherOperation::Encrypt, message, ciphertext);
            outcome = check_whole(sent.await?, ciphertext);
            if outcome.is_ok() {
                reduce(ciphertext, self.public_key.modulus());
                break;
            }
        }
        outcome
    }
}

impl<P: Platform> RsaDecryptor<P> {
    /// Decrypts a ciphertext, as long as the modulus, into the first bytes of `message`, which has
    /// room for the longest one: the modulus less 11 bytes (RFC 8017, 7.2.2). Returns the message's
    /// length.
    ///
    /// Whether a ciphertext was padded rightly, and how long it took to tell, give the key's
    /// secrets away to a peer that may try many (Bleichenbacher's attack): do not let a peer see
    /// either.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidLength`], [`Error::NotBelowModulus`]; [`Error::Refused`], also for a
    /// ciphertext that is none of this key (QEMU: `Error`); [`Error::InvalidAnswer`],
    /// [`Error::Broken`], [`Error::ShutDown`]. `message` is unchanged then.
    ///
    /// # Cancellation
    ///
    /// If the future is dropped, `message` is unchanged.
    pub async fn decrypt(&self, ciphertext: &[u8], message: &mut [u8]) -> Result<usize, Error> {
        self.public_key.check_number("ciphertext", ciphertext)?;
        let max_len_bytes = ciphertext.len() - ENCRYPTION_PADDING_LEN;
        check_at_least("message", message.len(), max_len_bytes)?;
        let mut result = Zeroizing::new([0; MAX_MODULUS_LEN]);
        let result = &mut result[..ciphertext.len()];
        let sent = self
            .key
            .transform(AkcipherOperation::Decrypt, ciphertext, result);
        let mut len_bytes = sent.await?;
        // QEMU says nothing of an empty message, and leaves the count at all that is writable
        // (hw/virtio/virtio-crypto.c, `virtio_crypto_akcipher_input_data_helper`): the ciphertext
        // is still where the message would be.
        if len_bytes == ciphertext.len() && *result == *ciphertext {
            len_bytes = 0;
        }
        if len_bytes > max_len_bytes {
            return Err(Error::InvalidAnswer);
        }
        message[..len_bytes].copy_from_slice(&result[..len_bytes]);
        Ok(len_bytes)
    }
}

impl<P: Platform> RsaRawEncryptor<P> {
    /// Raises `number` to the public exponent. Number and result are big-endian, as long as the
    /// modulus and smaller.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidLength`], [`Error::NotBelowModulus`], [`Error::Refused`],
    /// [`Error::ShortAnswer`], [`Error::Broken`], [`Error::ShutDown`]. `result` is unchanged or
    /// zeros then.
    ///
    /// # Cancellation
    ///
    /// If the future is dropped, the device finishes the request for nobody.
    pub async fn encrypt(&self, number: &[u8], result: &mut [u8]) -> Result<(), Error> {
        self.raise(AkcipherOperation::Encrypt, number, result).await
    }
}

impl<P: Platform> RsaRawDecryptor<P> {
    /// Raises `number` to the private exponent. Number and result are big-endian, as long as the
    /// modulus and smaller.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidLength`], [`Error::NotBelowModulus`], [`Error::Refused`],
    /// [`Error::ShortAnswer`], [`Error::Broken`], [`Error::ShutDown`]. `result` is unchanged or
    /// zeros then.
    ///
    /// # Cancellation
    ///
    /// If the future is dropped, the device finishes the request for nobody.
    pub async fn decrypt(&self, number: &[u8], result: &mut [u8]) -> Result<(), Error> {
        self.raise(AkcipherOperation::Decrypt, number, result).await
    }
}

/// Checks that the device made all of a result, and wipes a part of one.
fn check_whole(len_bytes: usize, result: &mut [u8]) -> Result<(), Error> {
    if len_bytes == result.len() {
        return Ok(());
    }
    result.zeroize();
    Err(short_answer(len_bytes, result.len()))
}

/// Says that a result has fewer bytes than the modulus; the device counts the status, too.
#[cold]
pub(super) fn short_answer(len_bytes: usize, expected_len_bytes: usize) -> Error {
    Error::ShortAnswer {
        written_bytes: len_bytes as u32 + 1,
        expected_bytes: expected_len_bytes as u32 + 1,
    }
}
