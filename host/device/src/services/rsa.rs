//! RSA with the padding of PKCS #1 v1.5 and without any (5.9.7.2.1, 5.9.7.8).

use getrandom::SysRng;
use md2::Md2;
use md4::Md4;
use md5::Md5;
use rsa::{
    BoxedUint, Pkcs1v15Sign, PrivateKey, PublicKey,
    hazmat::{rsa_decrypt_and_check, rsa_encrypt},
    pkcs1::{DecodeRsaPrivateKey, DecodeRsaPublicKey},
    traits::PublicKeyParts,
};
use sha1::Sha1;
use sha2::{Sha224, Sha256, Sha384, Sha512};

use crate::{
    services::refusals::{BAD_KEY, NO_PRIVATE_KEY, NOT_SIGNED},
    wire::{
        data::AkcipherInput,
        header::KeyOperation,
        parameters::{AkcipherParameters, KeyType},
        status::Refusal,
    },
};

/// A key and how it pads.
#[derive(Debug)]
pub struct Rsa {
    public: PublicKey,
    private: Option<Box<PrivateKey>>,
    padding: Padding,
}

/// `VIRTIO_CRYPTO_RSA_*_PADDING`.
#[derive(Debug)]
enum Padding {
    /// A number as it is.
    Raw,
    /// That of PKCS #1 v1.5; without a hash it can encrypt alone.
    Pkcs1(Option<Pkcs1v15Sign>),
}

impl Rsa {
    /// Takes a key in the DER of PKCS #1.
    pub fn new(parameters: &AkcipherParameters<'_>) -> Result<Self, Refusal> {
        let padding = match parameters.padding_or_curve {
            0 => Padding::Raw,
            1 => Padding::Pkcs1(signing(parameters.hash_algo)?),
            _ => return Err(Refusal::not_supported("no such padding_algo")),
        };
        let der = parameters.key.0;
        let bad = |_| BAD_KEY;
        let (public, private) = match parameters.key_type {
            KeyType::Public => (PublicKey::from_pkcs1_der(der).map_err(bad)?, None),
            KeyType::Private => {
                let private = PrivateKey::from_pkcs1_der(der).map_err(bad)?;
                (private.to_public_key(), Some(Box::new(private)))
            }
        };
        Ok(Self {
            public,
            private,
            padding,
        })
    }

    /// Answers a request. A private key has the public one in it.
    pub fn compute(
        &self,
        operation: KeyOperation,
        input: &AkcipherInput<'_>,
    ) -> Result<Vec<u8>, Refusal> {
        let private = self.private.as_deref().ok_or(NO_PRIVATE_KEY);
        match operation {
            KeyOperation::Encrypt => self.encrypt(input.source),
            KeyOperation::Decrypt => self.decrypt(private?, input.source),
            KeyOperation::Sign => {
                let signed = private?.sign_with_rng(&mut SysRng, self.signing()?, input.source);
                signed.map_err(|_| Refusal::error("what is signed has not the hash's length"))
            }
            KeyOperation::Verify => self.verify(input.source, input.signed),
        }
    }

    fn encrypt(&self, message: &[u8]) -> Result<Vec<u8>, Refusal> {
        match self.padding {
            Padding::Raw => {
                let number = self.number(message)?;
                let raised = rsa_encrypt(&self.public, &number).map_err(|_| FAILED)?;
                Ok(self.bytes(&raised))
            }
            Padding::Pkcs1(_) => {
                let sealed = self.public.pkcs1v15_encrypt_with_rng(&mut SysRng, message);
                sealed.map_err(|_| Refusal::error("the message is too long for the key"))
            }
        }
    }

    fn decrypt(&self, private: &PrivateKey, sealed: &[u8]) -> Result<Vec<u8>, Refusal> {
        if matches!(self.padding, Padding::Pkcs1(_)) && sealed.len() != self.public.size() {
            return Err(Refusal::error("the source has not the modulus' length"));
        }
        let number = self.number(sealed)?;
        let opened = rsa_decrypt_and_check(private, Some(&mut SysRng), &number);
        let padded = self.bytes(&opened.map_err(|_| FAILED)?);
        match self.padding {
            Padding::Raw => Ok(padded),
            // The library answers with a made-up message where the padding is wrong, so that
            // nobody learns of it. A device says `ERR`, and so does QEMU.
            Padding::Pkcs1(_) => message(&padded)
                .map(<[u8]>::to_vec)
                .ok_or(Refusal::error("the padding is wrong")),
        }
    }

    fn verify(&self, signature: &[u8], digest: &[u8]) -> Result<Vec<u8>, Refusal> {
        let signing = self.signing()?;
        if signing.hash_len != Some(digest.len()) {
            return Err(Refusal::error("what was signed has not the hash's length"));
        }
        let verified = self.public.verify(signing, digest, signature);
        verified.map(|()| Vec::new()).map_err(|_| NOT_SIGNED)
    }

    /// Returns how a digest is padded. Without padding there are no signatures (5.9.7.2.1).
    fn signing(&self) -> Result<Pkcs1v15Sign, Refusal> {
        match &self.padding {
            Padding::Pkcs1(Some(signing)) => Ok(signing.clone()),
            _ => Err(Refusal::not_supported("signatures need padding and a hash")),
        }
    }

    /// Reads a number below the modulus. It may be shorter, as Linux sends it: the text gives a
    /// number without padding no length.
    fn number(&self, bytes: &[u8]) -> Result<BoxedUint, Refusal> {
        if bytes.len() > self.public.size() {
            return Err(Refusal::error("the source is longer than the modulus"));
        }
        let number = BoxedUint::from_be_slice(bytes, self.public.n_bits_precision());
        number
            .ok()
            .filter(|number| number < self.public.n().as_ref())
            .ok_or(Refusal::error("the source is a number beyond the modulus"))
    }

    /// Returns a number below the modulus in the modulus' length.
    fn bytes(&self, number: &BoxedUint) -> Vec<u8> {
        let bytes = number.to_be_bytes();
        // A number has whole words, the modulus may have a part of one.
        bytes[bytes.len().saturating_sub(self.public.size())..].to_vec()
    }
}

const FAILED: Refusal = Refusal::error("the key does not belong together");

/// Finds how digests of a hash are padded (`VIRTIO_CRYPTO_RSA_*`).
fn signing(hash_algo: u32) -> Result<Option<Pkcs1v15Sign>, Refusal> {
    Ok(Some(match hash_algo {
        0 => return Ok(None),
        1 => Pkcs1v15Sign::new::<Md2>(),
        // 2 is MD3, which was never published.
        3 => Pkcs1v15Sign::new::<Md4>(),
        4 => Pkcs1v15Sign::new::<Md5>(),
        5 => Pkcs1v15Sign::new::<Sha1>(),
        6 => Pkcs1v15Sign::new::<Sha256>(),
        7 => Pkcs1v15Sign::new::<Sha384>(),
        8 => Pkcs1v15Sign::new::<Sha512>(),
        9 => Pkcs1v15Sign::new::<Sha224>(),
        _ => return Err(Refusal::not_supported("no such hash_algo")),
    }))
}

/// Finds the message within its padding (RFC 8017, 7.2.2 step 3).
fn message(padded: &[u8]) -> Option<&[u8]> {
    let padding = padded.strip_prefix(&[0, 2])?;
    let end = padding.iter().position(|byte| *byte == 0)?;
    (end >= 8).then(|| &padding[end + 1..])
}
