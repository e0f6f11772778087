//! Cases: one algorithm, a session or none, some requests whose every byte is verified.

use alloc::{sync::Arc, vec, vec::Vec};
use core::ops::RangeInclusive;

use des::Des;
use kernel::{
    crypto::{self, CryptoDevice},
    platform::KernelPlatform,
};
use virtio_crypto::{
    AeadAlgorithm, AeadDecrypt, AeadEncrypt, Algorithm, Chain, ChainInput, ChainOrder,
    ChainParameters, ChainedHash, Cipher, CipherAlgorithm, Direction, DmaBuffer, Error,
    HashAlgorithm, Mac, MacAlgorithm, MessageDigest,
};

use crate::{
    digests::{compute_digest, compute_tag},
    keys, oracle,
    place::Served,
    random::Random,
    tally,
};

type Buffer = DmaBuffer<KernelPlatform>;

/// Requests of a case at most.
const MOST_REQUESTS: usize = 5;
/// Requests that are sent together at most.
const MOST_TOGETHER: usize = 6;

/// Tells whether results of an algorithm can be judged here.
pub fn can_judge(algorithm: Algorithm) -> bool {
    match algorithm {
        Algorithm::Cipher(it) => {
            oracle::ALGORITHMS.contains(&it)
                || matches!(it, CipherAlgorithm::DesEcb | CipherAlgorithm::DesCbc)
        }
        Algorithm::Mac(it) => {
            let len = *it.key_lens_bytes()[0].start();
            compute_tag(it, &vec![1; len.max(16)], &[]).is_some()
        }
        Algorithm::Hash(_) | Algorithm::Aead(_) | Algorithm::Akcipher(_) => true,
        _ => false,
    }
}

/// What a case goes by.
pub struct Case<'c> {
    pub device: &'c CryptoDevice,
    pub served: &'c Served,
    pub random: Random,
}

/// Runs the case of a seed.
///
/// # Errors
///
/// Those of the requests.
///
/// # Panics
///
/// If a byte is wrong.
pub async fn run(
    device: Arc<CryptoDevice>,
    served: &'static Served,
    seed: u64,
) -> Result<(), Error> {
    let mut case = Case {
        device: &device,
        served,
        random: Random::new(seed),
    };
    let chains = usize::from(served.has_chains) * served.algorithms.len() / 4;
    let choice = case.random.below(served.algorithms.len() + chains);
    match served.algorithms.get(choice) {
        Some(Algorithm::Cipher(algorithm)) => cipher(&mut case, *algorithm).await,
        Some(Algorithm::Hash(algorithm)) => hash(&mut case, *algorithm).await,
        Some(Algorithm::Mac(algorithm)) => mac(&mut case, *algorithm).await,
        Some(Algorithm::Aead(algorithm)) => aead(&mut case, *algorithm).await,
        Some(Algorithm::Akcipher(algorithm)) => keys::run(&mut case, *algorithm).await,
        _ => chain(&mut case).await,
    }
}

impl Case<'_> {
    /// Chooses whether there is a session, and counts it.
    pub fn takes_session(&mut self) -> bool {
        let takes = !self.served.is_stateless || self.random.below(3) > 0;
        if takes {
            tally::SESSIONS.add(1);
        }
        takes
    }

    /// Chooses a length: mostly what has room in a slot, now and then much more.
    fn len(&mut self, most: usize) -> usize {
        let most_here = match self.random.below(32) {
            0..=17 => 512,
            18..=28 => 4096,
            29 | 30 => 20_000,
            _ => 100_000,
        };
        self.random.below(most_here.min(most))
    }

    /// One that a cipher takes.
    fn blocks(&mut self, block: usize, most: usize) -> usize {
        let len = self.len(most);
        (len - len % block).max(block)
    }

    fn one_len(&mut self, lens: &[RangeInclusive<usize>], most: usize) -> usize {
        let lens = &lens[self.random.below(lens.len())];
        let (least, most) = (*lens.start(), (*lens.end()).min(most));
        least + self.random.below(most.saturating_sub(least) + 1)
    }

    /// Cuts data into two to four buffers.
    fn cut(&mut self, data: &[u8]) -> Result<Vec<Buffer>, Error> {
        let (mut rest, mut parts) = (data, Vec::new());
        while parts.len() < 3 && rest.len() > 1 {
            let (part, others) = rest.split_at(1 + self.random.below(rest.len() - 1));
            parts.push(Buffer::from_slice(part)?);
            rest = others;
        }
        parts.push(Buffer::from_slice(rest)?);
        Ok(parts)
    }
}

/// Counts a request that was answered rightly.
pub fn note(len_bytes: usize, by_session: bool) {
    tally::REQUESTS.add(1);
    tally::BYTES.add(len_bytes as u64);
    if !by_session {
        tally::STATELESS.add(1);
    }
}

/// Compares what came with what was expected.
pub fn check(what: impl core::fmt::Debug, got: &[u8], expected: &[u8]) {
    if got == expected {
        return;
    }
    let differs = got.iter().zip(expected).position(|(got, it)| got != it);
    panic!(
        "{what:?}: {} bytes, expected {}, the first that differs is {differs:?}",
        got.len(),
        expected.len()
    );
}

fn joined(parts: &[Buffer]) -> Vec<u8> {
    parts.iter().flat_map(|part| part.iter().copied()).collect()
}

fn in_software(
    algorithm: CipherAlgorithm,
    direction: Direction,
    key: &[u8],
    iv: &[u8],
    data: &[u8],
) -> Vec<u8> {
    let mut data = data.to_vec();
    match algorithm {
        CipherAlgorithm::DesEcb => oracle::ecb::<Des>(direction, key, &mut data),
        CipherAlgorithm::DesCbc => oracle::cbc::<Des>(direction, key, iv, &mut data),
        _ => oracle::transform(algorithm, direction, key, iv, &mut data),
    }
    data
}

async fn cipher(case: &mut Case<'_>, algorithm: CipherAlgorithm) -> Result<(), Error> {
    let by_session = case.takes_session();
    let key_len = case.one_len(algorithm.key_lens_bytes(), 64);
    let key = case.random.bytes(key_len);
    let direction = match case.random.below(2) {
        0 => Direction::Encrypt,
        _ => Direction::Decrypt,
    };
    let session = match by_session {
        true => Cipher::open(case.device, algorithm, direction, &key).await?,
        false => Cipher::stateless(case.device, algorithm, direction, &key)?,
    };
    let block = algorithm.block_len_bytes();
    for _ in 0..1 + case.random.below(MOST_REQUESTS) {
        let iv = case.random.bytes(algorithm.iv_len_bytes());
        let len = case.blocks(block, session.max_len_bytes());
        let data = case.random.bytes(len);
        let expected = in_software(algorithm, direction, &key, &iv, &data);
        let form = case.random.below(6);
        let what = (algorithm, direction, key_len, form);
        match form {
            0 => {
                let mut slice = data;
                session.process_slice(&iv, &mut slice).await?;
                check(what, &slice, &expected);
            }
            1 => {
                let back = session.process(&iv, Buffer::from_slice(&data)?).await?;
                check(what, &back, &expected);
            }
            2 => {
                let (source, destination) = (Buffer::from_slice(&data)?, Buffer::new(len)?);
                let (source, destination) = session.process_into(&iv, source, destination).await?;
                check(what, &destination, &expected);
                check((what, "source"), &source, &data);
            }
            3 => {
                let parts = case.cut(&data)?;
                let back = session.process_list(&iv, parts).await?;
                check(what, &joined(&back), &expected);
            }
            4 => {
                // Several at once, with one kick.
                let count = 1 + case.random.below(MOST_TOGETHER);
                let requests = (0..count).map(|_| async {
                    let mut slice = data.clone();
                    session.process_slice(&iv, &mut slice).await?;
                    check(what, &slice, &expected);
                    note(len, by_session);
                    Ok::<(), Error>(())
                });
                let all = crypto::join_all(requests.collect::<Vec<_>>());
                case.device
                    .batch(all)
                    .await
                    .into_iter()
                    .collect::<Result<(), _>>()?;
            }
            _ => {
                let count = 1 + case.random.below(MOST_TOGETHER);
                let one = |_| Ok((iv.clone(), Buffer::from_slice(&data)?));
                let requests = (0..count).map(one).collect::<Result<Vec<_>, Error>>()?;
                let sent = session.process_batch(requests).await;
                for back in sent.map_err(|failed| failed.error)? {
                    check(what, &back?, &expected);
                    note(len, by_session);
                }
            }
        }
        note(len, by_session);
    }
    match case.random.below(2) {
        0 => session.close().await,
        _ => Ok(()),
    }
}

async fn hash(case: &mut Case<'_>, algorithm: HashAlgorithm) -> Result<(), Error> {
    let by_session = case.takes_session();
    let any_len = 1 + case.random.below(100);
    let digest_len = algorithm.digest_len_bytes().unwrap_or(any_len);
    let hash = match by_session {
        true => MessageDigest::open(case.device, algorithm, digest_len).await?,
        false => MessageDigest::stateless(case.device, algorithm, digest_len)?,
    };
    for _ in 0..1 + case.random.below(MOST_REQUESTS) {
        let len = case.len(hash.max_len_bytes());
        let data = case.random.bytes(len);
        let mut digest = vec![0; digest_len];
        let form = case.random.below(3);
        match form {
            0 => hash.digest_slice(&data, &mut digest).await?,
            1 => {
                let back = hash.digest(Buffer::from_slice(&data)?, &mut digest).await?;
                check((algorithm, "source"), &back, &data);
            }
            _ => {
                let parts = case.cut(&data)?;
                let back = hash.digest_list(parts, &mut digest).await?;
                check((algorithm, "source"), &joined(&back), &data);
            }
        }
        let expected = compute_digest(algorithm, &data, digest_len);
        check((algorithm, len, form), &digest, &expected);
        note(len, by_session);
    }
    match case.random.below(2) {
        0 => hash.close().await,
        _ => Ok(()),
    }
}

async fn mac(case: &mut Case<'_>, algorithm: MacAlgorithm) -> Result<(), Error> {
    let by_session = case.takes_session();
    let key_len = case.one_len(
        algorithm.key_lens_bytes(),
        case.served.max_auth_key_len.min(200),
    );
    let key = case.random.bytes(key_len);
    let tag_len = match case.random.below(2) {
        0 => algorithm.result_len_bytes(),
        _ => algorithm.result_len_bytes() / 2,
    };
    let mac = match by_session {
        true => Mac::open(case.device, algorithm, &key, tag_len).await?,
        false => Mac::stateless(case.device, algorithm, &key, tag_len)?,
    };
    for _ in 0..1 + case.random.below(MOST_REQUESTS) {
        let len = case.len(mac.max_len_bytes());
        let data = case.random.bytes(len);
        let expected = compute_tag(algorithm, &key, &data).unwrap_or_default();
        let expected = &expected[..tag_len];
        let mut tag = vec![0; tag_len];
        match case.random.below(4) {
            0 => mac.tag_slice(&data, &mut tag).await?,
            1 => drop(mac.tag(Buffer::from_slice(&data)?, &mut tag).await?),
            2 => drop(mac.tag_list(case.cut(&data)?, &mut tag).await?),
            _ => {
                mac.verify_slice(&data, expected).await?;
                tag.copy_from_slice(expected);
                tag[case.random.below(tag_len)] ^= 1;
                expect(mac.verify_slice(&data, &tag).await, Error::TagMismatch)?;
                tag.copy_from_slice(expected);
            }
        }
        check((algorithm, key_len, len), &tag, expected);
        note(len, by_session);
    }
    match case.random.below(2) {
        0 => mac.close().await,
        _ => Ok(()),
    }
}

/// Passes on every error but the one that had to come.
pub fn expect<T>(outcome: Result<T, Error>, expected: Error) -> Result<(), Error> {
    match outcome {
        Err(error) if error == expected => Ok(()),
        Err(error) => Err(error),
        Ok(_) => panic!("expected {expected:?}, got success"),
    }
}

async fn aead(case: &mut Case<'_>, algorithm: AeadAlgorithm) -> Result<(), Error> {
    let by_session = case.takes_session();
    let key_len = case.one_len(algorithm.key_lens_bytes(), 32);
    let key = case.random.bytes(key_len);
    let tag_len = case.one_len(algorithm.tag_lens_bytes(), 16);
    let aad_len = case.random.below(80);
    let (seal, unseal) = match by_session {
        true => (
            AeadEncrypt::open(case.device, algorithm, &key, tag_len, aad_len).await?,
            AeadDecrypt::open(case.device, algorithm, &key, tag_len, aad_len).await?,
        ),
        false => (
            AeadEncrypt::stateless(case.device, algorithm, &key, tag_len)?,
            AeadDecrypt::stateless(case.device, algorithm, &key, tag_len)?,
        ),
    };
    for _ in 0..1 + case.random.below(MOST_REQUESTS) {
        let nonce_len = case.one_len(algorithm.nonce_lens_bytes(), 16);
        let (nonce, aad) = (case.random.bytes(nonce_len), case.random.bytes(aad_len));
        // More than 65535 bytes are none of CCM's with its longest nonce.
        let len = 1 + case.len(20_000);
        let data = case.random.bytes(len);
        let what = (algorithm, key_len, nonce_len, tag_len, aad_len);
        let mut tag = vec![0; tag_len];
        let sealed = Buffer::from_slice(&data)?;
        let sealed = seal.encrypt(&nonce, &aad, sealed, &mut tag).await?;
        assert!(
            len < 16 || sealed[..] != data[..],
            "{what:?}: not encrypted"
        );
        let mut slice = sealed.to_vec();
        unseal.decrypt_slice(&nonce, &aad, &mut slice, &tag).await?;
        check(what, &slice, &data);
        note(len, by_session);
        note(len, by_session);
        let mut forged = sealed;
        forged[case.random.below(len)] ^= 1;
        let forged = unseal.decrypt(&nonce, &aad, forged, &tag).await;
        expect(forged.map_err(Error::from), Error::TagMismatch)?;
    }
    seal.close().await?;
    unseal.close().await
}

async fn chain(case: &mut Case<'_>) -> Result<(), Error> {
    let by_session = case.takes_session();
    let (cipher_key, mac_key) = (case.random.bytes(32), case.random.bytes(40));
    let order = match case.random.below(2) {
        0 => ChainOrder::HashThenCipher,
        _ => ChainOrder::CipherThenHash,
    };
    let is_mac = case.random.below(2) == 0;
    let (cipher, digest_len) = (CipherAlgorithm::AesCbc, 32);
    let parameters = ChainParameters {
        order,
        cipher,
        direction: Direction::Encrypt,
        cipher_key: &cipher_key,
        hash: match is_mac {
            true => ChainedHash::Authenticated(MacAlgorithm::HmacSha256, &mac_key),
            false => ChainedHash::Plain(HashAlgorithm::Sha256),
        },
        digest_len_bytes: digest_len,
    };
    let chain = match by_session {
        true => Chain::open(case.device, &parameters, 0).await?,
        false => Chain::stateless(case.device, &parameters)?,
    };
    for _ in 0..1 + case.random.below(MOST_REQUESTS) {
        let len = 16 + case.len(20_000);
        let (data, iv) = (case.random.bytes(len), case.random.bytes(16));
        let start = case.random.below(len - 15);
        let ciphered = start..start + 16 * (1 + case.random.below((len - start) / 16));
        let hash_start = case.random.below(len + 1);
        let hashed = hash_start..hash_start + case.random.below(len - hash_start + 1);
        let part = &data[ciphered.clone()];
        let part = in_software(cipher, Direction::Encrypt, &cipher_key, &iv, part);
        let mut expected = data.clone();
        expected[ciphered.clone()].copy_from_slice(&part);
        let over = match order {
            ChainOrder::HashThenCipher => &data[hashed.clone()],
            ChainOrder::CipherThenHash => &expected[hashed.clone()],
        };
        let expected_digest = match is_mac {
            true => compute_tag(MacAlgorithm::HmacSha256, &mac_key, over).unwrap_or_default(),
            false => compute_digest(HashAlgorithm::Sha256, over, digest_len),
        };
        let input = ChainInput {
            iv: &iv,
            aad: &[],
            cipher: ciphered,
            hash: hashed,
        };
        let (mut text, mut digest) = (data, [0; 32]);
        chain.process_slice(input, &mut text, &mut digest).await?;
        check(("chain", order, is_mac), &text, &expected);
        check(("chained", order, is_mac), &digest, &expected_digest);
        note(len, by_session);
    }
    match case.random.below(2) {
        0 => chain.close().await,
        _ => Ok(()),
    }
}
