//! The certificate and its key, as files hold them: DER or PEM.
//!
//! The one rule: of the key there is the file and one copy, which is wiped when it is dropped.

use alloc::{string::String, vec, vec::Vec};
use core::fmt;

use p256::elliptic_curve::sec1::ToSec1Point;
use pem_rfc7468::LineEnding;
use pkcs1::der::{Decode, Reader, SliceReader, asn1::AnyRef, oid::ObjectIdentifier};
use pkcs8::{PrivateKeyInfoRef, SubjectPublicKeyInfoRef};
use rustls::{
    pki_types::{CertificateDer, pem::PemObject},
    server::ParsedCertificate,
};
use zeroize::Zeroizing;

/// id-ecPublicKey, and the name of P-256 (RFC 5480, 2.1.1).
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");

/// What kind of key it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// RSA.
    Rsa {
        /// Bits of the modulus.
        modulus_bits: usize,
    },
    /// ECDSA over P-256.
    P256,
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rsa { modulus_bits } => write!(f, "RSA-{modulus_bits}"),
            Self::P256 => f.write_str("ECDSA-P256"),
        }
    }
}

/// A private key. Wiped when dropped.
pub struct PrivateKey {
    kind: KeyKind,
    der: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey({})", self.kind)
    }
}

impl PrivateKey {
    /// Its kind.
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// An `RSAPrivateKey` (RFC 8017, A.1.2) or an `ECPrivateKey` (RFC 5915), as its kind says.
    pub fn der(&self) -> &[u8] {
        &self.der
    }
}

/// A certificate and what is known of its key.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The certificate, and its issuers behind it.
    pub chain: Vec<CertificateDer<'static>>,
    /// The certificate's key.
    pub kind: KeyKind,
    /// The certificate's `SubjectPublicKeyInfo`.
    pub public_key: Vec<u8>,
}

impl Identity {
    /// The public key in PEM, as `openssl dgst -verify` takes it.
    pub fn public_key_pem(&self) -> String {
        let encoded = pem_rfc7468::encode_string("PUBLIC KEY", LineEnding::LF, &self.public_key);
        encoded.unwrap_or_default()
    }
}

/// What is wrong with the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The key is none, or damaged.
    Key,
    /// The key is encrypted.
    KeyEncrypted,
    /// The key is for another algorithm.
    KeyAlgorithm,
    /// There is no certificate, or it is damaged.
    Certificate,
    /// The certificate is another key's.
    Mismatch,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Key => "the key is no PKCS#8, PKCS#1 or SEC1 in DER or PEM",
            Self::KeyEncrypted => "the key is encrypted; `openssl pkey` decrypts it",
            Self::KeyAlgorithm => "the key is neither RSA nor ECDSA over P-256",
            Self::Certificate => "the certificate is no X.509 in DER or PEM",
            Self::Mismatch => "the certificate is not that of the key",
        })
    }
}

/// Reads a key and a certificate that belong together.
///
/// # Errors
///
/// [`Fault`].
pub fn read_identity(key: &[u8], certificate: &[u8]) -> Result<(Identity, PrivateKey), Fault> {
    let (key, public) = read_key(key)?;
    let chain = read_chain(certificate)?;
    let parsed = chain.first().map(ParsedCertificate::try_from);
    let Some(Ok(parsed)) = parsed else {
        return Err(Fault::Certificate);
    };
    let public_key = parsed.subject_public_key_info().to_vec();
    if public_of(&public_key)? != public {
        return Err(Fault::Mismatch);
    }
    let kind = key.kind;
    let identity = Identity {
        chain,
        kind,
        public_key,
    };
    Ok((identity, key))
}

/// The public half: what two halves of one pair have in common.
#[derive(Debug, PartialEq, Eq)]
enum Public {
    Rsa { modulus: Vec<u8>, exponent: Vec<u8> },
    P256(Vec<u8>),
}

type Pair = (PrivateKey, Public);

fn read_key(file: &[u8]) -> Result<Pair, Fault> {
    // Parameters of a curve may stand before the key.
    let end = find(file, b"PRIVATE KEY-----");
    let start = end.and_then(|end| file[..end].windows(5).rposition(|five| five == b"BEGIN"));
    let Some(start) = start else {
        return read_pkcs8(file).or_else(|fault| match fault {
            Fault::Key => read_pkcs1(file).or_else(|_| read_sec1(file)),
            fault => Err(fault),
        });
    };
    let start = start.checked_sub(5).ok_or(Fault::Key)?;
    let mut room = Zeroizing::new(vec![0; file.len()]);
    let decoded = pem_rfc7468::decode(&file[start..], &mut room);
    match decoded.map_err(|_| Fault::Key)? {
        ("PRIVATE KEY", der) => read_pkcs8(der),
        ("RSA PRIVATE KEY", der) => read_pkcs1(der),
        ("EC PRIVATE KEY", der) => read_sec1(der),
        ("ENCRYPTED PRIVATE KEY", _) => Err(Fault::KeyEncrypted),
        _ => Err(Fault::Key),
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|part| part == wanted)
}

fn read_pkcs8(der: &[u8]) -> Result<Pair, Fault> {
    let info = PrivateKeyInfoRef::from_der(der).map_err(|_| Fault::Key)?;
    let key = info.private_key.as_bytes();
    match info.algorithm.oid {
        oid if oid == pkcs1::ALGORITHM_OID => read_pkcs1(key),
        EC if is_p256(info.algorithm.parameters) => read_sec1(key),
        _ => Err(Fault::KeyAlgorithm),
    }
}

fn read_pkcs1(der: &[u8]) -> Result<Pair, Fault> {
    let key = pkcs1::RsaPrivateKeyRef::from_der(der).map_err(|_| Fault::Key)?;
    let modulus = key.modulus.as_bytes().to_vec();
    let exponent = key.public_exponent.as_bytes().to_vec();
    let leading = modulus
        .first()
        .map_or(0, |byte| byte.leading_zeros() as usize);
    let modulus_bits = (8 * modulus.len()).saturating_sub(leading);
    let kind = KeyKind::Rsa { modulus_bits };
    let der = Zeroizing::new(der.to_vec());
    Ok((PrivateKey { kind, der }, Public::Rsa { modulus, exponent }))
}

fn read_sec1(der: &[u8]) -> Result<Pair, Fault> {
    // Of another curve: a key, and not for here.
    let key = sec1::EcPrivateKey::from_der(der).map_err(|_| Fault::Key)?;
    if key
        .parameters
        .is_some_and(|p| p.named_curve() != Some(P256))
    {
        return Err(Fault::KeyAlgorithm);
    }
    let secret = p256::SecretKey::from_slice(key.private_key).map_err(|_| Fault::Key)?;
    let point = secret.public_key().to_sec1_point(false);
    let (kind, der) = (KeyKind::P256, Zeroizing::new(der.to_vec()));
    Ok((
        PrivateKey { kind, der },
        Public::P256(point.as_bytes().to_vec()),
    ))
}

fn is_p256(parameters: Option<AnyRef<'_>>) -> bool {
    let name = parameters.and_then(|any| any.decode_as::<ObjectIdentifier>().ok());
    name == Some(P256)
}

/// Reads a chain, the server's own certificate first.
fn read_chain(file: &[u8]) -> Result<Vec<CertificateDer<'static>>, Fault> {
    if find(file, b"-----BEGIN").is_some() {
        let read = CertificateDer::pem_slice_iter(file).collect::<Result<_, _>>();
        return read.map_err(|_| Fault::Certificate);
    }
    let mut chain = Vec::new();
    let mut reader = SliceReader::new(file).map_err(|_| Fault::Certificate)?;
    while !reader.is_finished() {
        let certificate = reader.tlv_bytes().map_err(|_| Fault::Certificate)?;
        chain.push(CertificateDer::from(certificate.to_vec()));
    }
    Ok(chain)
}

fn public_of(public_key: &[u8]) -> Result<Public, Fault> {
    let info = SubjectPublicKeyInfoRef::from_der(public_key).map_err(|_| Fault::Certificate)?;
    let bits = info.subject_public_key.raw_bytes();
    match info.algorithm.oid {
        oid if oid == pkcs1::ALGORITHM_OID => {
            let key = pkcs1::RsaPublicKeyRef::from_der(bits).map_err(|_| Fault::Certificate)?;
            Ok(Public::Rsa {
                modulus: key.modulus.as_bytes().to_vec(),
                exponent: key.public_exponent.as_bytes().to_vec(),
            })
        }
        EC => Ok(Public::P256(bits.to_vec())),
        _ => Err(Fault::Mismatch),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{P256_CERTIFICATE, P256_KEY, RSA_CERTIFICATE, RSA_KEY};

    fn pem(label: &str, der: &[u8]) -> Vec<u8> {
        let encoded = pem_rfc7468::encode_string(label, pem_rfc7468::LineEnding::LF, der);
        encoded.unwrap().into_bytes()
    }

    #[test]
    fn der_and_pem_are_read_alike() {
        let rsa = [RSA_KEY.to_vec(), pem("PRIVATE KEY", RSA_KEY)];
        let certificate = pem("CERTIFICATE", RSA_CERTIFICATE);
        let chain = [&*certificate, &pem("CERTIFICATE", P256_CERTIFICATE)].concat();
        let in_der = [RSA_CERTIFICATE, P256_CERTIFICATE].concat();
        for key in &rsa {
            for certificates in [&chain, &in_der] {
                let (identity, key) = read_identity(key, certificates).unwrap();
                assert_eq!(identity.kind, KeyKind::Rsa { modulus_bits: 2048 });
                assert_eq!(identity.chain.len(), 2);
                assert_eq!(identity.chain[0].as_ref(), RSA_CERTIFICATE);
                let inner = read_identity(key.der(), &certificate).unwrap();
                assert_eq!(inner.1.der(), key.der());
            }
        }
        let (identity, key) = read_identity(P256_KEY, P256_CERTIFICATE).unwrap();
        assert_eq!((identity.kind, key.kind()), (KeyKind::P256, KeyKind::P256));
        let in_pem = [
            pem("EC PARAMETERS", &[5, 0]),
            pem("EC PRIVATE KEY", key.der()),
        ]
        .concat();
        assert!(read_identity(&in_pem, P256_CERTIFICATE).is_ok());
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let fault = |key: &[u8], certificate: &[u8]| read_identity(key, certificate).unwrap_err();
        assert_eq!(fault(b"", RSA_CERTIFICATE), Fault::Key);
        assert_eq!(fault(&RSA_KEY[..99], RSA_CERTIFICATE), Fault::Key);
        assert_eq!(fault(b"PRIVATE KEY-----", RSA_CERTIFICATE), Fault::Key);
        assert_eq!(fault(b"BEGINPRIVATE KEY-----", RSA_CERTIFICATE), Fault::Key);
        assert_eq!(fault(RSA_CERTIFICATE, RSA_CERTIFICATE), Fault::Key);
        let encrypted = pem("ENCRYPTED PRIVATE KEY", RSA_KEY);
        assert_eq!(fault(&encrypted, RSA_CERTIFICATE), Fault::KeyEncrypted);
        assert_eq!(fault(RSA_KEY, b""), Fault::Certificate);
        assert_eq!(fault(RSA_KEY, &RSA_CERTIFICATE[..500]), Fault::Certificate);
        assert_eq!(fault(RSA_KEY, RSA_KEY), Fault::Certificate);
        assert_eq!(fault(RSA_KEY, P256_CERTIFICATE), Fault::Mismatch);
        assert_eq!(fault(P256_KEY, RSA_CERTIFICATE), Fault::Mismatch);
        // Ed25519: RFC 8410, 10.3.
        let mut other =
            b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20".to_vec();
        other.extend([7; 32]);
        assert_eq!(fault(&other, RSA_CERTIFICATE), Fault::KeyAlgorithm);
    }

    #[test]
    fn damaged_files_are_refused_and_break_nothing() {
        for (key, certificate) in [(RSA_KEY, RSA_CERTIFICATE), (P256_KEY, P256_CERTIFICATE)] {
            for index in 0..key.len() {
                let mut damaged = key.to_vec();
                damaged[index] ^= 0x80;
                let _ = read_identity(&damaged, certificate);
                let _ = read_identity(&key[..index], certificate).unwrap_err();
            }
            for index in 0..certificate.len() {
                let mut damaged = certificate.to_vec();
                damaged[index] ^= 0x80;
                let _ = read_identity(key, &damaged);
                let _ = read_identity(key, &certificate[..index]).unwrap_err();
            }
        }
    }
}
