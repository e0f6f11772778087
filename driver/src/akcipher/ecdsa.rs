//! ECDSA: keys, signatures, verification (FIPS 186-5; Virtio 1.3, 5.9.7.2.1 and 5.9.7.8).
//!
//! QEMU's builtin backend refuses them.

use alloc::{boxed::Box, vec::Vec};
use core::fmt;

use arrayvec::ArrayVec;
use pkcs1::der::{
    self, Decode, Encode, Reader, SliceReader,
    asn1::{ObjectIdentifier, UintRef},
};
use sec1::{EcParameters, EcPrivateKey};
use zeroize::Zeroizing;

use super::{
    Key,
    numbers::{hex, is_in_range},
    signing::Signing,
};
use crate::{
    Device, Error, KeyFault, Platform,
    error::check_one_of_lens,
    wire::{AkcipherOperation, AkcipherScheme, Curve, EcdsaNumber, KeyType},
};

/// The tag of an uncompressed point (SEC 1, 2.3.3).
const UNCOMPRESSED: u8 = 4;
/// Longest signature: two integers of P-521.
const MAX_SIGNATURE_LEN: usize = 139;

impl Curve {
    /// Returns the bits of the group's order.
    const fn order_bits(self) -> usize {
        match self {
            Self::P192 => 192,
            Self::P224 => 224,
            Self::P256 => 256,
            Self::P384 => 384,
            Self::P521 => 521,
        }
    }

    /// Returns the group's order (SEC 2, 2.4 and 2.5 "Recommended parameters"; SP 800-186, 3.2.1).
    const fn order(self) -> &'static [u8] {
        match self {
            Self::P192 => const { &hex::<24>("ffffffffffffffffffffffff99def836146bc9b1b4d22831") },
            Self::P224 => {
                const { &hex::<28>("ffffffffffffffffffffffffffff16a2e0b8f03e13dd29455c5c2a3d") }
            }
            Self::P256 => {
                const { &hex::<32>("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551") }
            }
            Self::P384 => {
                const {
                    &hex::<48>(
                        "ffffffffffffffffffffffffffffffffffffffffffffffff\
                     c7634d81f4372ddf581a0db248b0a77aecec196accc52973",
                    )
                }
            }
            Self::P521 => {
                const {
                    &hex::<66>(
                        "01ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff\
                     fa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409",
                    )
                }
            }
        }
    }

    /// Returns the bytes of a scalar, and of a coordinate.
    const fn scalar_len_bytes(self) -> usize {
        self.order_bits().div_ceil(8)
    }

    /// Returns the bytes of the longest `Ecdsa-Sig-Value` in DER.
    const fn max_signature_len_bytes(self) -> usize {
        // Tag, length, and a zero before a number whose first bit is set.
        let integer = 2 + self.order_bits() / 8 + 1;
        let header = if 2 * integer < 0x80 { 2 } else { 3 };
        header + 2 * integer
    }

    /// Returns the name of the curve (RFC 5480, 2.1.1.1).
    const fn oid(self) -> ObjectIdentifier {
        ObjectIdentifier::new_unwrap(match self {
            Self::P192 => "1.2.840.10045.3.1.1",
            Self::P224 => "1.3.132.0.33",
            Self::P256 => "1.2.840.10045.3.1.7",
            Self::P384 => "1.3.132.0.34",
            Self::P521 => "1.3.132.0.35",
        })
    }
}

/// A private key for ECDSA. Wiped when dropped.
#[derive(Clone)]
pub struct EcdsaPrivateKey {
    curve: Curve,
    /// `ECPrivateKey` with the curve's name.
    der: Zeroizing<Vec<u8>>,
}

impl EcdsaPrivateKey {
    /// Takes a scalar: big-endian, as long as the curve's order, above 0 and below the order.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidKey`].
    pub fn from_scalar(curve: Curve, scalar: &[u8]) -> Result<Self, Error> {
        if scalar.len() != curve.scalar_len_bytes() || !is_in_range(scalar, curve.order()) {
            return Err(KeyFault::Scalar.into());
        }
        let key = EcPrivateKey {
            private_key: scalar,
            parameters: Some(EcParameters::NamedCurve(curve.oid())),
            public_key: None,
        };
        let len = key.encoded_len().and_then(usize::try_from);
        let mut der = Zeroizing::new(alloc::vec![0; len.map_err(|_| KeyFault::Encoding)?]);
        let encoded = key.encode_to_slice(&mut der).map(drop);
        encoded.map_err(|_| KeyFault::Encoding)?;
        Ok(Self { curve, der })
    }

    /// Reads an `ECPrivateKey` in DER (RFC 5915). `curve` has to be its own, if it names one.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidKey`].
    pub fn from_sec1_der(curve: Curve, der: &[u8]) -> Result<Self, Error> {
        let key = EcPrivateKey::from_der(der).map_err(|_| KeyFault::Encoding)?;
        if let Some(EcParameters::NamedCurve(name)) = key.parameters
            && name != curve.oid()
        {
            return Err(KeyFault::Algorithm.into());
        }
        if let Some(point) = key.public_key {
            EcdsaPublicKey::from_sec1_bytes(curve, point)?;
        }
        Self::from_scalar(curve, key.private_key)
    }

    /// Returns the curve.
    pub fn curve(&self) -> Curve {
        self.curve
    }
}

impl fmt::Debug for EcdsaPrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EcdsaPrivateKey({:?})", self.curve)
    }
}

/// A public key for ECDSA: an uncompressed point. That it is on the curve is not checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EcdsaPublicKey {
    curve: Curve,
    point: Box<[u8]>,
}

impl EcdsaPublicKey {
    /// Takes an uncompressed point (SEC 1, 2.3.3): 4, and both coordinates.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidKey`].
    pub fn from_sec1_bytes(curve: Curve, point: &[u8]) -> Result<Self, Error> {
        let len_bytes = 1 + 2 * curve.scalar_len_bytes();
        if point.len() != len_bytes || point.first() != Some(&UNCOMPRESSED) {
            return Err(KeyFault::Point.into());
        }
        let point = point.into();
        Ok(Self { curve, point })
    }

    /// Returns the curve.
    pub fn curve(&self) -> Curve {
        self.curve
    }
}

/// A signature of ECDSA: an `Ecdsa-Sig-Value` in DER (RFC 3279, 2.2.3).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EcdsaSignature(ArrayVec<u8, MAX_SIGNATURE_LEN>);

/// Tells whether these bytes are a signature of `curve` by their form: two numbers above 0 and below the
/// order (FIPS 186-5, 6.4.2).
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

/// Signatures of ECDSA with a private key, which the device holds or, stateless, the driver.
#[derive(Debug)]
pub struct EcdsaSigner<P: Platform> {
    inner: Signing<P>,
    curve: Curve,
}

impl<P: Platform> EcdsaSigner<P> {
    /// Opens a session. The key is copied into device memory, which is wiped when the device has
    /// answered. `number` is the one by which the device knows ECDSA.
    ///
    /// # Errors
    ///
    /// [`Error::TooManySessions`]; [`Error::Refused`] as the device says; [`Error::Broken`];
    /// [`Error::ShutDown`].
    ///
    /// # Cancellation
    ///
    /// Dropped before it is ready, the session does not stay behind on the device.
    pub async fn open(
        device: &Device<P>,
        key: &EcdsaPrivateKey,
        number: EcdsaNumber,
    ) -> Result<Self, Error> {
        let curve = key.curve;
        let scheme = AkcipherScheme::Ecdsa(curve, number);
        let inner = Key::open(device.link(), scheme, KeyType::Private, &key.der).await?;
        let inner = inner.into();
        Ok(Self { inner, curve })
    }

    /// Makes requests without a session: each brings the key. The driver keeps a copy of it, which is
    /// wiped at the end.
    ///
    /// # Errors
    ///
    /// [`Error::FeatureMissing`] where `VIRTIO_CRYPTO_F_AKCIPHER_STATELESS_MODE` has not been agreed
    /// on.
    pub fn stateless(
        device: &Device<P>,
        key: &EcdsaPrivateKey,
        number: EcdsaNumber,
    ) -> Result<Self, Error> {
        let curve = key.curve;
        let scheme = AkcipherScheme::Ecdsa(curve, number);
        let inner = Key::stateless(device.link(), scheme, KeyType::Private, &key.der)?;
        let inner = inner.into();
        Ok(Self { inner, curve })
    }

    /// Returns the curve.
    pub fn curve(&self) -> Curve {
        self.curve
    }

    /// Has the device verify each signature from here on, with the public half of the key, before it is
    /// given out: one that was computed wrongly may tell about the key.
    ///
    /// Costs one more session for as long as the signer lives, but without sessions, and one more
    /// request a signature. With the public half of another key every signature is faulty.
    ///
    /// # Errors
    ///
    /// Those of [`open`](Self::open), and [`Error::InvalidKey`] for another curve; signatures are made as
    /// before then.
    ///
    /// # Cancellation
    ///
    /// Dropped, signatures are made as before, and no session stays behind.
    pub async fn verify_signatures(&mut self, key: &EcdsaPublicKey) -> Result<(), Error> {
        if key.curve != self.curve {
            return Err(KeyFault::Algorithm.into());
        }
        self.inner.verify_signatures(&key.point).await
    }

    /// Signs a digest, of the length of one of the SHA family's (FIPS 186-5, 6.4.1).
    ///
    /// # Errors
    ///
    /// [`Error::InvalidLength`], [`Error::Refused`], [`Error::InvalidAnswer`], [`Error::Broken`],
    /// [`Error::ShutDown`]; [`Error::FaultySignature`] with
    /// [`verify_signatures`](Self::verify_signatures) alone. After an error nothing is left of what the
    /// device made.
    ///
    /// # Cancellation
    ///
    /// Dropped, the device finishes the request for nobody.
    pub async fn sign(&self, digest: &[u8]) -> Result<EcdsaSignature, Error> {
        check_digest(digest)?;
        let mut made = Zeroizing::new([0; MAX_SIGNATURE_LEN]);
        let made = &mut made[..self.curve.max_signature_len_bytes()];
        let sent = self
            .inner
            .private
            .transform(AkcipherOperation::Sign, digest, made);
        let len_bytes = sent.await?;
        let made = &made[..len_bytes];
        if !is_signature_of(self.curve, made) {
            return Err(Error::InvalidAnswer);
        }
        self.inner.check(digest, made).await?;
        Ok(EcdsaSignature(made.iter().copied().collect()))
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
    /// Dropped, the session ends all the same.
    pub async fn close(self) -> Result<(), Error> {
        self.inner.close().await
    }
}

/// Verification of signatures of ECDSA with a public key.
#[derive(Debug)]
pub struct EcdsaVerifier<P: Platform> {
    inner: Key<P>,
    key: EcdsaPublicKey,
}

impl<P: Platform> EcdsaVerifier<P> {
    /// Opens a session. `number` is the one by which the device knows ECDSA.
    ///
    /// # Errors
    ///
    /// Those of [`EcdsaSigner::open`].
    ///
    /// # Cancellation
    ///
    /// Dropped before it is ready, the session does not stay behind on the device.
    pub async fn open(
        device: &Device<P>,
        key: &EcdsaPublicKey,
        number: EcdsaNumber,
    ) -> Result<Self, Error> {
        let scheme = AkcipherScheme::Ecdsa(key.curve, number);
        let inner = Key::open(device.link(), scheme, KeyType::Public, &key.point).await?;
        let key = key.clone();
        Ok(Self { inner, key })
    }

    /// Makes requests without a session: each brings the key.
    ///
    /// # Errors
    ///
    /// Those of [`EcdsaSigner::stateless`].
    pub fn stateless(
        device: &Device<P>,
        key: &EcdsaPublicKey,
        number: EcdsaNumber,
    ) -> Result<Self, Error> {
        let scheme = AkcipherScheme::Ecdsa(key.curve, number);
        let inner = Key::stateless(device.link(), scheme, KeyType::Public, &key.point)?;
        let key = key.clone();
        Ok(Self { inner, key })
    }

    /// Returns the key.
    pub fn public_key(&self) -> &EcdsaPublicKey {
        &self.key
    }

    /// Verifies the signature of a digest, of the length of one of the SHA family's. The signature is an
    /// `Ecdsa-Sig-Value` in DER, as [`EcdsaSignature`] has it.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidSignature`]: it does not belong to this digest and key. Every other error says
    /// that it is not known: [`Error::InvalidLength`], [`Error::Refused`], [`Error::Broken`],
    /// [`Error::ShutDown`].
    ///
    /// # Cancellation
    ///
    /// Dropped, the device finishes the request for nobody.
    pub async fn verify(&self, digest: &[u8], signature: &[u8]) -> Result<(), Error> {
        check_digest(digest)?;
        if !is_signature_of(self.key.curve, signature) {
            return Err(Error::InvalidSignature);
        }
        self.inner.verify(digest, signature).await
    }

    /// Ends the session and waits for the device's answer; without one, wipes the key.
    ///
    /// # Errors
    ///
    /// Those of [`EcdsaSigner::close`].
    ///
    /// # Cancellation
    ///
    /// Dropped, the session ends all the same.
    pub async fn close(self) -> Result<(), Error> {
        self.inner.close().await
    }
}

fn check_digest(digest: &[u8]) -> Result<(), Error> {
    let lens_bytes = &[20..=20, 28..=28, 32..=32, 48..=48, 64..=64];
    check_one_of_lens("digest", digest.len(), lens_bytes)
}
