//! Algorithms that a device offers.

use crate::wire::algorithm::{
    AeadAlgorithm, AkcipherAlgorithm, CipherAlgorithm, HashAlgorithm, MacAlgorithm,
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
