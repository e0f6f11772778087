//! ECDSA: signatures and their verification (FIPS 186-5; Virtio 1.3, 5.9.7.2.1 and 5.9.7.8).
//!
//! QEMU's builtin backend refuses them.

use arrayvec::ArrayVec;
use pkcs1::der::{self, Reader, SliceReader, asn1::UintRef};
use zeroize::Zeroizing;

use super::{
    ecdsa_keys::{EcdsaPrivateKey, EcdsaPublicKey},
    half::{EcdsaHalf, Keys},
    key::Key,
    numbers::is_in_range,
};
use crate::{
    Error, Platform,
    device::Device,
    error::{KeyFault, check_one_of_lens},
    wire::{AkcipherOperation, AkcipherScheme, Curve, EcdsaNumber},
};

/// Longest signature: two integers of P-521.
const MAX_SIGNATURE_LEN: usize = 139;

/// A signature of ECDSA: an `Ecdsa-Sig-Value` in DER (RFC 3279, 2.2.3).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EcdsaSignature(ArrayVec<u8, MAX_SIGNATURE_LEN>);

/// Tells whether these bytes are a signature of `curve` by their form: two numbers above 0 and
/// below the order (FIPS 186-5, 6.4.2).
fn is_signature_of(curve: Curve, bytes: &[u8]) -> bool {
    let fits = |number: UintRef<'_>| is_in_range(number.as_bytes(), curve.order());
    parse(bytes).is_ok_and(|(r, s)| fits(r) && fits(s))
}

fn parse(bytes: &[u8]) -> der::Result<(UintRef<'_>, UintRef<'_>)> {
    let mut reader = SliceReader::new(bytes)?;
    let numbers =
        reader.sequence(|reader| Ok::<_, der::Error>((reader.decode()?, reader.decode()?)))?;
    reader.finish()?;
    Ok(numbers)
}

impl AsRef<[u8]> for EcdsaSignature {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl TryFrom<&[u8]> for EcdsaSignature {
    type Error = Error;

    /// Reads a signature in DER.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidSignature`]: of no curve.
    fn try_from(bytes: &[u8]) -> Result<Self, Error> {
        let copy = ArrayVec::try_from(bytes).map(Self);
        let signature = copy.map_err(|_| Error::InvalidSignature)?;
        match is_signature_of(Curve::P521, bytes) {
            true => Ok(signature),
            false => Err(Error::InvalidSignature),
        }
    }
}

/// Signatures of ECDSA with one half of a key, which the device holds or, stateless, the driver:
/// [`EcdsaSigner`] and [`EcdsaVerifier`].
#[derive(Debug)]
pub struct Ecdsa<P: Platform, K: EcdsaHalf> {
    keys: K::Keys<P>,
    kept: K::Kept,
}

/// Signatures of ECDSA with a private key, which the device holds or, stateless, the driver. Opened
/// and closed as [`Ecdsa`] says.
pub type EcdsaSigner<P> = Ecdsa<P, EcdsaPrivateKey>;

/// Verification of signatures of ECDSA with a public key, opened and closed as [`Ecdsa`] says.
pub type EcdsaVerifier<P> = Ecdsa<P, EcdsaPublicKey>;

impl<P: Platform, K: EcdsaHalf> Ecdsa<P, K> {
    /// Opens a session with a private key to sign, or a public one to verify. The key is copied
    /// into device memory, which is wiped when the device has answered. `number` is the one by
    /// which the device knows ECDSA.
    ///
    /// # Errors
    ///
    /// [`Error::TooManySessions`]; [`Error::Refused`] as the device says; [`Error::Broken`];
    /// [`Error::ShutDown`].
    ///
    /// # Cancellation
    ///
    /// If the future is dropped before it is ready, the session does not stay behind on the device.
    pub async fn open(device: &Device<P>, key: &K, number: EcdsaNumber) -> Result<Self, Error> {
        let scheme = AkcipherScheme::Ecdsa(key.curve(), number);
        let opened = Key::open(device.epoch(), scheme, K::TYPE, key.encoding()).await?;
        Ok(Self::new(opened, key))
    }

    /// Makes requests without a session: each brings the key. The driver keeps a copy of it, which
    /// is wiped at the end.
    ///
    /// # Errors
    ///
    /// [`Error::FeatureMissing`] where `VIRTIO_CRYPTO_F_AKCIPHER_STATELESS_MODE` has not been
    /// agreed on.
    pub fn stateless(device: &Device<P>, key: &K, number: EcdsaNumber) -> Result<Self, Error> {
        let scheme = AkcipherScheme::Ecdsa(key.curve(), number);
        let opened = Key::stateless(device.epoch(), scheme, K::TYPE, key.encoding())?;
        Ok(Self::new(opened, key))
    }

    fn new(opened: Key<P>, key: &K) -> Self {
        Self {
            keys: opened.into(),
            kept: key.kept(),
        }
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

impl<P: Platform> EcdsaSigner<P> {
    /// Returns the curve.
    pub fn curve(&self) -> Curve {
        self.kept
    }

    /// Has the device verify each signature from here on, with the public half of the key, before
    /// it is given out: one that was computed wrongly may tell about the key.
    ///
    /// Costs one more session for as long as the signer lives (none in stateless mode), and one
    /// more request a signature. With the public half of another key every signature is faulty.
    ///
    /// # Errors
    ///
    /// Those of [`open`](Self::open), and [`Error::InvalidKey`] for another curve; signatures are
    /// made as before then.
    ///
    /// # Cancellation
    ///
    /// If the future is dropped, signatures are made as before, and no session stays behind.
    pub async fn verify_signatures(&mut self, key: &EcdsaPublicKey) -> Result<(), Error> {
        if key.curve != self.kept {
            return Err(KeyFault::Algorithm.into());
        }
        self.keys.verify_signatures(&key.point).await
    }

    /// Signs a digest, of the length of one of the SHA family's (FIPS 186-5, 6.4.1).
    ///
    /// # Errors
    ///
    /// [`Error::InvalidLength`], [`Error::Refused`], [`Error::InvalidAnswer`], [`Error::Broken`],
    /// [`Error::ShutDown`]; [`Error::FaultySignature`] with
    /// [`verify_signatures`](Self::verify_signatures) alone. After an error nothing is left of what
    /// the device made.
    ///
    /// # Cancellation
    ///
    /// If the future is dropped, the device finishes the request for nobody.
    pub async fn sign(&self, digest: &[u8]) -> Result<EcdsaSignature, Error> {
        check_digest(digest)?;
        let mut made = Zeroizing::new([0; MAX_SIGNATURE_LEN]);
        let made = &mut made[..self.kept.max_signature_len_bytes()];
        let sent = self
            .keys
            .private
            .transform(AkcipherOperation::Sign, digest, made);
        let len_bytes = sent.await?;
        let made = &made[..len_bytes];
        if !is_signature_of(self.kept, made) {
            return Err(Error::InvalidAnswer);
        }
        self.keys.check(digest, made).await?;
        Ok(EcdsaSignature(made.iter().copied().collect()))
    }
}

impl<P: Platform> EcdsaVerifier<P> {
    /// Returns the key.
    pub fn public_key(&self) -> &EcdsaPublicKey {
        &self.kept
    }

    /// Verifies the signature of a digest, of the length of one of the SHA family's. The signature
    /// is an `Ecdsa-Sig-Value` in DER, as [`EcdsaSignature`] has it.
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
        check_digest(digest)?;
        if !is_signature_of(self.kept.curve, signature) {
            return Err(Error::InvalidSignature);
        }
        self.keys.verify(digest, signature).await
    }
}

fn check_digest(digest: &[u8]) -> Result<(), Error> {
    let lens_bytes = &[20..=20, 28..=28, 32..=32, 48..=48, 64..=64];
    check_one_of_lens("digest", digest.len(), lens_bytes)
}
