//! Authenticated encryption and HMAC.

use alloc::vec;

use virtio_crypto::{
    AeadAlgorithm, AeadDecrypt, AeadEncrypt, Device, Error, Mac, MacAlgorithm, Platform,
};

use super::{Expectation, Tally, count, tests};

/// Runs a file of an authenticated cipher in both directions.
pub async fn aead<P: Platform>(
    device: &Device<P>,
    file: &'static str,
    algorithm: AeadAlgorithm,
    table: &[u8],
) -> Tally {
    let mut tally = Tally::new(file);
    let (total, tests) = tests::<0, 6>(table);
    for test in tests {
        let [key, nonce, aad, message, ciphertext, tag] = test.fields;
        let what = (file, test.id);
        if algorithm == AeadAlgorithm::Gcm && nonce.len() == 16 {
            // On the wire 16 bytes are no nonce but J0, the first counter block.
            tally.skip("nonce-length");
            continue;
        }
        let decrypt = match AeadDecrypt::open(device, algorithm, key, tag.len(), aad.len()).await {
            Ok(session) => session,
            Err(Error::InvalidLength { field: "tag", .. }) => {
                tally.skip("tag-length");
                continue;
            }
            Err(error) => panic!("{what:?}: {error}"),
        };
        let mut data = ciphertext.to_vec();
        let outcome = decrypt.decrypt_slice(nonce, aad, &mut data, tag).await;
        decrypt.close().await.unwrap();
        if let Err(Error::InvalidLength { field: "nonce", .. }) = outcome {
            tally.skip("nonce-length");
            continue;
        }
        match test.expectation {
            Expectation::Valid => {
                assert_eq!(outcome, Ok(()), "{what:?}");
                assert_eq!(data, message, "{what:?}");
            }
            Expectation::Invalid => {
                assert_eq!(outcome, Err(Error::TagMismatch), "{what:?}");
                assert_eq!(
                    data, ciphertext,
                    "{what:?}: shown although it is not authentic"
                );
            }
            Expectation::Acceptable => {}
        }
        if test.expectation == Expectation::Valid {
            let encrypt = AeadEncrypt::open(device, algorithm, key, tag.len(), aad.len());
            let encrypt = encrypt.await.unwrap();
            let (mut data, mut made) = (message.to_vec(), vec![0; tag.len()]);
            encrypt
                .encrypt_slice(nonce, aad, &mut data, &mut made)
                .await
                .unwrap();
            encrypt.close().await.unwrap();
            assert_eq!((&data[..], &made[..]), (ciphertext, tag), "{what:?}");
        }
        count(&mut tally, test.expectation);
    }
    tally.close(total)
}

/// Runs a file of HMAC: tags made and verified.
pub async fn hmac<P: Platform>(
    device: &Device<P>,
    file: &'static str,
    algorithm: MacAlgorithm,
    table: &[u8],
) -> Tally {
    let mut tally = Tally::new(file);
    let (total, tests) = tests::<0, 3>(table);
    for test in tests {
        let [key, message, tag] = test.fields;
        let what = (file, test.id);
        let session = match Mac::open(device, algorithm, key, tag.len()).await {
            Ok(session) => session,
            Err(Error::InvalidLength { field: "key", .. }) => {
                tally.skip("key-length");
                continue;
            }
            Err(error) => panic!("{what:?}: {error}"),
        };
        let mut made = vec![0; tag.len()];
        session.tag_slice(message, &mut made).await.unwrap();
        let verified = session.verify_slice(message, tag).await;
        session.close().await.unwrap();
        match test.expectation {
            Expectation::Valid => assert_eq!((&made[..], verified), (tag, Ok(())), "{what:?}"),
            Expectation::Invalid => {
                assert_ne!(made, tag, "{what:?}");
                assert_eq!(verified, Err(Error::TagMismatch), "{what:?}");
            }
            Expectation::Acceptable => {}
        }
        count(&mut tally, test.expectation);
    }
    tally.close(total)
}
