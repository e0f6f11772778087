//! ECDSA on the curves of 5.9.7.2.1.

use core::{fmt, ops::Add};

use ecdsa::{
    EcdsaCurve, Signature, der,
    elliptic_curve::{
        AffinePoint, CurveArithmetic, FieldBytesSize, PublicKey, SecretKey,
        array::ArraySize,
        sec1::{FromSec1Point, ModulusSize, ToSec1Point},
    },
    hazmat::{sign_prehashed_rfc6979, verify_prehashed},
};
use p192::NistP192;
use p224::NistP224;
use p256::NistP256;
use p384::NistP384;
use p521::NistP521;
use sec1::{EcPrivateKey, der::asn1::ObjectIdentifier};
use sha2::Sha256;

use crate::{
    services::refusals::{BAD_KEY, NO_PRIVATE_KEY, NOT_SIGNED},
    wire::{
        data::AkcipherInput,
        header::KeyOperation,
        parameters::{AkcipherParameters, KeyType},
        status::Refusal,
    },
};

/// A key on its curve.
pub struct Ecdsa(Box<dyn Key>);

/// What a key does, whatever its curve is.
trait Key: Send + Sync {
    fn sign(&self, digest: &[u8]) -> Result<Vec<u8>, Refusal>;
    fn verifies(&self, signature: &[u8], digest: &[u8]) -> bool;
}

impl Ecdsa {
    /// Takes a private key in the DER of RFC 5915, or a public one as the point of SEC 1.
    pub fn new(parameters: &AkcipherParameters<'_>) -> Result<Self, Refusal> {
        let key = (parameters.key_type, parameters.key.0);
        match parameters.padding_or_curve {
            1 => OnCurve::<NistP192>::read(key, "1.2.840.10045.3.1.1"),
            2 => OnCurve::<NistP224>::read(key, "1.3.132.0.33"),
            3 => OnCurve::<NistP256>::read(key, "1.2.840.10045.3.1.7"),
            4 => OnCurve::<NistP384>::read(key, "1.3.132.0.34"),
            5 => OnCurve::<NistP521>::read(key, "1.3.132.0.35"),
            _ => Err(Refusal::not_supported("no such curve_id")),
        }
    }

    /// Answers a request. A private key has the public one in it.
    pub fn compute(
        &self,
        operation: KeyOperation,
        input: &AkcipherInput<'_>,
    ) -> Result<Vec<u8>, Refusal> {
        match operation {
            KeyOperation::Sign => self.0.sign(input.source),
            KeyOperation::Verify if self.0.verifies(input.source, input.signed) => Ok(Vec::new()),
            KeyOperation::Verify => Err(NOT_SIGNED),
            KeyOperation::Encrypt | KeyOperation::Decrypt => {
                Err(Refusal::not_supported("ECDSA does not encrypt"))
            }
        }
    }
}

impl fmt::Debug for Ecdsa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ECDSA")
    }
}

struct OnCurve<C: CurveArithmetic> {
    public: PublicKey<C>,
    private: Option<SecretKey<C>>,
}

impl<C> OnCurve<C>
where
    C: EcdsaCurve + CurveArithmetic,
    AffinePoint<C>: FromSec1Point<C> + ToSec1Point<C>,
    FieldBytesSize<C>: ModulusSize,
    Self: Key + 'static,
{
    fn read((key_type, key): (KeyType, &[u8]), curve: &str) -> Result<Ecdsa, Refusal> {
        let on_curve = match key_type {
            KeyType::Public => Self {
                public: PublicKey::from_sec1_bytes(key).map_err(|_| BAD_KEY)?,
                private: None,
            },
            KeyType::Private => Self::read_private(key, curve)?,
        };
        Ok(Ecdsa(Box::new(on_curve)))
    }

    /// The name of the curve and the public key are optional; where they are, they have to fit.
    fn read_private(key: &[u8], curve: &str) -> Result<Self, Refusal> {
        let key = EcPrivateKey::try_from(key).map_err(|_| BAD_KEY)?;
        let named = key
            .parameters
            .and_then(|parameters| parameters.named_curve());
        if named.is_some_and(|named| Ok(named) != ObjectIdentifier::new(curve)) {
            return Err(BAD_KEY);
        }
        let private = SecretKey::from_slice(key.private_key).map_err(|_| BAD_KEY)?;
        let public = private.public_key();
        if let Some(given) = key.public_key {
            let given = PublicKey::from_sec1_bytes(given).map_err(|_| BAD_KEY)?;
            if given != public {
                return Err(BAD_KEY);
            }
        }
        Ok(Self {
            public,
            private: Some(private),
        })
    }
}

impl<C> Key for OnCurve<C>
where
    C: EcdsaCurve + CurveArithmetic,
    // What DER adds to two numbers of the curve.
    der::MaxSize<C>: ArraySize,
    <FieldBytesSize<C> as Add>::Output: Add<der::MaxOverhead> + ArraySize,
{
    /// A digest may have any length: what is longer than the order is cut, as FIPS 186-5, 6.4.1
    /// says.
    fn sign(&self, digest: &[u8]) -> Result<Vec<u8>, Refusal> {
        let private = self.private.as_ref().ok_or(NO_PRIVATE_KEY)?;
        let scalar = private.to_nonzero_scalar();
        let (signature, _) = sign_prehashed_rfc6979::<C, Sha256>(&scalar, digest, &[]);
        Ok(signature.to_der().as_bytes().to_vec())
    }

    fn verifies(&self, signature: &[u8], digest: &[u8]) -> bool {
        Signature::<C>::from_der(signature).is_ok_and(|signature| {
            verify_prehashed(&self.public.to_projective(), digest, &signature).is_ok()
        })
    }
}
