//! Every number of section 5.9 that the driver knows, written a second time from its text.
//!
//! The bytes of whole requests are beside their encoders. The one rule: nothing here is computed
//! from what it checks.

use std::vec::Vec;

use zerocopy::{FromBytes, IntoBytes};

use super::{
    AeadAlgorithm, AkcipherAlgorithm, CipherAlgorithm, Curve, DEVICE_ID, Features, HashAlgorithm,
    MacAlgorithm, RsaHash, Service, Services, config::Config,
};

#[test]
fn algorithms_have_their_numbers() {
    let ciphers = CipherAlgorithm::ALL.map(|one| one as u32);
    assert_eq!(ciphers, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14]);
    let hashes = HashAlgorithm::ALL.map(|one| one as u32);
    assert_eq!(hashes, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
    let macs = MacAlgorithm::ALL.map(|one| one as u32);
    let expected = [1, 2, 3, 4, 5, 6, 25, 26, 27, 28, 41, 42, 49, 50, 53, 54];
    assert_eq!(macs, expected);
    assert_eq!(AeadAlgorithm::ALL.map(|one| one as u32), [1, 2, 3]);
    assert_eq!(AkcipherAlgorithm::ALL.map(|one| one as u32), [1, 2, 3]);
}

#[test]
fn hashes_and_curves_of_public_keys_have_their_numbers() {
    let hashes = [
        (RsaHash::Md5, 4, 16),
        (RsaHash::Sha1, 5, 20),
        (RsaHash::Sha256, 6, 32),
        (RsaHash::Sha384, 7, 48),
        (RsaHash::Sha512, 8, 64),
        (RsaHash::Sha224, 9, 28),
    ];
    assert_eq!(hashes.map(|(hash, ..)| hash), RsaHash::ALL);
    for (hash, number, len_bytes) in hashes {
        assert_eq!((hash as u32, hash.digest_len_bytes()), (number, len_bytes));
    }
    assert_eq!(Curve::ALL.map(|one| one as u32), [1, 2, 3, 4, 5]);
}

#[test]
fn ciphers_take_their_lengths() {
    // IV, granule, least, block; shortest and longest key.
    let expected = [
        ([0, 1, 1, 1], [5, 256]),
        ([0, 16, 16, 16], [16, 32]),
        ([16, 16, 16, 16], [16, 32]),
        ([16, 1, 1, 16], [16, 32]),
        ([0, 8, 8, 8], [8, 8]),
        ([8, 8, 8, 8], [8, 8]),
        ([0, 8, 8, 8], [24, 24]),
        ([8, 8, 8, 8], [24, 24]),
        ([8, 1, 1, 8], [24, 24]),
        ([8, 1, 1, 1], [16, 16]),
        ([16, 1, 1, 1], [16, 16]),
        ([16, 1, 1, 16], [16, 32]),
        ([16, 1, 16, 16], [32, 64]),
        ([16, 1, 1, 1], [16, 16]),
    ];
    for (algorithm, (lens, keys)) in CipherAlgorithm::ALL.into_iter().zip(expected) {
        let got = [
            algorithm.iv_len_bytes(),
            algorithm.granule_len_bytes(),
            algorithm.min_len_bytes(),
            algorithm.block_len_bytes(),
        ];
        assert_eq!(got, lens, "{algorithm:?}");
        // What every request is checked for says the same.
        let shape = algorithm.shape();
        let got = [shape.iv_len_bytes, shape.granule_mask, shape.min_len_bytes];
        let [iv_len_bytes, granule_len_bytes, min_len_bytes, _] = lens;
        let expected = [iv_len_bytes, granule_len_bytes - 1, min_len_bytes];
        assert_eq!(got.map(usize::from), expected, "{algorithm:?}");
        let takes: Vec<_> = all(algorithm.key_lens_bytes()).collect();
        let ends = [takes[0], takes[takes.len() - 1]];
        assert_eq!(ends, keys, "{algorithm:?}");
    }
    let aes = all(CipherAlgorithm::AesCbc.key_lens_bytes());
    assert!(aes.eq([16, 24, 32]));
    let xts = all(CipherAlgorithm::AesXts.key_lens_bytes());
    assert!(xts.eq([32, 64]));
}

#[test]
fn digests_and_tags_have_their_lengths() {
    let digests = HashAlgorithm::ALL.map(|one| one.digest_len_bytes().unwrap_or(0));
    assert_eq!(digests, [16, 20, 28, 32, 48, 64, 28, 32, 48, 64, 0, 0]);
    let tags = MacAlgorithm::ALL.map(MacAlgorithm::result_len_bytes);
    let expected = [16, 20, 28, 32, 48, 64, 8, 16, 4, 4, 16, 16, 16, 4, 16, 4];
    assert_eq!(tags, expected);
    assert!(all(MacAlgorithm::CmacAes.key_lens_bytes()).eq([16, 24, 32]));
    assert!(all(MacAlgorithm::CmacTripleDes.key_lens_bytes()).eq([24]));
    assert!(all(MacAlgorithm::XcbcAes.key_lens_bytes()).eq([16]));
    assert_eq!(MacAlgorithm::HmacSha256.key_lens_bytes(), [1..=usize::MAX]);
}

#[test]
fn authenticated_ciphers_take_their_lengths() {
    let [gcm, ccm, chacha20] = AeadAlgorithm::ALL;
    assert!(all(gcm.key_lens_bytes()).eq([16, 24, 32]));
    assert!(all(ccm.key_lens_bytes()).eq([16, 24, 32]));
    assert!(all(chacha20.key_lens_bytes()).eq([32]));
    assert!(all(gcm.nonce_lens_bytes()).eq([12, 16]));
    assert!(all(ccm.nonce_lens_bytes()).eq([7, 8, 9, 10, 11, 12, 13]));
    assert!(all(chacha20.nonce_lens_bytes()).eq([12]));
    assert!(all(gcm.tag_lens_bytes()).eq([4, 8, 12, 13, 14, 15, 16]));
    assert!(all(ccm.tag_lens_bytes()).eq([4, 6, 8, 10, 12, 14, 16]));
    assert!(all(chacha20.tag_lens_bytes()).eq([16]));
    // As many as 15 bytes less the nonce count.
    assert_eq!(ccm.max_len_bytes(13), (1 << 16) - 1);
    assert_eq!(ccm.max_len_bytes(12), (1 << 24) - 1);
    assert_eq!(ccm.max_len_bytes(11), (1 << 32) - 1);
    assert_eq!(gcm.max_len_bytes(12), (1 << 32) - 1);
}

fn all(lens: &[core::ops::RangeInclusive<usize>]) -> impl Iterator<Item = usize> + '_ {
    lens.iter().flat_map(Clone::clone)
}

#[test]
fn device_features_and_services_have_their_bits() {
    assert_eq!(DEVICE_ID, 20);
    for (feature, bit) in [
        (Features::REVISION_1, 0),
        (Features::CIPHER_STATELESS_MODE, 1),
        (Features::HASH_STATELESS_MODE, 2),
        (Features::MAC_STATELESS_MODE, 3),
        (Features::AEAD_STATELESS_MODE, 4),
        (Features::AKCIPHER_STATELESS_MODE, 5),
        (Features::INDIRECT_DESC, 28),
        (Features::EVENT_IDX, 29),
        (Features::VERSION_1, 32),
        (Features::ACCESS_PLATFORM, 33),
        (Features::RING_PACKED, 34),
        (Features::IN_ORDER, 35),
        (Features::ORDER_PLATFORM, 36),
        (Features::NOTIFICATION_DATA, 38),
        (Features::NOTIF_CONFIG_DATA, 39),
        (Features::RING_RESET, 40),
    ] {
        assert_eq!(feature.bits(), 1 << bit, "{feature:?}");
    }
    for (service, number) in [
        (Service::Cipher, 0),
        (Service::Hash, 1),
        (Service::Mac, 2),
        (Service::Aead, 3),
        (Service::Akcipher, 4),
    ] {
        assert_eq!(service as u32, number);
        assert_eq!(Services::from(service).bits(), 1 << number);
    }
    let services = [
        Services::CIPHER,
        Services::HASH,
        Services::MAC,
        Services::AEAD,
        Services::AKCIPHER,
    ];
    assert_eq!(services.map(|service| service.bits()), [1, 2, 4, 8, 16]);
}

#[test]
fn configuration_has_its_layout() {
    let words: [u32; 14] = core::array::from_fn(|index| 0x100 + index as u32);
    let config = Config::read_from_bytes(words.as_bytes()).unwrap();
    let fields = [
        config.status,
        config.max_dataqueues,
        config.crypto_services,
        config.cipher_algo_l,
        config.cipher_algo_h,
        config.hash_algo,
        config.mac_algo_l,
        config.mac_algo_h,
        config.aead_algo,
        config.max_cipher_key_len,
        config.max_auth_key_len,
        config.akcipher_algo,
    ];
    let expected: [u32; 12] = core::array::from_fn(|index| 0x100 + index as u32);
    assert_eq!(fields.map(|field| field.get()), expected);
    assert_eq!(config.max_size.get(), 0x10d_0000_010c);
}

#[test]
fn hardware_is_ready_by_the_first_bit() {
    for (status, is_ready) in [(0, false), (1, true), (2, false), (3, true)] {
        let mut config = Config::zeroed();
        config.status.set(status);
        assert_eq!(config.is_ready(), is_ready, "{status}");
    }
}
