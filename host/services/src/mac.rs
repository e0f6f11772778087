//! The MAC service.

use virtio_crypto::{Error, Mac, MacAlgorithm, Refusal, Requirement};

use crate::{
    digests::compute_tag,
    rig::{FakePlatform, MAX_AUTH_KEY_LEN, Rig, is_in_memory, run},
    ways::{Cases, EVERY_WAY, How, Random, buffer, concat, exactly, hex, invalid, times},
};

async fn try_open(
    rig: &Rig,
    how: How,
    algorithm: MacAlgorithm,
    key: &[u8],
    len: usize,
) -> Result<Mac<FakePlatform>, Error> {
    match how.is_stateless() {
        true => Mac::stateless(&rig.device, algorithm, key, len),
        false => Mac::open(&rig.device, algorithm, key, len).await,
    }
}

/// Algorithm, key, data, tag.
type Known = (MacAlgorithm, Vec<u8>, Vec<u8>, Vec<u8>);

/// RFC 2202, RFC 4231 (cases 1, 5 and 6), RFC 4493 (examples 1 to 4).
fn known() -> Vec<Known> {
    use MacAlgorithm::{
        CmacAes, HmacMd5, HmacSha1, HmacSha224, HmacSha256, HmacSha384, HmacSha512,
    };
    let hi = "4869205468657265";
    let aes = "2b7e151628aed2a6abf7158809cf4f3c";
    let blocks = "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51
                  30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710";
    let blocks = hex(blocks);
    let row = |algorithm, key: &str, data: &[u8], tag: &str| {
        (algorithm, hex(key), data.to_vec(), hex(tag))
    };
    let k20 = "0b".repeat(20);
    let hi = &hex(hi)[..];
    vec![
        row(
            HmacMd5,
            &"0b".repeat(16),
            hi,
            "9294727a3638bb1c13f48ef8158bfc9d",
        ),
        row(
            HmacSha1,
            &k20,
            hi,
            "b617318655057264e28bc0b6fb378c8ef146be00",
        ),
        row(
            HmacSha224,
            &k20,
            hi,
            "896fb1128abbdf196832107cd49df33f47b4b1169912ba4f53684b22",
        ),
        row(
            HmacSha256,
            &k20,
            hi,
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
        ),
        row(
            HmacSha384,
            &k20,
            hi,
            "afd03944d84895626b0825f4ab46907f15f9dadbe4101ec682aa034c7cebc59c
             faea9ea9076ede7f4af152e8b2fa9cb6",
        ),
        row(
            HmacSha512,
            &k20,
            hi,
            "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cde
             daa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854",
        ),
        row(
            HmacSha256,
            &"0c".repeat(20),
            b"Test With Truncation",
            "a3b6167473100ee06e0c796c2955552b",
        ),
        row(
            HmacSha256,
            &"aa".repeat(131),
            b"Test Using Larger Than Block-Size Key - Hash Key First",
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
        ),
        row(CmacAes, aes, &[], "bb1d6929e95937287fa37d129b756746"),
        row(
            CmacAes,
            aes,
            &blocks[..16],
            "070a16b46b4d4144f79bdd9dd04a287c",
        ),
        row(
            CmacAes,
            aes,
            &blocks[..40],
            "dfa66747de9ae63030ca32611497c827",
        ),
        row(CmacAes, aes, &blocks, "51f0bebf7e3b9d92fc49741779363cfe"),
    ]
}

#[test]
fn known_tags() {
    for how in EVERY_WAY {
        let rig = how.rig().go();
        run(async {
            for (algorithm, key, data, expected) in known() {
                let mac = try_open(&rig, how, algorithm, &key, expected.len());
                let mac = mac.await.unwrap();
                let mut tag = vec![0; expected.len()];
                mac.tag_slice(&data, &mut tag).await.unwrap();
                assert_eq!(tag, expected, "{how:?} {algorithm:?}");
                tag.fill(0);
                let given = mac.tag(buffer(&data), &mut tag).await.unwrap();
                assert_eq!((&given[..], &tag), (&data[..], &expected));
                mac.verify_slice(&data, &expected).await.unwrap();
                mac.close().await.unwrap();
            }
        });
        assert_eq!(rig.far.sessions(), 0);
    }
}

#[test]
fn every_form_equals_the_library() {
    let algorithms = [
        MacAlgorithm::HmacMd5,
        MacAlgorithm::HmacSha1,
        MacAlgorithm::HmacSha224,
        MacAlgorithm::HmacSha256,
        MacAlgorithm::HmacSha384,
        MacAlgorithm::HmacSha512,
        MacAlgorithm::CmacTripleDes,
        MacAlgorithm::CmacAes,
    ];
    for how in EVERY_WAY {
        let rig = how.rig().go();
        let mut random = Random::new(12);
        run(async {
            for round in 0..times(64, 8) {
                let algorithm = algorithms[round % algorithms.len()];
                let key_len = match algorithm {
                    MacAlgorithm::CmacTripleDes => 24,
                    MacAlgorithm::CmacAes => [16, 24, 32][random.below(3)],
                    // More than a slot has room for, too.
                    _ => 1 + random.below(MAX_AUTH_KEY_LEN as usize),
                };
                let key = random.bytes(key_len);
                let full = algorithm.result_len_bytes();
                let len = 4 + random.below(full - 3);
                let mac = try_open(&rig, how, algorithm, &key, len).await.unwrap();
                let data_len = random.len();
                let data = random.bytes(data_len);
                let expected = &compute_tag(algorithm, &key, &data).unwrap()[..len];
                let mut tags = [vec![0; len], vec![0; len], vec![0; len]];
                let [slice, one, list] = &mut tags;
                mac.tag_slice(&data, slice).await.unwrap();
                mac.tag(buffer(&data), one).await.unwrap();
                let given = mac.tag_list(random.cut(&data), list).await.unwrap();
                assert_eq!(concat(&given), data);
                for tag in tags {
                    assert_eq!(tag, expected, "{how:?} {algorithm:?} {key_len} {data_len}");
                }
            }
        });
    }
}

#[test]
fn wrong_tags_do_not_verify() {
    for how in EVERY_WAY {
        let rig = how.rig().go();
        run(async {
            let mac = try_open(&rig, how, MacAlgorithm::HmacSha256, &[1; 20], 12);
            let mac = mac.await.unwrap();
            for len in [0, 100, 5000] {
                let data = vec![9; len];
                let mut tag = [0; 12];
                mac.tag_slice(&data, &mut tag).await.unwrap();
                mac.verify(buffer(&data), &tag).await.unwrap();
                let list = if len == 0 {
                    vec![]
                } else {
                    vec![buffer(&data)]
                };
                mac.verify_list(list, &tag).await.unwrap();
                for at in [0, 5, 11] {
                    let mut wrong = tag;
                    wrong[at] ^= 0x80;
                    let outcome = mac.verify_slice(&data, &wrong).await;
                    assert_eq!(outcome, Err(Error::TagMismatch));
                    let failed = mac.verify(buffer(&data), &wrong).await.unwrap_err();
                    assert_eq!(failed.error, Error::TagMismatch);
                    assert_eq!(failed.returned.unwrap()[..], data);
                    let failed = mac.verify_list(vec![buffer(&data)], &wrong);
                    assert_eq!(failed.await.unwrap_err().error, Error::TagMismatch);
                }
                // The beginning of the right one is not the right one.
                let short = mac.verify_slice(&data, &tag[..11]).await;
                assert_eq!(short, Err(exactly("tag", 11, 12)));
                let short = mac.verify(buffer(&data), &[]).await.unwrap_err();
                assert_eq!(short.error, exactly("tag", 0, 12));
                assert!(short.returned.is_some());
            }
        });
    }
}

#[test]
fn lengths_are_refused_before_they_are_sent() {
    for how in EVERY_WAY {
        let rig = how.rig().go();
        run(async {
            let wrong = |algorithm, key_len, len| {
                let (rig, key) = (&rig, vec![1; key_len]);
                async move {
                    let opened = try_open(rig, how, algorithm, &key, len).await;
                    opened.map(drop).unwrap_err()
                }
            };
            let hmac = MacAlgorithm::HmacSha1;
            let lens_bytes = hmac.key_lens_bytes();
            let no_key = invalid("key", 0, Requirement::OneOf { lens_bytes });
            assert_eq!(wrong(hmac, 0, 20).await, no_key);
            let max_bytes = u64::from(MAX_AUTH_KEY_LEN);
            let long = max_bytes as usize + 1;
            let long_key = invalid("key", long, Requirement::AtMost { max_bytes });
            assert_eq!(wrong(hmac, long, 20).await, long_key);
            let lens_bytes = MacAlgorithm::CmacAes.key_lens_bytes();
            let odd_key = invalid("key", 20, Requirement::OneOf { lens_bytes });
            assert_eq!(wrong(MacAlgorithm::CmacAes, 20, 16).await, odd_key);
            let short_tag = invalid("tag", 3, Requirement::AtLeast { min_bytes: 4 });
            assert_eq!(wrong(hmac, 20, 3).await, short_tag);
            let long_tag = invalid("tag", 21, Requirement::AtMost { max_bytes: 20 });
            assert_eq!(wrong(hmac, 20, 21).await, long_tag);

            let mac = try_open(&rig, how, hmac, &[1; 20], 20).await.unwrap();
            let before = rig.device.data_stats().submitted;
            let failed = mac.tag(buffer(&[1]), &mut [0; 19]).await.unwrap_err();
            assert_eq!(failed.error, exactly("tag", 19, 20));
            assert!(failed.returned.is_some());
            let max = mac.max_len_bytes();
            let max_bytes = max as u64;
            let outcome = mac.tag_slice(&vec![0; max + 1], &mut [0; 20]).await;
            let too_long = invalid("data", max + 1, Requirement::AtMost { max_bytes });
            assert_eq!(outcome, Err(too_long));
            assert_eq!(rig.device.data_stats().submitted, before);
        });
    }
}

#[test]
fn algorithms_that_the_device_does_not_know_are_an_error() {
    for how in EVERY_WAY {
        let rig = how.rig().go();
        run(async {
            let refused = Error::Refused(Refusal::NotSupported);
            let mac = try_open(&rig, how, MacAlgorithm::GmacAes, &[1; 16], 16).await;
            match how.is_stateless() {
                true => {
                    let mac = mac.unwrap();
                    let outcome = mac.tag_slice(&[1], &mut [0; 16]).await;
                    assert_eq!(outcome, Err(refused));
                }
                false => assert_eq!(mac.map(drop), Err(refused)),
            }
            let mac = try_open(&rig, how, MacAlgorithm::HmacMd5, &[1; 16], 16).await;
            mac.unwrap().tag_slice(&[1], &mut [0; 16]).await.unwrap();
        });
    }
}

#[test]
fn keys_do_not_stay_in_device_memory() {
    for how in EVERY_WAY {
        // In a slot, and in a buffer of its own.
        for key_len in [40, 3000] {
            let rig = how.rig().go();
            let key = Random::new(99).bytes(key_len);
            run(async {
                let mac = try_open(&rig, how, MacAlgorithm::HmacSha256, &key, 32);
                let mac = mac.await.unwrap();
                let mut tag = [0; 32];
                for len in [10, 1000] {
                    mac.tag_slice(&vec![3; len], &mut tag).await.unwrap();
                    mac.tag(buffer(&vec![3; len]), &mut tag).await.unwrap();
                    assert!(!is_in_memory(&key[..16]), "{how:?} {key_len} {len}");
                }
            });
        }
    }
}
