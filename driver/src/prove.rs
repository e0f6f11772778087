//! Known answers: what a device does, whatever it advertises.

use crate::{Cipher, CipherAlgorithm, Device, Direction, Error, Platform};

/// What a device was seen to do right, by [`Device::prove`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Proved {
    /// Cipher algorithms: bit *n* for algorithm number *n*.
    pub cipher_algorithms: u64,
    // A further service adds its bits here, and its loop to `prove`.
}

impl<P: Platform> Device<P> {
    /// Tries every cipher algorithm for which there is a known answer, each with one key
    /// in one session that is closed again, and keeps what came of it for
    /// [`capabilities`](Self::capabilities), in place of what was kept before.
    ///
    /// An algorithm counts as proved when the device encrypts to the published answer. It is no
    /// error when the device refuses one, whatever it advertises; where no session is free, all are
    /// refused. A recovery changes nothing about what is kept.
    ///
    /// # Errors
    ///
    /// Those that say nothing about an algorithm: [`Error::Broken`], [`Error::ShutDown`],
    /// [`Error::TooManySessions`]. What was kept before is kept.
    ///
    /// # Cancellation
    ///
    /// Dropped, no session stays behind, and what was kept before is kept.
    pub async fn prove(&self) -> Result<Proved, Error> {
        let mut proved = Proved::default();
        for answer in CIPHERS {
            if answer.is_given_by(self).await? {
                proved.cipher_algorithms |= 1 << answer.algorithm as u32;
            }
        }
        self.proved.with(|kept| *kept = proved);
        Ok(proved)
    }
}

/// A cipher's answer that is known from elsewhere.
struct KnownAnswer {
    algorithm: CipherAlgorithm,
    key: &'static [u8],
    iv: &'static [u8],
    plaintext: &'static [u8],
    ciphertext: &'static [u8],
}

/// Longest plaintext below.
const MAX_LEN: usize = 32;

impl KnownAnswer {
    async fn is_given_by<P: Platform>(&self, device: &Device<P>) -> Result<bool, Error> {
        match self.ask(device).await {
            Ok(is_right) => Ok(is_right),
            // The device's own word about this algorithm: no, not so long a key or so much data, or
            // half an answer.
            Err(Error::Refused(_) | Error::InvalidLength { .. } | Error::ShortAnswer { .. }) => {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    async fn ask<P: Platform>(&self, device: &Device<P>) -> Result<bool, Error> {
        let session = Cipher::open(device, self.algorithm, Direction::Encrypt, self.key).await?;
        let mut data = [0; MAX_LEN];
        let data = &mut data[..self.plaintext.len()];
        data.copy_from_slice(self.plaintext);
        session.process_slice(self.iv, data).await?;
        session.close().await?;
        Ok(data == self.ciphertext)
    }
}

const CIPHERS: &[KnownAnswer] = &[
    // NIST SP 800-38A, F.1.1.
    KnownAnswer {
        algorithm: CipherAlgorithm::AesEcb,
        key: b"\x2b\x7e\x15\x16\x28\xae\xd2\xa6\xab\xf7\x15\x88\x09\xcf\x4f\x3c",
        iv: b"",
        plaintext: b"\x6b\xc1\xbe\xe2\x2e\x40\x9f\x96\xe9\x3d\x7e\x11\x73\x93\x17\x2a",
        ciphertext: b"\x3a\xd7\x7b\xb4\x0d\x7a\x36\x60\xa8\x9e\xca\xf3\x24\x66\xef\x97",
    },
    // NIST SP 800-38A, F.2.1.
    KnownAnswer {
        algorithm: CipherAlgorithm::AesCbc,
        key: b"\x2b\x7e\x15\x16\x28\xae\xd2\xa6\xab\xf7\x15\x88\x09\xcf\x4f\x3c",
        iv: b"\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f",
        plaintext: b"\x6b\xc1\xbe\xe2\x2e\x40\x9f\x96\xe9\x3d\x7e\x11\x73\x93\x17\x2a",
        ciphertext: b"\x76\x49\xab\xac\x81\x19\xb2\x46\xce\xe9\x8e\x9b\x12\xe9\x19\x7d",
    },
    // NIST SP 800-38A, F.5.1.
    KnownAnswer {
        algorithm: CipherAlgorithm::AesCtr,
        key: b"\x2b\x7e\x15\x16\x28\xae\xd2\xa6\xab\xf7\x15\x88\x09\xcf\x4f\x3c",
        iv: b"\xf0\xf1\xf2\xf3\xf4\xf5\xf6\xf7\xf8\xf9\xfa\xfb\xfc\xfd\xfe\xff",
        plaintext: b"\x6b\xc1\xbe\xe2\x2e\x40\x9f\x96\xe9\x3d\x7e\x11\x73\x93\x17\x2a",
        ciphertext: b"\x87\x4d\x61\x91\xb6\x20\xe3\x26\x1b\xef\x68\x64\x99\x0d\xb6\xce",
    },
    // IEEE 1619, vector 2.
    KnownAnswer {
        algorithm: CipherAlgorithm::AesXts,
        key: b"\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x11\x22\x22\x22\x22\x22\x22\x22\x22\x22\x22\x22\x22\x22\x22\x22\x22",
        iv: b"\x33\x33\x33\x33\x33\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",
        plaintext: b"\x44\x44\x44\x44\x44\x44\x44\x44\x44\x44\x44\x44\x44\x44\x44\x44\x44\x44\x44\x44\x44\x44\x44\x44\x44\x44\x44\x44\x44\x44\x44\x44",
        ciphertext: b"\xc4\x54\x18\x5e\x6a\x16\x93\x6e\x39\x33\x40\x38\xac\xef\x83\x8b\xfb\x18\x6f\xff\x74\x80\xad\xc4\x28\x93\x82\xec\xd6\xd3\x94\xf0",
    },
    // By OpenSSL.
    KnownAnswer {
        algorithm: CipherAlgorithm::DesEcb,
        key: b"\x01\x23\x45\x67\x89\xab\xcd\xef",
        iv: b"",
        plaintext: b"\x54\x68\x65\x20\x71\x75\x66\x63\x6b\x20\x62\x72\x6f\x77\x6e\x20\x66\x6f\x78\x20\x6a\x75\x6d\x70",
        ciphertext: b"\xa2\x8e\x91\x72\x4c\x4b\xba\x31\x16\x7e\x47\xec\x24\xf7\x1d\x63\x2c\x1a\x91\x72\x34\x42\x53\x65",
    },
    KnownAnswer {
        algorithm: CipherAlgorithm::DesCbc,
        key: b"\x01\x23\x45\x67\x89\xab\xcd\xef",
        iv: b"\x00\x01\x02\x03\x04\x05\x06\x07",
        plaintext: b"\x54\x68\x65\x20\x71\x75\x66\x63\x6b\x20\x62\x72\x6f\x77\x6e\x20\x66\x6f\x78\x20\x6a\x75\x6d\x70",
        ciphertext: b"\xbf\x4d\xd9\xd6\x94\x4d\xf1\xc6\xb8\x91\x97\x85\xf9\xd1\x83\x07\x1d\xf9\x3a\x37\xef\x74\x13\xc6",
    },
    // NIST SP 800-67, B.1.
    KnownAnswer {
        algorithm: CipherAlgorithm::TripleDesEcb,
        key: b"\x01\x23\x45\x67\x89\xab\xcd\xef\x23\x45\x67\x89\xab\xcd\xef\x01\x45\x67\x89\xab\xcd\xef\x01\x23",
        iv: b"",
        plaintext: b"\x54\x68\x65\x20\x71\x75\x66\x63\x6b\x20\x62\x72\x6f\x77\x6e\x20\x66\x6f\x78\x20\x6a\x75\x6d\x70",
        ciphertext: b"\xa8\x26\xfd\x8c\xe5\x3b\x85\x5f\xcc\xe2\x1c\x81\x12\x25\x6f\xe6\x68\xd5\xc0\x5d\xd9\xb6\xb9\x00",
    },
    // The same in the other modes, by OpenSSL.
    KnownAnswer {
        algorithm: CipherAlgorithm::TripleDesCbc,
        key: b"\x01\x23\x45\x67\x89\xab\xcd\xef\x23\x45\x67\x89\xab\xcd\xef\x01\x45\x67\x89\xab\xcd\xef\x01\x23",
        iv: b"\x00\x01\x02\x03\x04\x05\x06\x07",
        plaintext: b"\x54\x68\x65\x20\x71\x75\x66\x63\x6b\x20\x62\x72\x6f\x77\x6e\x20\x66\x6f\x78\x20\x6a\x75\x6d\x70",
        ciphertext: b"\xf3\x68\xd0\x6f\x3b\xbd\x61\x4e\x60\xf2\xd0\x24\x5c\xad\x3f\x81\x8d\x5c\x69\xf2\xcb\x3f\xd5\xc7",
    },
    KnownAnswer {
        algorithm: CipherAlgorithm::TripleDesCtr,
        key: b"\x01\x23\x45\x67\x89\xab\xcd\xef\x23\x45\x67\x89\xab\xcd\xef\x01\x45\x67\x89\xab\xcd\xef\x01\x23",
        iv: b"\xf8\xf9\xfa\xfb\xfc\xfd\xfe\xff",
        plaintext: b"\x54\x68\x65\x20\x71\x75\x66\x63\x6b\x20\x62\x72\x6f\x77\x6e\x20\x66\x6f\x78\x20\x6a\x75\x6d\x70",
        ciphertext: b"\x60\x1b\x7f\x43\x7b\xf2\x60\xf1\x3b\xbc\x58\x8b\x39\x63\xa8\x7e\x3a\x3e\x47\xce\x48\xf6\xbb\xfe",
    },
    // RFC 6229, 128 bits.
    KnownAnswer {
        algorithm: CipherAlgorithm::Arc4,
        key: b"\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10",
        iv: b"",
        plaintext: b"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",
        ciphertext: b"\x9a\xc7\xcc\x9a\x60\x9d\x1e\xf7\xb2\x93\x28\x99\xcd\xe4\x1b\x97",
    },
];
