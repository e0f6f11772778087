//! What is offered, and how long keys may be.

use crate::{
    engine::Engine,
    wire::{
        algorithm::Service,
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
                self.check_offer(Service::Aead, aead.algo)?;
                self.check_cipher_key(aead.key.0)
            }
            Parameters::Akcipher(akcipher) => self.check_offer(Service::Akcipher, akcipher.algo),
        }
    }

    fn check_cipher(&self, cipher: &CipherParameters<'_>) -> Result<(), Refusal> {
        self.check_offer(Service::Cipher, cipher.algo)?;
        self.check_cipher_key(cipher.key.0)
    }

    fn check_hash(&self, hash: &HashParameters) -> Result<(), Refusal> {
        self.check_offer(Service::Hash, hash.algo)
    }

    fn check_mac(&self, mac: &MacParameters<'_>) -> Result<(), Refusal> {
        self.check_offer(Service::Mac, mac.algo)?;
        check_key(mac.key.0, self.config.max_auth_key_len)
    }

    fn check_cipher_key(&self, key: &[u8]) -> Result<(), Refusal> {
        check_key(key, self.config.max_cipher_key_len)
    }

    fn check_offer(&self, service: Service, algo: u32) -> Result<(), Refusal> {
        if self.config.offers(service, algo) {
            Ok(())
        } else {
            Err(Refusal::not_supported("an algorithm that is not offered"))
        }
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
