//! RSA keys: read from DER, checked, and kept as the device takes them (RFC 8017, A.1).

use alloc::{borrow::Cow, boxed::Box, vec::Vec};
use core::fmt;

use pkcs1::{
    RsaPrivateKeyRef, RsaPublicKeyRef,
    der::{Decode, Encode, asn1::UintRef},
};
use zeroize::Zeroizing;

use super::numbers::{MAX_MODULUS_LEN, bits, is_in_range, is_odd, is_product, is_zero, multiply};
use crate::{
    Error,
    error::{KeyFault, check_exact_len},
};

/// Lengths of a modulus in bits. Below, RSA is broken, and PKCS#1 v1.5 has no room for the longer
/// digests; above, a request would not fit into a slot.
const MODULUS_BITS: core::ops::RangeInclusive<usize> = 1024..=8 * MAX_MODULUS_LEN;
/// By how many bits the primes' lengths differ at most; those of a sound key hardly differ (FIPS
/// 186-5, A.1.1).
const MAX_IMBALANCE_BITS: usize = 64;
/// Of numbers below a modulus that begins with less than this, one in eight or more begins with a
/// zero byte: those of a bit to three more than whole bytes.
const SPARSE_BELOW: u8 = 8;
/// Longest public exponent: longer ones are for making a verifier work hard.
const MAX_EXPONENT_BITS: usize = 64;

/// The public half of an RSA key, checked: a modulus that is odd and has 1024 to 4096 bits, and an
/// exponent that is odd, at least 3, and has at most 64 bits.
#[derive(Clone, PartialEq, Eq)]
pub struct RsaPublicKey {
    /// `RSAPublicKey`.
    der: Box<[u8]>,
    /// Without leading zeros.
    modulus: Box<[u8]>,
}

impl RsaPublicKey {
    /// Reads an `RSAPublicKey` in DER (RFC 8017, A.1.1).
    ///
    /// # Errors
    ///
    /// [`Error::InvalidKey`].
    pub fn from_pkcs1_der(der: &[u8]) -> Result<Self, Error> {
        Self::new(RsaPublicKeyRef::from_der(der).map_err(|_| KeyFault::Encoding)?)
    }

    /// Reads a `SubjectPublicKeyInfo` in DER (RFC 5280, 4.1.2.7; RFC 8017, A.1).
    ///
    /// # Errors
    ///
    /// [`Error::InvalidKey`].
    #[cfg(feature = "pkcs8")]
    pub fn from_spki_der(der: &[u8]) -> Result<Self, Error> {
        use pkcs8::{SubjectPublicKeyInfoRef, der::Decode as _};
        let info = SubjectPublicKeyInfoRef::from_der(der).map_err(|_| KeyFault::Encoding)?;
        if info.algorithm != pkcs1::ALGORITHM_ID {
            return Err(KeyFault::Algorithm.into());
        }
        let key = info.subject_public_key.as_bytes();
        Self::from_pkcs1_der(key.ok_or(KeyFault::Encoding)?)
    }

    fn new(key: RsaPublicKeyRef<'_>) -> Result<Self, Error> {
        let (modulus, exponent) = (key.modulus.as_bytes(), key.public_exponent.as_bytes());
        let bits = bits(modulus);
        if !MODULUS_BITS.contains(&bits) {
            return Err(KeyFault::ModulusBits { bits }.into());
        }
        if !is_odd(modulus) {
            return Err(KeyFault::Modulus.into());
        }
        if !is_odd(exponent) || exponent == [1] || self::bits(exponent) > MAX_EXPONENT_BITS {
            return Err(KeyFault::Exponent.into());
        }
        let der = key.to_der().map_err(|_| KeyFault::Encoding)?;
        Ok(Self {
            der: der.into(),
            modulus: modulus.into(),
        })
    }

    /// Returns the length of the modulus in bytes: that of ciphertexts and signatures.
    pub fn modulus_len_bytes(&self) -> usize {
        self.modulus.len()
    }

    /// Returns the length of the modulus in bits.
    pub fn modulus_bits(&self) -> usize {
        bits(&self.modulus)
    }

    /// Returns the key as an `RSAPublicKey` in DER.
    pub fn as_pkcs1_der(&self) -> &[u8] {
        &self.der
    }

    /// Returns the modulus, without leading zeros.
    pub(super) fn modulus(&self) -> &[u8] {
        &self.modulus
    }

    /// Returns a key to encrypt with, as an `RSAPublicKey` in DER: this one or, where most
    /// ciphertexts would begin with a zero byte, one whose modulus is a multiple of this key's.
    /// What its ciphertexts are modulo this key's modulus are this key's, and few of its own begin
    /// so.
    ///
    /// # Errors
    ///
    /// [`KeyFault::Encoding`].
    pub(super) fn to_encrypt_with(&self) -> Result<Cow<'_, [u8]>, Error> {
        let first = self.modulus.first().copied().unwrap_or(0);
        if first >= SPARSE_BELOW {
            return Ok(Cow::Borrowed(&self.der));
        }
        // Odd, as every modulus has to be; the first byte and what follows it stay one byte.
        let factor = (0xff / (first + 1)).saturating_sub(1) | 1;
        let mut modulus = self.modulus.clone();
        multiply(&mut modulus, factor);
        let key = RsaPublicKeyRef::from_der(&self.der).map_err(|_| KeyFault::Encoding)?;
        let key = RsaPublicKeyRef {
            modulus: UintRef::new(&modulus).map_err(|_| KeyFault::Encoding)?,
            ..key
        };
        let der = key.to_der().map_err(|_| KeyFault::Encoding)?;
        Ok(Cow::Owned(der))
    }

    /// Checks that a number has the modulus' length and is one that RSA is defined for: below the
    /// modulus. Nor is it 0, which no padded message is and some backends could not stand
    /// (CVE-2021-3580).
    pub(super) fn check_number(&self, field: &'static str, number: &[u8]) -> Result<(), Error> {
        check_exact_len(field, number.len(), self.modulus.len())?;
        if number < self.modulus() && !is_zero(number) {
            Ok(())
        } else {
            Err(Error::NotBelowModulus { field })
        }
    }
}

impl fmt::Debug for RsaPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RsaPublicKey({} bits)", self.modulus_bits())
    }
}

/// An RSA key pair, checked: a [public half](RsaPublicKey) as above, and two primes of about the
/// same length, whose product is the modulus, with exponents and a coefficient below them. Another
/// key may end a device: QEMU 7.2 aborts on a prime that is shorter than its exponent (nettle's
/// `_nettle_rsa_sec_compute_root`), and crashes on the prime 3 beside one of 1023 bits. That the
/// numbers are primes, and the exponents each other's inverses, is not checked.
///
/// Wiped when dropped.
#[derive(Clone)]
pub struct RsaPrivateKey {
    /// `RSAPrivateKey`.
    der: Zeroizing<Vec<u8>>,
    public: RsaPublicKey,
}

impl RsaPrivateKey {
    /// Reads an `RSAPrivateKey` in DER (RFC 8017, A.1.2), of which a copy is kept. `der` itself is
    /// the caller's to wipe.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidKey`].
    pub fn from_pkcs1_der(der: &[u8]) -> Result<Self, Error> {
        let key = RsaPrivateKeyRef::from_der(der).map_err(|_| KeyFault::Encoding)?;
        if key.other_prime_infos.is_some() {
            return Err(KeyFault::MultiPrime.into());
        }
        let public = RsaPublicKey::new(key.public_key())?;
        let (p, q) = (key.prime1.as_bytes(), key.prime2.as_bytes());
        if !is_odd(p)
            || !is_odd(q)
            || bits(p).abs_diff(bits(q)) > MAX_IMBALANCE_BITS
            || !is_product(p, q, &public.modulus)
        {
            return Err(KeyFault::Primes.into());
        }
        if !is_in_range(key.private_exponent.as_bytes(), &public.modulus)
            || !is_in_range(key.exponent1.as_bytes(), p)
            || !is_in_range(key.exponent2.as_bytes(), q)
            || !is_in_range(key.coefficient.as_bytes(), p)
        {
            return Err(KeyFault::PrivateExponent.into());
        }
        let der = Zeroizing::new(der.to_vec());
        Ok(Self { der, public })
    }

    /// Reads a `PrivateKeyInfo` in DER (RFC 5208 and 5958), not encrypted.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidKey`].
    #[cfg(feature = "pkcs8")]
    pub fn from_pkcs8_der(der: &[u8]) -> Result<Self, Error> {
        use pkcs8::{PrivateKeyInfoRef, der::Decode as _};
        let info = PrivateKeyInfoRef::from_der(der).map_err(|_| KeyFault::Encoding)?;
        if info.algorithm != pkcs1::ALGORITHM_ID {
            return Err(KeyFault::Algorithm.into());
        }
        Self::from_pkcs1_der(info.private_key.as_bytes())
    }

    /// Returns the public half.
    pub fn public_key(&self) -> &RsaPublicKey {
        &self.public
    }

    pub(super) fn as_pkcs1_der(&self) -> &[u8] {
        &self.der
    }
}

impl fmt::Debug for RsaPrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RsaPrivateKey({} bits)", self.public.modulus_bits())
    }
}

#[cfg(test)]
mod tests;
