//! Cases of ciphers: alone, with authentication, and in a chain with a hash.

use alloc::{vec, vec::Vec};

use des::Des;
use kernel::crypto;
use virtio_crypto::{
    AeadAlgorithm, AeadDecrypt, AeadEncrypt, Chain, ChainInput, ChainOrder, ChainParameters,
    ChainedHash, Cipher, CipherAlgorithm, Direction, Error, HashAlgorithm, MacAlgorithm,
};

use crate::{
    case::{Buffer, Case, MOST_REQUESTS, check, expect, joined, note, opened},
    digests::{compute_digest, compute_tag},
    oracle,
};

/// Requests that are sent together at most.
const MOST_TOGETHER: usize = 6;

/// Computes what a cipher has to give.
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

/// Encrypts or decrypts, in every form of data.
pub async fn cipher(case: &mut Case<'_>, algorithm: CipherAlgorithm) -> Result<(), Error> {
    let by_session = case.takes_session();
    let key_len = case.one_len(algorithm.key_lens_bytes(), 64);
    let key = case.random.bytes(key_len);
    let direction = match case.random.below(2) {
        0 => Direction::Encrypt,
        _ => Direction::Decrypt,
    };
    let session = match by_session {
        true => opened(Cipher::open(case.device, algorithm, direction, &key).await?),
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

/// Seals, unseals, and has a forgery refused.
pub async fn aead(case: &mut Case<'_>, algorithm: AeadAlgorithm) -> Result<(), Error> {
    let by_session = case.takes_session();
    let key_len = case.one_len(algorithm.key_lens_bytes(), 32);
    let key = case.random.bytes(key_len);
    let tag_len = case.one_len(algorithm.tag_lens_bytes(), 16);
    let aad_len = case.random.below(80);
    let (seal, unseal) = match by_session {
        true => (
            opened(AeadEncrypt::open(case.device, algorithm, &key, tag_len, aad_len).await?),
            opened(AeadDecrypt::open(case.device, algorithm, &key, tag_len, aad_len).await?),
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

/// Encrypts a part of the data and hashes another, in either order.
pub async fn chain(case: &mut Case<'_>) -> Result<(), Error> {
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
        true => opened(Chain::open(case.device, &parameters, 0).await?),
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
