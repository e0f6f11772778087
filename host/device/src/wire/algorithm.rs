//! Services and algorithms (5.9.4). Each number is a bit of the configuration as well.

/// A service (5.9.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Symmetric ciphers, and chains of a cipher and a hash.
    Cipher = 0,
    /// Digests.
    Hash = 1,
    /// Message authentication codes.
    Mac = 2,
    /// Authenticated encryption with associated data.
    Aead = 3,
    /// Public keys.
    Akcipher = 4,
}

impl Service {
    /// All that are served. IPSEC (5, VIRTIO 1.4) is not among them.
    pub const ALL: [Self; 5] = [
        Self::Cipher,
        Self::Hash,
        Self::Mac,
        Self::Aead,
        Self::Akcipher,
    ];

    /// Finds a service by its number.
    pub fn of(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|one| *one as u32 == number)
    }
}

/// An algorithm of CIPHER (5.9.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CipherAlgorithm {
    /// ARC4, a stream cipher without an IV.
    Arc4 = 1,
    /// AES in electronic codebook.
    AesEcb = 2,
    /// AES in cipher block chaining.
    AesCbc = 3,
    /// AES as a counter.
    AesCtr = 4,
    /// DES in electronic codebook.
    DesEcb = 5,
    /// DES in cipher block chaining.
    DesCbc = 6,
    /// Triple DES in electronic codebook.
    TripleDesEcb = 7,
    /// Triple DES in cipher block chaining.
    TripleDesCbc = 8,
    /// Triple DES as a counter.
    TripleDesCtr = 9,
    /// KASUMI F8.
    KasumiF8 = 10,
    /// SNOW 3G UEA2.
    Snow3gUea2 = 11,
    /// AES F8.
    AesF8 = 12,
    /// AES in XTS.
    AesXts = 13,
    /// ZUC EEA3.
    ZucEea3 = 14,
}

impl CipherAlgorithm {
    /// All that the text names.
    pub const ALL: [Self; 14] = [
        Self::Arc4,
        Self::AesEcb,
        Self::AesCbc,
        Self::AesCtr,
        Self::DesEcb,
        Self::DesCbc,
        Self::TripleDesEcb,
        Self::TripleDesCbc,
        Self::TripleDesCtr,
        Self::KasumiF8,
        Self::Snow3gUea2,
        Self::AesF8,
        Self::AesXts,
        Self::ZucEea3,
    ];

    /// Finds an algorithm by its number.
    pub fn of(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|one| *one as u32 == number)
    }
}

/// An algorithm of HASH (5.9.4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HashAlgorithm {
    /// MD5.
    Md5 = 1,
    /// SHA-1.
    Sha1 = 2,
    /// SHA-224.
    Sha224 = 3,
    /// SHA-256.
    Sha256 = 4,
    /// SHA-384.
    Sha384 = 5,
    /// SHA-512.
    Sha512 = 6,
    /// SHA3-224.
    Sha3_224 = 7,
    /// SHA3-256.
    Sha3_256 = 8,
    /// SHA3-384.
    Sha3_384 = 9,
    /// SHA3-512.
    Sha3_512 = 10,
    /// SHAKE128, whose result has any length.
    Shake128 = 11,
    /// SHAKE256, whose result has any length.
    Shake256 = 12,
}

impl HashAlgorithm {
    /// All that the text names.
    pub const ALL: [Self; 12] = [
        Self::Md5,
        Self::Sha1,
        Self::Sha224,
        Self::Sha256,
        Self::Sha384,
        Self::Sha512,
        Self::Sha3_224,
        Self::Sha3_256,
        Self::Sha3_384,
        Self::Sha3_512,
        Self::Shake128,
        Self::Shake256,
    ];

    /// Finds an algorithm by its number.
    pub fn of(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|one| *one as u32 == number)
    }
}

/// An algorithm of MAC (5.9.4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MacAlgorithm {
    /// HMAC over MD5.
    HmacMd5 = 1,
    /// HMAC over SHA-1.
    HmacSha1 = 2,
    /// HMAC over SHA-224.
    HmacSha224 = 3,
    /// HMAC over SHA-256.
    HmacSha256 = 4,
    /// HMAC over SHA-384.
    HmacSha384 = 5,
    /// HMAC over SHA-512.
    HmacSha512 = 6,
    /// CMAC over triple DES.
    CmacTripleDes = 25,
    /// CMAC over AES.
    CmacAes = 26,
    /// KASUMI F9.
    KasumiF9 = 27,
    /// SNOW 3G UIA2.
    Snow3gUia2 = 28,
    /// GMAC over AES.
    GmacAes = 41,
    /// GMAC over Twofish.
    GmacTwofish = 42,
    /// CBC-MAC over AES.
    CbcMacAes = 49,
    /// CBC-MAC over KASUMI F9.
    CbcMacKasumiF9 = 50,
    /// XCBC over AES.
    XcbcAes = 53,
    /// ZUC EIA3.
    ZucEia3 = 54,
}

impl MacAlgorithm {
    /// All that the text names.
    pub const ALL: [Self; 16] = [
        Self::HmacMd5,
        Self::HmacSha1,
        Self::HmacSha224,
        Self::HmacSha256,
        Self::HmacSha384,
        Self::HmacSha512,
        Self::CmacTripleDes,
        Self::CmacAes,
        Self::KasumiF9,
        Self::Snow3gUia2,
        Self::GmacAes,
        Self::GmacTwofish,
        Self::CbcMacAes,
        Self::CbcMacKasumiF9,
        Self::XcbcAes,
        Self::ZucEia3,
    ];

    /// Finds an algorithm by its number.
    pub fn of(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|one| *one as u32 == number)
    }
}

/// An algorithm of AEAD (5.9.4.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AeadAlgorithm {
    /// AES-GCM.
    Gcm = 1,
    /// AES-CCM.
    Ccm = 2,
    /// ChaCha20-Poly1305.
    ChaCha20Poly1305 = 3,
}

impl AeadAlgorithm {
    /// All that the text names.
    pub const ALL: [Self; 3] = [Self::Gcm, Self::Ccm, Self::ChaCha20Poly1305];

    /// Finds an algorithm by its number.
    pub fn of(number: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|one| *one as u32 == number)
    }
}

/// An algorithm of AKCIPHER (5.9.4.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AkcipherAlgorithm {
    /// RSA.
    Rsa = 1,
    /// ECDSA. The headers of Linux and QEMU have 3 for it and 2 for DSA, so a device can be made to
    /// take that instead.
    Ecdsa = 2,
}
