//! RSASSA-PKCS1-v1_5 (RFC 8017, 8.2): signatures, and what is done about short ones.

use arrayvec::ArrayVec;
use zeroize::Zeroizing;

use super::{
    half::{Keys, RsaHalf},
    key::Key,
    numbers::{MAX_MODULUS_LEN, is_zero},
    rsa::short_answer,
    rsa_keys::{RsaPrivateKey, RsaPublicKey},
};
use crate::{
    Error, Platform,
    device::Device,
    error::{check_at_most, check_exact_len},
    queue::INLINE_LEN,
    wire::{AkcipherOperation, AkcipherScheme, RsaHash},
};

/// Most bytes of a signature that a search tries. More than a leading zero byte or two are as good
/// as never met, and each is 256 times the work.
const MAX_MISSING_LEN: usize = 2;

// What a search sends has room in a slot, also where it brings the key: two numbers in DER, the
// signature, the digest, the status.
const _: () = assert!(2 * MAX_MODULUS_LEN + 32 + 64 < INLINE_LEN);

/// Signatures with one half of a key, which the device holds or, stateless, the driver:
/// [`RsaSigner`] and [`RsaVerifier`].
#[derive(Debug)]
pub struct RsaSignatures<P: Platform, K: RsaHalf> {
    keys: K::Keys<P>,
    public_key: RsaPublicKey,
    hash: RsaHash,
}

/// Signatures with a private key, which the device holds or, stateless, the driver. Opened and
/// closed as [`RsaSignatures`] says.
pub type RsaSigner<P> = RsaSignatures<P, RsaPrivateKey>;

/// Verification of signatures with a public key, opened and closed as [`RsaSignatures`] says.
pub type RsaVerifier<P> = RsaSignatures<P, RsaPublicKey>;

impl<P: Platform, K: RsaHalf> RsaSignatures<P, K> {
    /// Opens a session with a private key to sign, or a public one to verify. The key is copied
    /// into device memory, which is wiped when the device has answered.
    ///
    /// # Errors
    ///
    /// [`Error::TooManySessions`]; [`Error::OutOfDeviceMemory`] where the key does not fit into a
    /// slot; [`Error::Refused`] as the device says (QEMU: `Error` when its own limit of 256
    /// sessions is met, or for a hash that it does not know); [`Error::Broken`];
    /// [`Error::ShutDown`].
    ///
    /// # Cancellation
    ///
    /// If the future is dropped before it is ready, the session does not stay behind on the device.
    pub async fn open(device: &Device<P>, key: &K, hash: RsaHash) -> Result<Self, Error> {
        let scheme = AkcipherScheme::RsaPkcs1(hash);
        let opened = Key::open(device.epoch(), scheme, K::TYPE, key.encoding()).await?;
        Ok(Self::new(opened, key, hash))
    }

    /// Makes requests without a session: each brings the key. The driver keeps a copy of it, which
    /// is wiped at the end.
    ///
    /// # Errors
    ///
    /// [`Error::FeatureMissing`] where `VIRTIO_CRYPTO_F_AKCIPHER_STATELESS_MODE` has not been
    /// agreed on. Requests also end with [`Error::OutOfDeviceMemory`], where a long key has no room
    /// in a slot, and [`Error::TooManyBuffers`] on a queue of a few entries.
    pub fn stateless(device: &Device<P>, key: &K, hash: RsaHash) -> Result<Self, Error> {
        let scheme = AkcipherScheme::RsaPkcs1(hash);
        let opened = Key::stateless(device.epoch(), scheme, K::TYPE, key.encoding())?;
        Ok(Self::new(opened, key, hash))
    }

    fn new(opened: Key<P>, key: &K, hash: RsaHash) -> Self {
        Self {
            keys: opened.into(),
            public_key: key.public_half().clone(),
            hash,
        }
    }

    /// Returns the public key, or the public half of the private one.
    pub fn public_key(&self) -> &RsaPublicKey {
        &self.public_key
    }

    /// Returns the hash that the session was opened for.
    pub fn hash(&self) -> RsaHash {
        self.hash
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
        self.keys.close().await
    }
}

/// A signature of RSASSA-PKCS1-v1_5, as long as the modulus.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RsaSignature(ArrayVec<u8, MAX_MODULUS_LEN>);

impl AsRef<[u8]> for RsaSignature {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl TryFrom<&[u8]> for RsaSignature {
    type Error = Error;

    /// Takes the bytes of a signature over; whether they have the length of a key's modulus is seen
    /// when it is verified.
    fn try_from(bytes: &[u8]) -> Result<Self, Error> {
        check_at_most("signature", bytes.len(), MAX_MODULUS_LEN as u64)?;
        Ok(Self(bytes.iter().copied().collect()))
    }
}

impl<P: Platform> RsaSigner<P> {
    /// Has the device verify each signature from here on, with the public half of the key, before
    /// it is given out: a device that once computes wrongly gives the key away otherwise, since one
    /// faulty signature is enough to factor the modulus (Boneh, DeMillo, Lipton 1997).
    ///
    /// Costs one more session for as long as the signer lives (none in stateless mode), and one
    /// more request a signature. A caller that does not trust the device's verification either
    /// verifies in software.
    ///
    /// # Errors
    ///
    /// Those of [`open`](Self::open); signatures are made as before then.
    ///
    /// # Cancellation
    ///
    /// If the future is dropped, signatures are made as before, and no session stays behind.
    pub async fn verify_signatures(&mut self) -> Result<(), Error> {
        let key = self.public_key.as_pkcs1_der();
        self.keys.verify_signatures(key).await
    }

    /// Signs a digest, which has the length of the session's hash (RFC 8017, 8.2.1).
    ///
    /// An answer that is one or two bytes short is completed: the driver tries the missing bytes,
    /// up to 16 candidates side by side. For that it has a second session for a while, if
    /// [`verify_signatures`](Self::verify_signatures) has not opened it already. If the modulus is
    /// a whole number of bytes, QEMU answers so to one digest in 128 to 256; one byte takes 128
    /// requests on average, two take 32,768. If the modulus is a bit longer, QEMU answers so to
    /// most digests.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidLength`], [`Error::Refused`], [`Error::Broken`], [`Error::ShutDown`].
    ///
    /// [`Error::FaultySignature`] with [`verify_signatures`](Self::verify_signatures) alone.
    ///
    /// [`Error::ShortAnswer`] when the device gave too few bytes to make a signature of. The same
    /// digest would give the same again: sign it in software, or another one.
    ///
    /// What goes wrong with the second session is an error here ([`Error::TooManySessions`]).
    ///
    /// After an error nothing is left of what the device made.
    ///
    /// # Cancellation
    ///
    /// If the future is dropped, the device finishes the request for nobody.
    pub async fn sign(&self, digest: &[u8]) -> Result<RsaSignature, Error> {
        check_exact_len("digest", digest.len(), self.hash.digest_len_bytes())?;
        let mut made = Zeroizing::new([0; MAX_MODULUS_LEN]);
        let made = &mut made[..self.public_key.modulus_len_bytes()];
        let sent = self
            .keys
            .private
            .transform(AkcipherOperation::Sign, digest, made);
        let made_len_bytes = sent.await?;
        let missing = made.len() - made_len_bytes;
        if missing > 0 {
            self.complete(digest, made, missing).await?;
        } else if self.keys.public.is_some() {
            let in_range = self.public_key.check_number("signature", made);
            in_range.map_err(|_| Error::FaultySignature)?;
            self.keys.check(digest, made).await?;
        }
        Ok(RsaSignature(made.iter().copied().collect()))
    }

    /// Looks for what a signature lacks, and proves it with the public half.
    async fn complete(&self, digest: &[u8], made: &mut [u8], missing: usize) -> Result<(), Error> {
        let short = short_answer(made.len() - missing, made.len());
        if missing > MAX_MISSING_LEN || is_zero(made) {
            return Err(short);
        }
        // A device that left the leading zeros out; or one that cut as many bytes off the end, and
        // never wrote there: the zeros are in front, and what is last may be anything.
        let unknown_bytes = if is_zero(&made[..missing]) {
            missing
        } else {
            made.rotate_right(missing);
            0
        };
        let opened = match &self.keys.public {
            Some(_) => None,
            None => Some(
                self.keys
                    .private
                    .public_half(self.public_key.as_pkcs1_der())
                    .await?,
            ),
        };
        let mut is_found = false;
        if let Some(public) = self.keys.public.as_ref().or(opened.as_ref()) {
            is_found = public.find_end(digest, made, unknown_bytes).await?;
        }
        if let Some(opened) = opened {
            opened.close().await?;
        }
        if is_found { Ok(()) } else { Err(short) }
    }
}

impl<P: Platform> RsaVerifier<P> {
    /// Verifies the signature of a digest, which has the length of the session's hash (RFC 8017,
    /// 8.2.2). The signature is as long as the modulus.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidSignature`]: it does not belong to this digest and key. Every other error
    /// says that it is not known: [`Error::InvalidLength`], [`Error::Refused`], [`Error::Broken`],
    /// [`Error::ShutDown`].
    ///
    /// # Cancellation
    ///
    /// If the future is dropped, the device finishes the request for nobody.
    pub async fn verify(&self, digest: &[u8], signature: &[u8]) -> Result<(), Error> {
        check_exact_len("digest", digest.len(), self.hash.digest_len_bytes())?;
        match self.public_key.check_number("signature", signature) {
            Err(Error::NotBelowModulus { .. }) => Err(Error::InvalidSignature),
            Err(error) => Err(error),
            Ok(()) => self.keys.verify(digest, signature).await,
        }
    }
}
