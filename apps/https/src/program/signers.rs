//! The certificate's key in the device: sessions that sign with it, for one life of the device.

use alloc::vec::Vec;

use https::tls::{Abilities, Identity, KeyKind, PrivateKey, ToSign, Trial};
use kernel::{crypto::CryptoDevice, platform::KernelPlatform};
use virtio_crypto::{
    Curve, EcdsaNumber, EcdsaPrivateKey, EcdsaSigner, Error, RsaHash, RsaPrivateKey,
    RsaRawDecryptor, RsaSigner,
};

/// Sessions with the key.
#[derive(Debug)]
pub enum Signers {
    /// RSA with padding, and without if the device can.
    Rsa {
        /// With.
        pkcs1: RsaSigner<KernelPlatform>,
        /// Without.
        raw: Option<RsaRawDecryptor<KernelPlatform>>,
    },
    /// ECDSA over P-256.
    P256(EcdsaSigner<KernelPlatform>),
}

/// How the sessions are opened, once that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    /// RSA without padding, too.
    has_raw: bool,
    /// By which number the device knows ECDSA.
    number: EcdsaNumber,
    /// The device verifies what it signs.
    verify: bool,
}

impl Choice {
    /// What the sessions can sign.
    pub fn abilities(self, kind: KeyKind) -> Abilities {
        match kind {
            KeyKind::P256 => Abilities::Ecdsa,
            KeyKind::Rsa { modulus_bits } if self.has_raw => Abilities::Pss { modulus_bits },
            KeyKind::Rsa { .. } => Abilities::Pkcs1,
        }
    }
}

/// Why the device does not serve the key.
#[derive(Clone, Debug)]
pub enum Refused {
    /// It refuses or fails.
    Error(Error),
    /// What it signs is no signature.
    Wrong,
}

impl Signers {
    /// Opens the sessions.
    ///
    /// # Errors
    ///
    /// Those of the driver.
    pub async fn open(
        device: &CryptoDevice,
        key: &PrivateKey,
        choice: Choice,
    ) -> Result<Self, Error> {
        match key.kind() {
            KeyKind::Rsa { .. } => {
                let key = RsaPrivateKey::from_pkcs1_der(key.der())?;
                let mut pkcs1 = RsaSigner::open(device, &key, RsaHash::Sha256).await?;
                if choice.verify {
                    pkcs1.verify_signatures().await?;
                }
                let raw = match choice.has_raw {
                    true => Some(RsaRawDecryptor::open(device, &key).await?),
                    false => None,
                };
                Ok(Self::Rsa { pkcs1, raw })
            }
            KeyKind::P256 => {
                let key = EcdsaPrivateKey::from_sec1_der(Curve::P256, key.der())?;
                let signer = EcdsaSigner::open(device, &key, choice.number).await?;
                Ok(Self::P256(signer))
            }
        }
    }

    /// Signs.
    ///
    /// # Errors
    ///
    /// Those of the driver.
    pub async fn sign(&self, to_sign: &ToSign) -> Result<Vec<u8>, Error> {
        match (self, to_sign) {
            (Self::Rsa { pkcs1, .. }, ToSign::Pkcs1(digest)) => {
                let signature = pkcs1.sign(digest).await?;
                Ok(signature.as_ref().to_vec())
            }
            (Self::Rsa { raw: Some(raw), .. }, ToSign::Raise(number)) => {
                let mut signature = alloc::vec![0; number.len()];
                raw.decrypt(number, &mut signature).await?;
                Ok(signature)
            }
            (Self::P256(signer), ToSign::Ecdsa(digest)) => {
                let signature = signer.sign(digest).await?;
                Ok(signature.as_ref().to_vec())
            }
            _ => unreachable!("what the key's abilities do not offer"),
        }
    }

    /// Opens the sessions and tries each, as much as the device can.
    ///
    /// # Errors
    ///
    /// [`Refused`], for the least that there has to be.
    pub async fn find(
        device: &CryptoDevice,
        identity: &Identity,
        key: &PrivateKey,
        verify: bool,
    ) -> Result<(Self, Choice), Refused> {
        let choice = |has_raw, number| Choice {
            has_raw,
            number,
            verify,
        };
        let specification = choice(false, EcdsaNumber::Specification);
        let (choices, trials): ([Choice; 2], &[&[Trial]]) = match key.kind() {
            KeyKind::Rsa { .. } => (
                [choice(true, EcdsaNumber::Specification), specification],
                &[&[Trial::Raise, Trial::Pkcs1], &[Trial::Pkcs1]],
            ),
            KeyKind::P256 => (
                [specification, choice(false, EcdsaNumber::Linux)],
                &[&[Trial::Ecdsa], &[Trial::Ecdsa]],
            ),
        };
        let mut outcome = Err(Refused::Wrong);
        for (choice, trials) in choices.into_iter().zip(trials) {
            outcome = Self::try_out(device, identity, key, choice, trials).await;
            if outcome.is_ok() {
                break;
            }
        }
        outcome
    }

    async fn try_out(
        device: &CryptoDevice,
        identity: &Identity,
        key: &PrivateKey,
        choice: Choice,
        trials: &[Trial],
    ) -> Result<(Self, Choice), Refused> {
        let signers = Self::open(device, key, choice).await;
        let signers = signers.map_err(Refused::Error)?;
        for trial in trials {
            let to_sign = identity.trial(*trial).ok_or(Refused::Wrong)?;
            let signature = signers.sign(&to_sign).await.map_err(Refused::Error)?;
            if !identity.verifies(&to_sign, &signature) {
                return Err(Refused::Wrong);
            }
        }
        Ok((signers, choice))
    }
}
