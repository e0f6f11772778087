//! What is offered, and how long keys may be.

use crate::{
    engine::{
        Engine,
        refusals::{NOT_OFFERED, UNKNOWN_ALGORITHM},
    },
    rules::Rule,
    wire::{
        algorithm::{AeadAlgorithm, CipherAlgorithm, HashAlgorithm, MacAlgorithm, Service},
        parameters::{ChainHash, CipherParameters, HashParameters, MacParameters, Parameters},
        status::Refusal,
    },
};

impl Engine {
    /// Checks that algorithms are offered and that keys are not too long.
    pub(super) fn check(&self, parameters: &Parameters<'_>) -> Result<(), Refusal> {
        match parameters {
            Parameters::Cipher(cipher) => self.check_cipher(cipher),
            Parameters::Chain(chain) => {
                self.check_cipher(&chain.cipher)?;
                match &chain.hash {
                    ChainHash::Plain(hash) | ChainHash::Nested(hash) => self.check_hash(hash),
                    ChainHash::Authenticated(mac) => self.check_mac(mac),
                }
            }
            Parameters::Hash(hash) => self.check_hash(hash),
            Parameters::Mac(mac) => self.check_mac(mac),
            Parameters::Aead(aead) => {
                let known = AeadAlgorithm::of(aead.algo).is_some();
                self.check_offer(Service::Aead, aead.algo, known)?;
                self.check_cipher_key(aead.key.0)
            }
            Parameters::Akcipher(akcipher) => {
                // 3 is ECDSA for Linux and QEMU.
                let known = matches!(akcipher.algo, 1..=3);
                self.check_offer(Service::Akcipher, akcipher.algo, known)
            }
        }
    }

    fn check_cipher(&self, cipher: &CipherParameters<'_>) -> Result<(), Refusal> {
        let known = CipherAlgorithm::of(cipher.algo);
        self.check_offer(Service::Cipher, cipher.algo, known.is_some())?;
        let is_aes = matches!(
            known,
            Some(CipherAlgorithm::AesEcb | CipherAlgorithm::AesCbc | CipherAlgorithm::AesCtr)
        );
        let refuses = self.broken.breaks(Rule::KeyWithinMaxOpens);
        if refuses && is_aes && cipher.key.0.len() == 24 {
            return Err(Refusal::error("a broken rule"));
        }
        let refuses = self.broken.breaks(Rule::AdvertisedOpens);
        if refuses && known == Some(CipherAlgorithm::AesCtr) {
            return Err(NOT_OFFERED);
        }
        self.check_cipher_key(cipher.key.0)
    }

    fn check_hash(&self, hash: &HashParameters) -> Result<(), Refusal> {
        let known = HashAlgorithm::of(hash.algo);
        self.check_offer(Service::Hash, hash.algo, known.is_some())?;
        let refuses = self.broken.breaks(Rule::AdvertisedOpens);
        if refuses && known == Some(HashAlgorithm::Sha512) {
            return Err(NOT_OFFERED);
        }
        Ok(())
    }

    fn check_mac(&self, mac: &MacParameters<'_>) -> Result<(), Refusal> {
        let known = MacAlgorithm::of(mac.algo).is_some();
        self.check_offer(Service::Mac, mac.algo, known)?;
        if self.broken.breaks(Rule::AuthKeyBeyondMaxFails) {
            return Ok(());
        }
        check_key(mac.key.0, self.config.max_auth_key_len)
    }

    fn check_cipher_key(&self, key: &[u8]) -> Result<(), Refusal> {
        if self.broken.breaks(Rule::KeyBeyondMaxFails) {
            return Ok(());
        }
        check_key(key, self.config.max_cipher_key_len)
    }

    /// Checks an algorithm that is known, or is not.
    fn check_offer(&self, service: Service, algo: u32, known: bool) -> Result<(), Refusal> {
        if !known {
            return Err(UNKNOWN_ALGORITHM);
        }
        let has_service = self.options.services & 1 << service as u32 != 0;
        if !has_service || !self.options.algorithms.has(service, algo) {
            return Err(NOT_OFFERED);
        }
        if self.options.refused.has(service, algo) {
            return Err(Refusal::not_supported(
                "refused, whatever the configuration says",
            ));
        }
        Ok(())
    }
}

fn check_key(key: &[u8], max_bytes: u32) -> Result<(), Refusal> {
    if key.len() > max_bytes as usize {
        return Err(Refusal::error(
            "a key that is longer than the configuration allows",
        ));
    }
    Ok(())
}
