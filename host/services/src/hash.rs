//! The HASH service.

use virtio_crypto::{DmaBuffer, Error, HashAlgorithm, MessageDigest, Requirement};

use crate::{
    digests::compute_digest,
    rig::{FakePlatform, Rig, Setup, run},
    ways::{Cases, EVERY_WAY, How, Random, buffer, concat, exactly, hex, invalid, times},
};

async fn open(
    rig: &Rig,
    how: How,
    algorithm: HashAlgorithm,
    len: usize,
) -> MessageDigest<FakePlatform> {
    match how.is_stateless() {
        true => MessageDigest::stateless(&rig.device, algorithm, len).unwrap(),
        false => MessageDigest::open(&rig.device, algorithm, len)
            .await
            .unwrap(),
    }
}

/// FIPS 180-4 and FIPS 202 with their examples, RFC 1321: of "abc"; SHAKE of nothing.
const KNOWN: [(HashAlgorithm, &[u8], &str); 15] = [
    (
        HashAlgorithm::Md5,
        b"abc",
        "900150983cd24fb0d6963f7d28e17f72",
    ),
    (HashAlgorithm::Md5, b"", "d41d8cd98f00b204e9800998ecf8427e"),
    (
        HashAlgorithm::Sha1,
        b"abc",
        "a9993e364706816aba3e25717850c26c9cd0d89d",
    ),
    (
        HashAlgorithm::Sha224,
        b"abc",
        "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7",
    ),
    (
        HashAlgorithm::Sha256,
        b"abc",
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    ),
    (
        HashAlgorithm::Sha256,
        b"",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    ),
    (
        HashAlgorithm::Sha384,
        b"abc",
        "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed
         8086072ba1e7cc2358baeca134c825a7",
    ),
    (
        HashAlgorithm::Sha512,
        b"abc",
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a
         2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
    ),
    (
        HashAlgorithm::Sha3_224,
        b"abc",
        "e642824c3f8cf24ad09234ee7d3c766fc9a3a5168d0c94ad73b46fdf",
    ),
    (
        HashAlgorithm::Sha3_256,
        b"abc",
        "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532",
    ),
    (
        HashAlgorithm::Sha3_256,
        b"",
        "a7ffc6f8bf1ed76651c14756a061d662f580ff4de43b49fa82d80a4b80f8434a",
    ),
    (
        HashAlgorithm::Sha3_384,
        b"abc",
        "ec01498288516fc926459f58e2c6ad8df9b473cb0fc08c2596da7cf0e49be4b2
         98d88cea927ac7f539f1edf228376d25",
    ),
    (
        HashAlgorithm::Sha3_512,
        b"abc",
        "b751850b1a57168a5693cd924b6b096e08f621827444f70d884f5d0240d2712e
         10e116e9192af3c91a7ec57647e3934057340b4cf408d5a56592f8274eec53f0",
    ),
    (
        HashAlgorithm::Shake128,
        b"",
        "7f9c2ba4e88f827d616045507605853ed73b8093f6efbc88eb1a6eacfa66ef26",
    ),
    (
        HashAlgorithm::Shake256,
        b"",
        "46b9dd2b0ba88d13233b3feb743eeb243fcd52ea62b81b82b50c27646ed5762f
         d75dc4ddd8c0f200cb05019d67b592f6fc821c49479ab48640292eacb3b7c4be",
    ),
];

#[test]
fn known_digests() {
    for how in EVERY_WAY {
        let rig = how.rig().go();
        run(async {
            for (algorithm, message, expected) in KNOWN {
                let expected = hex(expected);
                let hash = open(&rig, how, algorithm, expected.len()).await;
                let mut digest = vec![0; expected.len()];
                hash.digest_slice(message, &mut digest).await.unwrap();
                assert_eq!(digest, expected, "{how:?} {algorithm:?}");
                digest.fill(0);
                // The empty message too: no descriptor is empty, and the buffer comes back.
                let given = hash.digest(buffer(message), &mut digest).await.unwrap();
                assert_eq!((&given[..], &digest), (message, &expected));
                hash.close().await.unwrap();
            }
            let hash = open(&rig, how, HashAlgorithm::Sha256, 32).await;
            let mut digest = [0; 32];
            let none = hash.digest_list(vec![], &mut digest).await.unwrap();
            assert!(none.is_empty());
            assert_eq!(digest[..], hex(KNOWN[5].2));
            hash.close().await.unwrap();
        });
        assert_eq!(rig.far.sessions(), 0);
    }
}

#[test]
fn every_form_equals_the_library() {
    for how in EVERY_WAY {
        let rig = how.rig().go();
        let mut random = Random::new(11);
        run(async {
            for round in 0..times(60, 9) {
                let algorithm = HashAlgorithm::ALL[round % HashAlgorithm::ALL.len()];
                // Of SHAKE more than a slot has room for, too.
                let len = algorithm
                    .digest_len_bytes()
                    .unwrap_or_else(|| 1 + random.below(3000));
                let hash = open(&rig, how, algorithm, len).await;
                let message_len = random.len();
                let message = random.bytes(message_len);
                let expected = compute_digest(algorithm, &message, len);
                let mut digests = [vec![0; len], vec![0; len], vec![0; len]];
                let [slice, one, list] = &mut digests;
                hash.digest_slice(&message, slice).await.unwrap();
                hash.digest(buffer(&message), one).await.unwrap();
                let given = hash.digest_list(random.cut(&message), list).await.unwrap();
                assert_eq!(concat(&given), message);
                for digest in digests {
                    assert_eq!(digest, expected, "{how:?} {algorithm:?} {message_len}");
                }
            }
        });
    }
}

#[test]
fn lengths_are_refused_before_they_are_sent() {
    let setup = Setup {
        max_size_bytes: 4096,
        ..Setup::default()
    };
    for how in EVERY_WAY {
        let rig = how.rig_of(setup.clone()).go();
        run(async {
            let device = &rig.device;
            let wrong = |algorithm, len| async move {
                match how.is_stateless() {
                    true => MessageDigest::stateless(device, algorithm, len).unwrap_err(),
                    false => MessageDigest::open(device, algorithm, len)
                        .await
                        .unwrap_err(),
                }
            };
            let error = wrong(HashAlgorithm::Sha256, 16).await;
            assert_eq!(error, exactly("digest", 16, 32));
            let none = Requirement::AtLeast { min_bytes: 1 };
            let error = wrong(HashAlgorithm::Shake128, 0).await;
            assert_eq!(error, invalid("digest", 0, none));
            let hash = open(&rig, how, HashAlgorithm::Sha1, 20).await;
            let before = rig.device.data_stats().submitted;
            let max = hash.max_len_bytes();
            let other = if how.is_stateless() { 104 } else { 72 };
            assert_eq!(max, 4096 - other - 20 - 1);
            let mut short = [7; 19];
            let failed = hash.digest(DmaBuffer::new(max).unwrap(), &mut short);
            let failed = failed.await.unwrap_err();
            assert_eq!(failed.error, exactly("digest", 19, 20));
            assert_eq!(failed.returned.unwrap().len(), max);
            let mut digest = [7; 20];
            let max_bytes = max as u64;
            let too_long = invalid("data", max + 1, Requirement::AtMost { max_bytes });
            let long = DmaBuffer::new(max + 1).unwrap();
            let failed = hash.digest(long, &mut digest).await.unwrap_err();
            assert_eq!(failed.error, too_long);
            assert_eq!(failed.returned.unwrap().len(), max + 1);
            let error = hash.digest_slice(&vec![0; max + 1], &mut digest).await;
            assert_eq!(error, Err(too_long));
            let empty = vec![buffer(&[1]), buffer(&[])];
            let failed = hash.digest_list(empty, &mut digest).await.unwrap_err();
            let at_least = Requirement::AtLeast { min_bytes: 1 };
            assert_eq!(failed.error, invalid("buffer", 0, at_least));
            assert_eq!(failed.returned.unwrap().len(), 2);
            let many: Vec<_> = (0..15).map(|_| buffer(&[1])).collect();
            let failed = hash.digest_list(many, &mut digest).await.unwrap_err();
            let (descriptors, max_descriptors) = (17, 16);
            let expected = Error::TooManyBuffers {
                descriptors,
                max: max_descriptors,
            };
            assert_eq!(
                (failed.error, failed.returned.unwrap().len()),
                (expected, 15)
            );
            assert_eq!(rig.device.data_stats().submitted, before);
            assert_eq!(digest, [7; 20]);
            hash.digest(DmaBuffer::new(max).unwrap(), &mut digest)
                .await
                .unwrap();
        });
    }
}
