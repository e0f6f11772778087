//! Cases of hashes and MACs.

use alloc::vec;

use virtio_crypto::{Error, HashAlgorithm, Mac, MacAlgorithm, MessageDigest};

use crate::{
    case::{Buffer, Case, MOST_REQUESTS, check, expect, joined, note, opened},
    digests::{compute_digest, compute_tag},
};

/// Computes digests, in every form of data.
pub async fn hash(case: &mut Case<'_>, algorithm: HashAlgorithm) -> Result<(), Error> {
    let by_session = case.takes_session();
    let any_len = 1 + case.random.below(100);
    let digest_len = algorithm.digest_len_bytes().unwrap_or(any_len);
    let hash = match by_session {
        true => opened(MessageDigest::open(case.device, algorithm, digest_len).await?),
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

/// Computes tags, in every form of data, and has them verified.
pub async fn mac(case: &mut Case<'_>, algorithm: MacAlgorithm) -> Result<(), Error> {
    let by_session = case.takes_session();
    let key_len = case.one_len(
        algorithm.key_lens_bytes(),
        case.served.max_auth_key_len_bytes.min(200),
    );
    let key = case.random.bytes(key_len);
    let tag_len = match case.random.below(2) {
        0 => algorithm.result_len_bytes(),
        _ => algorithm.result_len_bytes() / 2,
    };
    let mac = match by_session {
        true => opened(Mac::open(case.device, algorithm, &key, tag_len).await?),
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
