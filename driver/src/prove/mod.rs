//! Known answers: what a device does, whatever it advertises.
//!
//! For kernels that choose by what works ([`Device::prove`]), and for the probe. The one rule: an
//! answer counts as given when it is the published one, and when a wrong one is refused.

mod answers;

use self::answers::{
    AEADS, CIPHERS, COUNT, ECDSA_DIGEST, ECDSA_POINT, ECDSA_SCALAR, ECDSA_SIGNATURE, HASHES, MACS,
    MAX_PLAINTEXT_LEN, MAX_RESULT_LEN, MESSAGE, RSA_DIGEST, RSA_KEY, RSA_SIGNATURE,
};
use crate::{
    Error, Platform,
    capabilities::{AlgorithmSet, Proved},
    device::{Device, trial::Sample},
    request::{mode::Mode, session::Session},
    service::{
        aead::{AeadDecrypt, AeadEncrypt},
        akcipher::{
            EcdsaPrivateKey, EcdsaPublicKey, EcdsaSigner, EcdsaVerifier, RsaPrivateKey, RsaSigner,
            RsaVerifier,
        },
        cipher::Cipher,
        hash::MessageDigest,
        mac::Mac,
    },
    wire::{AkcipherAlgorithm, Curve, Direction, EcdsaNumber, RsaHash},
};

impl<P: Platform> Device<P> {
    /// Tries every algorithm for which there is a known answer, each in sessions that are closed
    /// again, and keeps what came of it for [`capabilities`](Self::capabilities), in place of what
    /// was kept before.
    ///
    /// What counts as proved:
    ///
    /// - a cipher, by encrypting to the published answer with one key;
    /// - a hash or MAC, by the published digest or tag;
    /// - authenticated encryption, by the known answer, there and back, and by telling a wrong tag;
    /// - RSA, by the known signature (PKCS#1 v1.5, SHA-256, 1024 bits) and by telling a wrong one;
    /// - ECDSA, by the published signature on P-256, by telling a wrong one, and by a signature of
    ///   its own.
    ///
    /// All of that goes to the calling CPU's data queue. Then each data queue in use is asked for
    /// one cipher, hash, MAC or authenticated encryption.
    ///
    /// It is no error when the device refuses an algorithm, whatever it advertises; where no
    /// session is free, all are refused. A recovery changes nothing about what is kept.
    ///
    /// # Errors
    ///
    /// Those that say nothing about an algorithm: [`Error::Broken`], [`Error::ShutDown`],
    /// [`Error::TooManySessions`], [`Error::OutOfDeviceMemory`]. What was kept before is kept.
    ///
    /// # Cancellation
    ///
    /// If the future is dropped, no session stays behind, and what was kept before is kept.
    pub async fn prove(&self) -> Result<Proved, Error> {
        let mut algorithms = AlgorithmSet::EMPTY;
        for answer in CIPHERS {
            if is_given(answer.ask(self).await)? {
                algorithms.insert(answer.algorithm);
            }
        }
        for (algorithm, digest) in HASHES {
            let mut result = [0; MAX_RESULT_LEN];
            let result = &mut result[..digest.len()];
            let asked = async {
                let session = MessageDigest::open(self, *algorithm, digest.len()).await?;
                session.digest_slice(MESSAGE, result).await?;
                session.close().await?;
                Ok(result == *digest)
            };
            if is_given(asked.await)? {
                algorithms.insert(*algorithm);
            }
        }
        for answer in MACS {
            if is_given(answer.ask(self).await)? {
                algorithms.insert(answer.algorithm);
            }
        }
        for answer in AEADS {
            if is_given(answer.ask(self).await)? {
                algorithms.insert(answer.algorithm);
            }
        }
        if is_given(ask_rsa(self).await)? {
            algorithms.insert(AkcipherAlgorithm::Rsa);
        }
        for (number, algorithm) in [
            (EcdsaNumber::Specification, AkcipherAlgorithm::Ecdsa),
            (EcdsaNumber::Linux, AkcipherAlgorithm::EcdsaLinux),
        ] {
            if is_given(ask_ecdsa(self, number).await)? {
                algorithms.insert(algorithm);
            }
        }
        let proved = Proved {
            algorithms,
            data_queues: prove_queues(self, algorithms).await?,
        };
        self.proved.with(|kept| *kept = proved);
        Ok(proved)
    }
}

/// Asks each data queue in use for what was proved; where nothing was, for what the device
/// advertises, since all that was asked may have gone to a queue that is not served.
async fn prove_queues<P: Platform>(device: &Device<P>, proved: AlgorithmSet) -> Result<u64, Error> {
    let epoch = device.epoch();
    let advertised = epoch.capabilities.advertised();
    for sample in Sample::of(proved).chain(Sample::of(advertised)) {
        let (parameters, keys) = (sample.parameters(), [sample.key(), &[]]);
        let session = match Session::create(epoch.clone(), &parameters, &keys).await {
            Err(Error::Refused(_)) => continue,
            session => session?,
        };
        let mut served = 0;
        for (number, queue) in epoch.data_queues().enumerate().take(64) {
            let asked = sample.ask(&session, queue).await;
            served |= u64::from(is_given(asked.map(|()| true))?) << number;
        }
        Mode::Session(session).close().await?;
        if served != 0 {
            return Ok(served);
        }
    }
    Ok(0)
}

/// Takes the device's own word about an algorithm (no, not so long a key or so much data, half an
/// answer, a right signature called wrong) for a wrong answer.
fn is_given(asked: Result<bool, Error>) -> Result<bool, Error> {
    match asked {
        Err(
            Error::Refused(_)
            | Error::InvalidLength { .. }
            | Error::ShortAnswer { .. }
            | Error::InvalidAnswer
            | Error::InvalidSignature
            | Error::TagMismatch,
        ) => Ok(false),
        other => other,
    }
}

/// Tells whether a device found out that something is wrong.
fn is_told<T>(outcome: Result<T, Error>) -> Result<bool, Error> {
    match outcome {
        Ok(_) => Ok(false),
        Err(Error::TagMismatch | Error::InvalidSignature) => Ok(true),
        Err(error) => Err(error),
    }
}

impl answers::Cipher {
    async fn ask<P: Platform>(&self, device: &Device<P>) -> Result<bool, Error> {
        let session = Cipher::open(device, self.algorithm, Direction::Encrypt, self.key).await?;
        let mut data = [0; MAX_PLAINTEXT_LEN];
        let data = &mut data[..self.plaintext.len()];
        data.copy_from_slice(self.plaintext);
        session.process_slice(self.iv, data).await?;
        session.close().await?;
        Ok(data == self.ciphertext)
    }
}

impl answers::Mac {
    async fn ask<P: Platform>(&self, device: &Device<P>) -> Result<bool, Error> {
        let session = Mac::open(device, self.algorithm, self.key, self.tag.len()).await?;
        let mut tag = [0; MAX_RESULT_LEN];
        let tag = &mut tag[..self.tag.len()];
        session.tag_slice(self.message, tag).await?;
        session.close().await?;
        Ok(tag == self.tag)
    }
}

impl answers::Aead {
    async fn ask<P: Platform>(&self, device: &Device<P>) -> Result<bool, Error> {
        let Self {
            algorithm,
            key_len_bytes,
            ciphertext,
            tag,
        } = self;
        let (key, nonce, aad) = (&COUNT[..*key_len_bytes], &COUNT[..12], &COUNT[..20]);
        let (mut data, mut made) = (COUNT, [0; 16]);
        let seal = AeadEncrypt::open(device, *algorithm, key, tag.len(), aad.len()).await?;
        let sealed = seal.encrypt_slice(nonce, aad, &mut data, &mut made);
        sealed.await?;
        seal.close().await?;
        if data != *ciphertext || made != *tag {
            return Ok(false);
        }
        let open = AeadDecrypt::open(device, *algorithm, key, tag.len(), aad.len()).await?;
        open.decrypt_slice(nonce, aad, &mut data, tag).await?;
        made[0] ^= 1;
        let mut forged = *ciphertext;
        let opened = open.decrypt_slice(nonce, aad, &mut forged, &made);
        let is_told = is_told(opened.await)?;
        open.close().await?;
        Ok(is_told && data == COUNT)
    }
}

async fn ask_rsa<P: Platform>(device: &Device<P>) -> Result<bool, Error> {
    let key = RsaPrivateKey::from_pkcs1_der(RSA_KEY)?;
    let signer = RsaSigner::open(device, &key, RsaHash::Sha256).await?;
    let signature = signer.sign(&RSA_DIGEST).await?;
    signer.close().await?;
    let verifier = RsaVerifier::open(device, key.public_key(), RsaHash::Sha256).await?;
    verifier.verify(&RSA_DIGEST, RSA_SIGNATURE).await?;
    let is_told = is_told(verifier.verify(&[7; 32], RSA_SIGNATURE).await)?;
    verifier.close().await?;
    Ok(is_told && signature.as_ref() == RSA_SIGNATURE)
}

async fn ask_ecdsa<P: Platform>(device: &Device<P>, number: EcdsaNumber) -> Result<bool, Error> {
    let private = EcdsaPrivateKey::from_scalar(Curve::P256, &ECDSA_SCALAR)?;
    let public = EcdsaPublicKey::from_sec1_bytes(Curve::P256, &ECDSA_POINT)?;
    let verifier = EcdsaVerifier::open(device, &public, number).await?;
    verifier.verify(&ECDSA_DIGEST, &ECDSA_SIGNATURE).await?;
    let is_told = is_told(verifier.verify(&[7; 32], &ECDSA_SIGNATURE).await)?;
    let signer = EcdsaSigner::open(device, &private, number).await?;
    let own = signer.sign(&ECDSA_DIGEST).await?;
    signer.close().await?;
    verifier.verify(&ECDSA_DIGEST, own.as_ref()).await?;
    verifier.close().await?;
    Ok(is_told)
}
