//! A small request of some service, for the trial and for the proof of data queues.
//!
//! The one rule: it is right whatever the device serves, so only a queue can be at fault.

use crate::{
    Error, Platform,
    capabilities::{Algorithm, AlgorithmSet},
    queue::{Body, InFlight, Inline, Queue, Reserved},
    request::{
        exchange::{Admission, complete, reserve},
        session::Session,
    },
    wire::{
        self, AeadAlgorithm, AeadLens, CipherAlgorithm, CipherParameters, Direction, HashAlgorithm,
        MacAlgorithm, SessionParameters,
    },
};

/// All keys are the beginning of this one; its halves differ, as XTS wants it.
const KEY: [u8; 64] = {
    let mut key = [0; 64];
    let mut at = 0;
    while at < key.len() {
        key[at] = at as u8 + 1;
        at += 1;
    }
    key
};
/// IV, nonce.
const IV: [u8; 16] = [1; 16];
/// The data: a whole number of blocks of every cipher.
const DATA: [u8; 16] = [2; 16];
const NONCE_LEN: usize = 12;
/// Tags of authenticated encryption.
const TAG_LEN: usize = 16;
const MAC_KEY_LEN: usize = 16;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sample {
    Cipher(CipherAlgorithm),
    Hash(HashAlgorithm),
    Mac(MacAlgorithm),
    Aead(AeadAlgorithm),
}

impl Sample {
    /// Lists those of a set of algorithms, the commonest first.
    pub(crate) fn of(algorithms: AlgorithmSet) -> impl Iterator<Item = Self> {
        let commonest = AlgorithmSet::EMPTY.with(CipherAlgorithm::AesCbc);
        let first = algorithms.intersection(commonest).iter();
        let others = algorithms.difference(commonest).iter();
        first.chain(others).filter_map(Self::ask_for)
    }

    /// Returns what is asked of an algorithm; nothing of public keys.
    fn ask_for(algorithm: Algorithm) -> Option<Self> {
        match algorithm {
            Algorithm::Cipher(algorithm) => Some(Self::Cipher(algorithm)),
            Algorithm::Hash(algorithm) => Some(Self::Hash(algorithm)),
            Algorithm::Mac(algorithm) => Some(Self::Mac(algorithm)),
            Algorithm::Aead(algorithm) => Some(Self::Aead(algorithm)),
            Algorithm::Akcipher(_) => None,
        }
    }

    /// Returns the key of its session.
    pub(crate) fn key(self) -> &'static [u8] {
        let len = match self {
            Self::Cipher(algorithm) => *algorithm.key_lens_bytes()[0].start(),
            Self::Hash(_) => 0,
            Self::Mac(algorithm) => {
                let lens = algorithm.key_lens_bytes();
                lens.iter()
                    .map(|lens| MAC_KEY_LEN.max(*lens.start()))
                    .min()
                    .unwrap_or(MAC_KEY_LEN)
            }
            Self::Aead(algorithm) => *algorithm.key_lens_bytes()[0].start(),
        };
        &KEY[..len]
    }

    /// Returns what its session is created with.
    pub(crate) fn parameters(self) -> SessionParameters {
        let key_len_bytes = self.key().len() as u32;
        let result_len_bytes = self.result_len() as u32;
        match self {
            Self::Cipher(algorithm) => SessionParameters::Cipher(CipherParameters {
                algorithm,
                direction: Direction::Encrypt,
                key_len_bytes,
            }),
            Self::Hash(algorithm) => SessionParameters::Hash {
                algorithm,
                result_len_bytes,
            },
            Self::Mac(algorithm) => SessionParameters::Mac {
                algorithm,
                result_len_bytes,
                key_len_bytes,
            },
            Self::Aead(algorithm) => SessionParameters::Aead {
                algorithm,
                direction: Direction::Encrypt,
                key_len_bytes,
                tag_len_bytes: result_len_bytes,
                aad_len_bytes: 0,
            },
        }
    }

    /// Bytes that the device writes behind the data: a digest, a tag.
    fn result_len(self) -> usize {
        match self {
            Self::Cipher(_) => 0,
            Self::Hash(algorithm) => algorithm.digest_len_bytes().unwrap_or(16),
            Self::Mac(algorithm) => algorithm.result_len_bytes(),
            Self::Aead(_) => TAG_LEN,
        }
    }

    fn iv(self) -> &'static [u8] {
        match self {
            Self::Cipher(algorithm) => &IV[..algorithm.iv_len_bytes()],
            Self::Hash(_) | Self::Mac(_) => &[],
            Self::Aead(_) => &IV[..NONCE_LEN],
        }
    }

    /// Asks it on one queue, in a session of its [`parameters`](Self::parameters).
    ///
    /// # Errors
    ///
    /// As the device says.
    ///
    /// # Cancellation
    ///
    /// If the future is dropped, the device finishes the request for nobody.
    pub(crate) async fn ask<P: Platform>(
        self,
        session: &Session<P>,
        queue: &Queue<P>,
    ) -> Result<(), Error> {
        let epoch = &*session.epoch;
        let reserved = reserve(epoch, queue, Admission::Wait).await?;
        let mut in_flight = self.submit(session, reserved)?;
        complete(epoch, &mut in_flight).await?;
        finish(in_flight)
    }

    /// Sends it; [`finish`] tells what the answer is worth.
    ///
    /// # Errors
    ///
    /// [`Error::QueueFull`], [`Error::Broken`].
    pub(crate) fn send<'q, P: Platform>(
        self,
        session: &Session<P>,
        queue: &'q Queue<P>,
    ) -> Result<InFlight<'q, P>, Error> {
        self.submit(session, queue.try_reserve()?)
    }

    fn submit<'q, P: Platform>(
        self,
        session: &Session<P>,
        reserved: Reserved<'q, P>,
    ) -> Result<InFlight<'q, P>, Error> {
        let (iv, output_len, result_len) = (self.iv(), self.output_len(), self.result_len());
        let (len_bytes, result_len_bytes) = (DATA.len() as u32, result_len as u32);
        let (form, id) = (session.epoch.sessions.form(), session.id());
        let parts = [iv, &DATA];
        let inline = Inline::new(&parts, parts.len(), output_len, result_len);
        let body = Body::Inline(inline.expect("a sample has room in a slot"));
        let session = Some(session.index);
        match self {
            Self::Cipher(algorithm) => {
                let direction = Direction::Encrypt;
                let head = wire::cipher_request(algorithm, direction, id, len_bytes);
                reserved.submit(head.as_ref(), body, session, None)
            }
            Self::Hash(algorithm) => {
                let head = wire::hash_request(form, algorithm, id, len_bytes, result_len_bytes);
                reserved.submit(head.as_ref(), body, session, None)
            }
            Self::Mac(algorithm) => {
                let head = wire::mac_request(form, algorithm, id, len_bytes, result_len_bytes);
                reserved.submit(head.as_ref(), body, session, None)
            }
            Self::Aead(algorithm) => {
                let lens = AeadLens {
                    iv_len_bytes: iv.len() as u32,
                    aad_len_bytes: 0,
                    source_len_bytes: len_bytes,
                    destination_len_bytes: output_len as u32,
                    tag_len_bytes: result_len_bytes,
                };
                let direction = Direction::Encrypt;
                let head = wire::aead_request(form, algorithm, direction, id, lens);
                reserved.submit(head.as_ref(), body, session, None)
            }
        }
    }

    /// Bytes that the device writes before the status.
    fn output_len(self) -> usize {
        match self {
            Self::Cipher(_) | Self::Aead(_) => DATA.len() + self.result_len(),
            Self::Hash(_) | Self::Mac(_) => self.result_len(),
        }
    }
}

/// Tells whether a request that has been answered was served.
///
/// # Errors
///
/// As the device says.
pub(super) fn finish<P: Platform>(in_flight: InFlight<'_, P>) -> Result<(), Error> {
    let outcome = in_flight.check();
    in_flight.finish();
    outcome
}
