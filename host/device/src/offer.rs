//! Algorithms that a device offers.

use crate::wire::algorithm::{
    AeadAlgorithm, AkcipherAlgorithm, CipherAlgorithm, HashAlgorithm, MacAlgorithm, Service,
};

/// Algorithms that are offered, by a bit for each number of 5.9.4.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Algorithms {
    /// Those of CIPHER.
    pub cipher: u64,
    /// Those of HASH.
    pub hash: u32,
    /// Those of MAC.
    pub mac: u64,
    /// Those of AEAD.
    pub aead: u32,
    /// Those of AKCIPHER.
    pub akcipher: u32,
}

impl Algorithms {
    /// None at all.
    pub const NONE: Self = Self {
        cipher: 0,
        hash: 0,
        mac: 0,
        aead: 0,
        akcipher: 0,
    };

    /// Puts an algorithm among them, or takes it away. Numbers that have no bit do nothing.
    pub fn set(&mut self, service: Service, algo: u32, is_among: bool) {
        let bit = 1u64.checked_shl(algo).unwrap_or(0);
        let changed = |mask: u64| match is_among {
            true => mask | bit,
            false => mask & !bit,
        };
        match service {
            Service::Cipher => self.cipher = changed(self.cipher),
            Service::Hash => self.hash = changed(self.hash.into()) as u32,
            Service::Mac => self.mac = changed(self.mac),
            Service::Aead => self.aead = changed(self.aead.into()) as u32,
            Service::Akcipher => self.akcipher = changed(self.akcipher.into()) as u32,
        }
    }

    /// Tells whether an algorithm is among them.
    pub fn has(&self, service: Service, algo: u32) -> bool {
        let algorithms = match service {
            Service::Cipher => self.cipher,
            Service::Hash => self.hash.into(),
            Service::Mac => self.mac,
            Service::Aead => self.aead.into(),
            Service::Akcipher => self.akcipher.into(),
        };
        1u64.checked_shl(algo)
            .is_some_and(|bit| algorithms & bit != 0)
    }
}

/// All that there is.
impl Default for Algorithms {
    fn default() -> Self {
        Self {
            cipher: mask(&CipherAlgorithm::ALL.map(|one| one as u32))
                & !mask(&[
                    CipherAlgorithm::KasumiF8 as u32,
                    CipherAlgorithm::Snow3gUea2 as u32,
                    CipherAlgorithm::AesF8 as u32,
                    CipherAlgorithm::ZucEea3 as u32,
                ]),
            hash: mask(&HashAlgorithm::ALL.map(|one| one as u32)) as u32,
            mac: mask(&MacAlgorithm::ALL.map(|one| one as u32))
                & !mask(&[
                    MacAlgorithm::GmacAes as u32,
                    MacAlgorithm::GmacTwofish as u32,
                    MacAlgorithm::KasumiF9 as u32,
                    MacAlgorithm::Snow3gUia2 as u32,
                    MacAlgorithm::CbcMacKasumiF9 as u32,
                    MacAlgorithm::ZucEia3 as u32,
                ]),
            aead: mask(&AeadAlgorithm::ALL.map(|one| one as u32)) as u32,
            akcipher: mask(&[
                AkcipherAlgorithm::Rsa as u32,
                AkcipherAlgorithm::Ecdsa as u32,
            ]) as u32,
        }
    }
}

fn mask(numbers: &[u32]) -> u64 {
    numbers.iter().fold(0, |mask, number| mask | 1 << number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bit_is_the_algorithm_of_its_number() {
        let algorithms = Algorithms {
            cipher: 1 << 3,
            hash: 1 << 4,
            mac: 1 << 49,
            aead: 1 << 1,
            akcipher: 1 << 2,
        };
        let mut offered = Vec::new();
        for service in Service::ALL {
            let numbers = (0..100).filter(|algo| algorithms.has(service, *algo));
            offered.extend(numbers.map(|algo| (service as u32, algo)));
        }
        assert_eq!(offered, [(0, 3), (1, 4), (2, 49), (3, 1), (4, 2)]);
    }

    #[test]
    fn an_algorithm_is_put_among_them_and_taken_away() {
        for service in Service::ALL {
            let mut algorithms = Algorithms::NONE;
            for algo in [1, 31, 63, 64] {
                algorithms.set(service, algo, true);
                let has_bit = algo < 32 || matches!(service, Service::Cipher | Service::Mac);
                assert_eq!(algorithms.has(service, algo), has_bit && algo < 64);
            }
            for algo in [1, 31, 63] {
                algorithms.set(service, algo, false);
            }
            assert_eq!(algorithms, Algorithms::NONE);
        }
    }

    #[test]
    fn all_that_there_is_is_offered() {
        let all = Algorithms {
            // ARC4, AES ECB CBC CTR, DES ECB CBC, 3DES ECB CBC CTR, AES XTS.
            cipher: 0b10_0011_1111_1110,
            hash: 0b1_1111_1111_1110,
            // Six HMACs, two CMACs, CBC-MAC and XCBC over AES.
            mac: 0b111_1110 | 1 << 25 | 1 << 26 | 1 << 49 | 1 << 53,
            aead: 0b1110,
            akcipher: 0b110,
        };
        assert_eq!(Algorithms::default(), all);
    }
}
