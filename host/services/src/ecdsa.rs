//! ECDSA: what is right, what is refused before it is sent, and keys that are none.

use virtio_crypto::{
    Curve, EcdsaNumber, EcdsaPrivateKey, EcdsaPublicKey, EcdsaSignature, EcdsaSigner,
    EcdsaVerifier, Error, Features, KeyFault,
};

use crate::{
    oracle::{ecdsa_public, is_ecdsa_scalar},
    rig::{Fault, Rig, run},
    rsa::{open, requests},
    ways::EVERY_WAY,
};

const CURVES: [(Curve, usize); 5] = [
    (Curve::P192, 24),
    (Curve::P224, 28),
    (Curve::P256, 32),
    (Curve::P384, 48),
    (Curve::P521, 66),
];

/// A key of a curve: the scalar has its length, and is below the order.
pub(crate) fn ecdsa_keys(curve: Curve, len: usize) -> (EcdsaPrivateKey, EcdsaPublicKey) {
    let mut scalar = vec![0x35; len];
    scalar[0] = 0;
    let private = EcdsaPrivateKey::from_scalar(curve, &scalar).unwrap();
    let point = ecdsa_public(curve, &scalar);
    (
        private,
        EcdsaPublicKey::from_sec1_bytes(curve, &point).unwrap(),
    )
}

#[test]
fn ecdsa_signatures_verify() {
    for how in EVERY_WAY {
        let rig = how.rig().go();
        run(async {
            for (curve, len) in CURVES {
                let (private, public) = ecdsa_keys(curve, len);
                for number in [EcdsaNumber::Specification, EcdsaNumber::Linux] {
                    let signer = open!(rig, EcdsaSigner(&private, number));
                    let verifier = open!(rig, EcdsaVerifier(&public, number));
                    assert_eq!((signer.curve(), verifier.public_key()), (curve, &public));
                    for digest in [&[7; 20][..], &[7; 28], &[7; 32], &[7; 48], &[7; 64]] {
                        let signature = signer.sign(digest).await.unwrap();
                        verifier.verify(digest, signature.as_ref()).await.unwrap();
                        let read = EcdsaSignature::try_from(signature.as_ref());
                        assert_eq!(read, Ok(signature.clone()));
                        let mut other = digest.to_vec();
                        other[3] ^= 1;
                        let verified = verifier.verify(&other, signature.as_ref()).await;
                        assert_eq!(verified, Err(Error::InvalidSignature), "{curve:?}");
                    }
                    for len in [0, 16, 33, 65] {
                        let signed = signer.sign(&[7; 65][..len]).await.map(drop);
                        assert!(matches!(
                            signed,
                            Err(Error::InvalidLength {
                                field: "digest",
                                ..
                            })
                        ));
                    }
                    // What the device cuts off is no signature any more.
                    for len in [0, 1, 2, 9, 40] {
                        rig.far.set_fault(Fault::Length(len));
                        let signed = signer.sign(&[7; 32]).await;
                        let short = Error::ShortAnswer {
                            written_bytes: 0,
                            expected_bytes: 1,
                        };
                        let expected = if len == 0 {
                            short
                        } else {
                            Error::InvalidAnswer
                        };
                        assert_eq!(signed, Err(expected), "{len}");
                    }
                    signer.close().await.unwrap();
                    verifier.close().await.unwrap();
                }
            }
        });
        assert_eq!(rig.far.sessions(), 0);
    }
}

#[test]
fn ecdsa_signatures_of_another_form_are_not_sent() {
    let rig = Rig::simple().go();
    run(async {
        let (_, public) = ecdsa_keys(Curve::P192, 24);
        let number = EcdsaNumber::Specification;
        let verifier = open!(rig, EcdsaVerifier(&public, number));
        // Longer than the order of P-192; P-256 would have it.
        let long = [&[0x30, 0x24, 0x02, 0x1f][..], &[1; 31], &[2, 1, 1]].concat();
        let long = EcdsaSignature::try_from(&long[..]).unwrap();
        let verified = verifier.verify(&[7; 20], long.as_ref()).await;
        assert_eq!(verified, Err(Error::InvalidSignature));
        // As long as the order, and not below it.
        let high = [&[0x30, 0x1e, 2, 0x19, 0][..], &[0xff; 24], &[2, 1, 1]].concat();
        let verified = verifier.verify(&[7; 20], &high).await;
        assert_eq!(verified, Err(Error::InvalidSignature));
    });
    assert_eq!(requests(&rig), 0);
    for wrong in [
        &[][..],
        &[0x30, 0],
        &[0x30, 6, 2, 1, 1, 2, 1, 0],
        &[0x30, 6, 2, 1, 0, 2, 1, 1],
        &[0x30, 6, 2, 1, 0x81, 2, 1, 1],
        &[0x30, 7, 2, 2, 0, 1, 2, 1, 1],
        &[0x30, 6, 2, 1, 1, 2, 1, 1, 0],
        &[0x30, 9, 2, 1, 1, 2, 1, 1, 2, 1, 1],
        &[1; 200],
    ] {
        assert_eq!(
            EcdsaSignature::try_from(wrong),
            Err(Error::InvalidSignature),
            "{wrong:?}"
        );
    }
    assert!(EcdsaSignature::try_from(&[0x30, 6, 2, 1, 1, 2, 1, 1][..]).is_ok());
}

/// The order of a curve, as others have it: one more than the largest scalar.
fn order(curve: Curve, len: usize) -> Vec<u8> {
    let mut largest = vec![0; len];
    for bit in 0..8 * len {
        let mask = 0x80 >> (bit % 8);
        largest[bit / 8] |= mask;
        if !is_ecdsa_scalar(curve, &largest) {
            largest[bit / 8] ^= mask;
        }
    }
    // Orders are odd.
    largest[len - 1] += 1;
    largest
}

#[test]
fn ecdsa_keys_are_checked() {
    let is = |key: Result<EcdsaPrivateKey, Error>, fault| {
        assert_eq!(key.map(drop), Err(Error::InvalidKey(fault)));
    };
    for (curve, len) in CURVES {
        let order = order(curve, len);
        let mut below = order.clone();
        below[len - 1] -= 1;
        EcdsaPrivateKey::from_scalar(curve, &below).unwrap();
        let mut above = order.clone();
        above[len / 2] += 1;
        for wrong in [order, above, vec![0xff; len]] {
            is(
                EcdsaPrivateKey::from_scalar(curve, &wrong),
                KeyFault::Scalar,
            );
        }
        for wrong in [vec![1; len - 1], vec![1; len + 1], vec![0; len], vec![]] {
            is(
                EcdsaPrivateKey::from_scalar(curve, &wrong),
                KeyFault::Scalar,
            );
        }
        let point = |first, len| {
            let mut point = vec![1; len];
            point[0] = first;
            EcdsaPublicKey::from_sec1_bytes(curve, &point).map(drop)
        };
        assert_eq!(point(4, 1 + 2 * len), Ok(()));
        for (first, len) in [
            (2, 1 + len),
            (4, 2 * len),
            (4, 2 + 2 * len),
            (6, 1 + 2 * len),
        ] {
            assert_eq!(point(first, len), Err(Error::InvalidKey(KeyFault::Point)));
        }
    }
    // RFC 5915: version 1, the scalar 1, prime256v1.
    let scalar: Vec<u8> = [&[0; 31][..], &[1]].concat();
    let name = [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
    let der = [
        &[0x30, 0x31, 2, 1, 1, 4, 32][..],
        &scalar,
        &[0xa0, 10, 6, 8],
        &name,
    ]
    .concat();
    let key = EcdsaPrivateKey::from_sec1_der(Curve::P256, &der).unwrap();
    assert_eq!(key.curve(), Curve::P256);
    assert_eq!(alloc::format!("{key:?}"), "EcdsaPrivateKey(P256)");
    is(
        EcdsaPrivateKey::from_sec1_der(Curve::P384, &der),
        KeyFault::Algorithm,
    );
    is(
        EcdsaPrivateKey::from_sec1_der(Curve::P256, &der[1..]),
        KeyFault::Encoding,
    );
    is(
        EcdsaPrivateKey::from_sec1_der(Curve::P256, &[&der[..], &[0]].concat()),
        KeyFault::Encoding,
    );
}

#[cfg(feature = "signature")]
#[test]
fn ecdsa_signs_digests() {
    use signature::{SignatureEncoding, hazmat::AsyncPrehashSigner};

    let rig = Rig::simple().go();
    run(async {
        let (private, public) = ecdsa_keys(Curve::P256, 32);
        let number = EcdsaNumber::Linux;
        let signer = open!(rig, EcdsaSigner(&private, number));
        let verifier = open!(rig, EcdsaVerifier(&public, number));
        let signature: EcdsaSignature = signer.sign_prehash_async(&[7; 32]).await.unwrap();
        let again = EcdsaSignature::try_from(&signature.to_vec()[..]).unwrap();
        verifier.verify(&[7; 32], again.as_ref()).await.unwrap();
    });
}
