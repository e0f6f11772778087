//! Curves and keys of ECDSA: read, checked, and kept as the device takes them (SEC 1; RFC 5915).

use alloc::{boxed::Box, vec::Vec};
use core::fmt;

use pkcs1::der::{Decode, Encode, asn1::ObjectIdentifier};
use sec1::{EcParameters, EcPrivateKey};
use zeroize::Zeroizing;

use super::numbers::{hex, is_in_range};
use crate::{Error, error::KeyFault, wire::Curve};

/// The tag of an uncompressed point (SEC 1, 2.3.3).
const UNCOMPRESSED: u8 = 4;

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
    pub(super) const fn order(self) -> &'static [u8] {
        match self {
            Self::P192 => const { &hex::<24>("ffffffffffffffffffffffff99def836146bc9b1b4d22831") },
            Self::P224 => {
                const { &hex::<28>("ffffffffffffffffffffffffffff16a2e0b8f03e13dd29455c5c2a3d") }
            }
            Self::P256 => {
                const {
                    &hex::<32>(
                        "ffffffff00000000ffffffffffffffff\
                     bce6faada7179e84f3b9cac2fc632551",
                    )
                }
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
    pub(super) const fn max_signature_len_bytes(self) -> usize {
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
    pub(super) curve: Curve,
    /// `ECPrivateKey` with the curve's name.
    pub(super) der: Zeroizing<Vec<u8>>,
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
    pub(super) curve: Curve,
    pub(super) point: Box<[u8]>,
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
