//! Algorithms by their numbers, and the lengths that each of them takes (Virtio 1.3, 5.9.4).

use core::ops::RangeInclusive;

/// A symmetric cipher by its number (Virtio 1.3, 5.9.4.1 "CIPHER services").
///
/// The number is also the algorithm's bit in the device's configuration space (5.9.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u32)]
pub enum CipherAlgorithm {
    /// RC4: a stream cipher without an IV. Broken; for old data only.
    Arc4 = 1,
    /// AES, electronic codebook (NIST SP 800-38A, 6.1).
    AesEcb = 2,
    /// AES, cipher block chaining (NIST SP 800-38A, 6.2).
    AesCbc = 3,
    /// AES, counter mode (NIST SP 800-38A, 6.5); the IV is the first counter block.
    AesCtr = 4,
    /// DES, electronic codebook.
    DesEcb = 5,
    /// DES, cipher block chaining.
    DesCbc = 6,
    /// Triple DES, electronic codebook (NIST SP 800-67).
    TripleDesEcb = 7,
    /// Triple DES, cipher block chaining.
    TripleDesCbc = 8,
    /// Triple DES, counter mode.
    TripleDesCtr = 9,
    /// KASUMI in F8 mode (3GPP TS 35.201).
    KasumiF8 = 10,
    /// SNOW 3G in UEA2 mode (3GPP TS 35.215).
    Snow3gUea2 = 11,
    /// AES in F8 mode (RFC 3711, 4.1.2).
    AesF8 = 12,
    /// AES, XTS (IEEE 1619): the key is both keys, the IV is the tweak, little-endian.
    AesXts = 13,
    /// ZUC in EEA3 mode (3GPP TS 35.221).
    ZucEea3 = 14,
}

/// What the lengths of a request have to be: the IV's, a power of two less 1 that the data is a
/// multiple of, and the fewest bytes of data.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) iv_len_bytes: u8,
    pub(crate) granule_mask: u8,
    pub(crate) min_len_bytes: u8,
}

/// By number. A power of two of them, so that none is looked for beyond.
static SHAPES: [Shape; 16] = {
    let mut shapes = [Shape {
        iv_len_bytes: 0,
        granule_mask: 0,
        min_len_bytes: 0,
    }; 16];
    let mut index = 0;
    while index < CipherAlgorithm::ALL.len() {
        let algorithm = CipherAlgorithm::ALL[index];
        let granule_len_bytes = algorithm.granule_len_bytes();
        assert!(granule_len_bytes.is_power_of_two());
        shapes[algorithm as usize] = Shape {
            iv_len_bytes: algorithm.iv_len_bytes() as u8,
            granule_mask: granule_len_bytes as u8 - 1,
            min_len_bytes: algorithm.min_len_bytes() as u8,
        };
        index += 1;
    }
    shapes
};

impl CipherAlgorithm {
    /// All of them, by number.
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

    /// Returns the bytes that every request brings as IV, counter block or tweak; 0 for none.
    #[inline]
    pub const fn iv_len_bytes(self) -> usize {
        match self {
            Self::Arc4 | Self::AesEcb | Self::DesEcb | Self::TripleDesEcb => 0,
            Self::DesCbc | Self::TripleDesCbc | Self::TripleDesCtr | Self::KasumiF8 => 8,
            Self::AesCbc
            | Self::AesCtr
            | Self::AesF8
            | Self::AesXts
            | Self::Snow3gUea2
            | Self::ZucEea3 => 16,
        }
    }

    /// Returns the bytes that data is a multiple of: 1 where any length will do.
    ///
    /// QEMU's builtin backend wants whole blocks in counter mode too, and refuses others.
    #[inline]
    pub const fn granule_len_bytes(self) -> usize {
        match self {
            Self::AesEcb | Self::AesCbc => 16,
            Self::DesEcb | Self::DesCbc | Self::TripleDesEcb | Self::TripleDesCbc => 8,
            _ => 1,
        }
    }

    /// Returns the fewest bytes of data: a whole block for XTS (IEEE 1619, 5.1).
    #[inline]
    pub const fn min_len_bytes(self) -> usize {
        match self {
            Self::AesXts => 16,
            _ => self.granule_len_bytes(),
        }
    }

    /// Returns what the lengths of every request are checked for.
    #[inline]
    pub(crate) fn shape(self) -> Shape {
        SHAPES[self as usize % SHAPES.len()]
    }

    /// Returns the bytes of the cipher's block; 1 for a stream cipher.
    pub const fn block_len_bytes(self) -> usize {
        match self {
            Self::AesEcb | Self::AesCbc | Self::AesCtr | Self::AesF8 | Self::AesXts => 16,
            Self::DesEcb
            | Self::DesCbc
            | Self::TripleDesEcb
            | Self::TripleDesCbc
            | Self::TripleDesCtr => 8,
            Self::Arc4 | Self::KasumiF8 | Self::Snow3gUea2 | Self::ZucEea3 => 1,
        }
    }

    /// Returns the lengths in bytes that a key can have.
    pub const fn key_lens_bytes(self) -> &'static [RangeInclusive<usize>] {
        const DES: &[RangeInclusive<usize>] = &[8..=8];
        const TRIPLE_DES: &[RangeInclusive<usize>] = &[24..=24];
        const AES: &[RangeInclusive<usize>] = &[16..=16, 24..=24, 32..=32];
        const AES_XTS: &[RangeInclusive<usize>] = &[32..=32, 64..=64];
        const ARC4: &[RangeInclusive<usize>] = &[5..=256];
        const THREE_GPP: &[RangeInclusive<usize>] = &[16..=16];
        match self {
            Self::Arc4 => ARC4,
            Self::AesEcb | Self::AesCbc | Self::AesCtr | Self::AesF8 => AES,
            Self::DesEcb | Self::DesCbc => DES,
            Self::TripleDesEcb | Self::TripleDesCbc | Self::TripleDesCtr => TRIPLE_DES,
            Self::AesXts => AES_XTS,
            Self::KasumiF8 | Self::Snow3gUea2 | Self::ZucEea3 => THREE_GPP,
        }
    }
}

/// A hash by its number (Virtio 1.3, 5.9.4.2 "HASH services").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u32)]
pub enum HashAlgorithm {
    /// MD5 (RFC 1321). Broken.
    Md5 = 1,
    /// SHA-1 (FIPS 180-4). Broken for signatures.
    Sha1 = 2,
    /// SHA-224 (FIPS 180-4).
    Sha224 = 3,
    /// SHA-256 (FIPS 180-4).
    Sha256 = 4,
    /// SHA-384 (FIPS 180-4).
    Sha384 = 5,
    /// SHA-512 (FIPS 180-4).
    Sha512 = 6,
    /// SHA3-224 (FIPS 202).
    Sha3_224 = 7,
    /// SHA3-256 (FIPS 202).
    Sha3_256 = 8,
    /// SHA3-384 (FIPS 202).
    Sha3_384 = 9,
    /// SHA3-512 (FIPS 202).
    Sha3_512 = 10,
    /// SHAKE128 (FIPS 202): the caller chooses the result's length.
    Shake128 = 11,
    /// SHAKE256 (FIPS 202): the caller chooses the result's length.
    Shake256 = 12,
}

impl HashAlgorithm {
    /// All of them, by number.
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

    /// Returns the bytes of the digest; `None` where the caller chooses.
    pub const fn digest_len_bytes(self) -> Option<usize> {
        Some(match self {
            Self::Md5 => 16,
            Self::Sha1 => 20,
            Self::Sha224 | Self::Sha3_224 => 28,
            Self::Sha256 | Self::Sha3_256 => 32,
            Self::Sha384 | Self::Sha3_384 => 48,
            Self::Sha512 | Self::Sha3_512 => 64,
            Self::Shake128 | Self::Shake256 => return None,
        })
    }
}

/// A message authentication code by its number (Virtio 1.3, 5.9.4.3 "MAC services").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u32)]
pub enum MacAlgorithm {
    /// HMAC (RFC 2104) with MD5.
    HmacMd5 = 1,
    /// HMAC with SHA-1.
    HmacSha1 = 2,
    /// HMAC with SHA-224.
    HmacSha224 = 3,
    /// HMAC with SHA-256.
    HmacSha256 = 4,
    /// HMAC with SHA-384.
    HmacSha384 = 5,
    /// HMAC with SHA-512.
    HmacSha512 = 6,
    /// CMAC (NIST SP 800-38B) with triple DES.
    CmacTripleDes = 25,
    /// CMAC with AES (RFC 4493).
    CmacAes = 26,
    /// KASUMI in F9 mode (3GPP TS 35.201).
    KasumiF9 = 27,
    /// SNOW 3G in UIA2 mode (3GPP TS 35.215).
    Snow3gUia2 = 28,
    /// GMAC (NIST SP 800-38D) with AES.
    GmacAes = 41,
    /// GMAC with Twofish.
    GmacTwofish = 42,
    /// CBC-MAC with AES.
    CbcMacAes = 49,
    /// CBC-MAC with KASUMI in F9 mode.
    CbcMacKasumiF9 = 50,
    /// XCBC-MAC with AES (RFC 3566).
    XcbcAes = 53,
    /// ZUC in EIA3 mode (3GPP TS 35.221).
    ZucEia3 = 54,
}

impl MacAlgorithm {
    /// All of them, by number.
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

    /// Returns the bytes of the whole result; callers may ask for fewer.
    pub const fn result_len_bytes(self) -> usize {
        match self {
            Self::HmacMd5 => 16,
            Self::HmacSha1 => 20,
            Self::HmacSha224 => 28,
            Self::HmacSha256 => 32,
            Self::HmacSha384 => 48,
            Self::HmacSha512 => 64,
            Self::CmacTripleDes => 8,
            Self::CmacAes | Self::GmacAes | Self::GmacTwofish | Self::CbcMacAes | Self::XcbcAes => {
                16
            }
            Self::KasumiF9 | Self::CbcMacKasumiF9 | Self::Snow3gUia2 | Self::ZucEia3 => 4,
        }
    }

    /// Returns the lengths in bytes that a key can have.
    pub const fn key_lens_bytes(self) -> &'static [RangeInclusive<usize>] {
        const HMAC: &[RangeInclusive<usize>] = &[1..=usize::MAX];
        const AES: &[RangeInclusive<usize>] = &[16..=16, 24..=24, 32..=32];
        const TRIPLE_DES: &[RangeInclusive<usize>] = &[24..=24];
        const FIXED_16: &[RangeInclusive<usize>] = &[16..=16];
        match self {
            Self::HmacMd5
            | Self::HmacSha1
            | Self::HmacSha224
            | Self::HmacSha256
            | Self::HmacSha384
            | Self::HmacSha512 => HMAC,
            Self::CmacTripleDes => TRIPLE_DES,
            Self::CmacAes | Self::GmacAes | Self::GmacTwofish | Self::CbcMacAes => AES,
            Self::KasumiF9
            | Self::Snow3gUia2
            | Self::CbcMacKasumiF9
            | Self::XcbcAes
            | Self::ZucEia3 => FIXED_16,
        }
    }
}

/// Authenticated encryption by its number (Virtio 1.3, 5.9.4.4 "AEAD services").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[repr(u32)]
pub enum AeadAlgorithm {
    /// AES in Galois/counter mode (NIST SP 800-38D).
    Gcm = 1,
    /// AES in counter mode with CBC-MAC (NIST SP 800-38C, RFC 3610).
    Ccm = 2,
    /// ChaCha20-Poly1305 (RFC 8439).
    ChaCha20Poly1305 = 3,
}

impl AeadAlgorithm {
    /// All of them, by number.
    pub const ALL: [Self; 3] = [Self::Gcm, Self::Ccm, Self::ChaCha20Poly1305];

    /// Returns the lengths in bytes that a key can have.
    pub const fn key_lens_bytes(self) -> &'static [RangeInclusive<usize>] {
        const AES: &[RangeInclusive<usize>] = &[16..=16, 24..=24, 32..=32];
        const CHACHA20: &[RangeInclusive<usize>] = &[32..=32];
        match self {
            Self::Gcm | Self::Ccm => AES,
            Self::ChaCha20Poly1305 => CHACHA20,
        }
    }

    /// Returns the lengths in bytes that a nonce can have.
    ///
    /// For GCM, 16 bytes are not a nonce but J0, the first counter block (NIST SP 800-38D, 7.1).
    pub const fn nonce_lens_bytes(self) -> &'static [RangeInclusive<usize>] {
        const GCM: &[RangeInclusive<usize>] = &[12..=12, 16..=16];
        const CCM: &[RangeInclusive<usize>] = &[7..=13];
        const CHACHA20: &[RangeInclusive<usize>] = &[12..=12];
        match self {
            Self::Gcm => GCM,
            Self::Ccm => CCM,
            Self::ChaCha20Poly1305 => CHACHA20,
        }
    }

    /// Returns the lengths in bytes that a tag can have.
    pub const fn tag_lens_bytes(self) -> &'static [RangeInclusive<usize>] {
        const GCM: &[RangeInclusive<usize>] = &[4..=4, 8..=8, 12..=16];
        const CCM: &[RangeInclusive<usize>] =
            &[4..=4, 6..=6, 8..=8, 10..=10, 12..=12, 14..=14, 16..=16];
        const POLY1305: &[RangeInclusive<usize>] = &[16..=16];
        match self {
            Self::Gcm => GCM,
            Self::Ccm => CCM,
            Self::ChaCha20Poly1305 => POLY1305,
        }
    }

    /// Returns the most bytes of data under a nonce of that length: for CCM it leaves fewer than
    /// four bytes to count them (NIST SP 800-38C, A.1).
    pub(crate) const fn max_len_bytes(self, nonce_len_bytes: usize) -> usize {
        match (self, nonce_len_bytes) {
            (Self::Ccm, 13) => 0xffff,
            (Self::Ccm, 12) => 0xff_ffff,
            _ => u32::MAX as usize,
        }
    }
}
