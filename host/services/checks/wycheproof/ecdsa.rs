//! ECDSA signatures in DER.

use virtio_crypto::{Curve, Device, EcdsaNumber, EcdsaPublicKey, EcdsaVerifier, Error, Platform};

use super::{Expectation, Tally, count, tests};

/// Runs a file: verification.
pub async fn signatures<P: Platform>(
    device: &Device<P>,
    file: &'static str,
    curve: Curve,
    table: &[u8],
) -> Tally {
    let mut tally = Tally::new(file);
    let (total, tests) = tests::<1, 2>(table);
    for group in tests.chunk_by(|one, other| one.group == other.group) {
        let [point] = group[0].group;
        let key = EcdsaPublicKey::from_sec1_bytes(curve, point).unwrap();
        let session = EcdsaVerifier::open(device, &key, EcdsaNumber::Specification)
            .await
            .unwrap();
        for test in group {
            let [digest, signature] = test.fields;
            let outcome = session.verify(digest, signature).await;
            let what = (file, test.id);
            match test.expectation {
                Expectation::Valid => assert_eq!(outcome, Ok(()), "{what:?}"),
                Expectation::Invalid => {
                    assert_eq!(outcome, Err(Error::InvalidSignature), "{what:?}")
                }
                Expectation::Acceptable => {}
            }
            count(&mut tally, test.expectation);
        }
        session.close().await.unwrap();
    }
    tally.close(total)
}
