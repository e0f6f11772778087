//! What the services say on a device that does not have them: QEMU's builtin backend refuses each
//! with a status, and goes on.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::{sync::Arc, vec, vec::Vec};

use kernel::{
    crypto::{self, CryptoDevice, Reach, Wiring},
    task::executor,
};
use spin::Once;
use virtio_crypto::{
    AeadAlgorithm, AeadDecrypt, AeadEncrypt, Chain, ChainOrder, ChainParameters, ChainedHash,
    Cipher, CipherAlgorithm, Curve, Direction, EcdsaNumber, EcdsaPrivateKey, EcdsaSigner, Error,
    Features, HashAlgorithm, Mac, MacAlgorithm, MessageDigest, Options, Refusal,
};

kernel::tests! {
    machines: [
        "vectors=3",
        "vectors=0 machine=pc",
        // The device's favourite way to be notified is a port, which the driver cannot use.
        "args=-global,,virtio-crypto-pci.modern-pio-notify=on",
    ],
    tests: [
        services_that_the_device_lacks_are_refused,
        stateless_modes_that_the_device_lacks_are_named,
    ],
}

fn device() -> &'static Arc<CryptoDevice> {
    static DEVICE: Once<Arc<CryptoDevice>> = Once::new();
    DEVICE.call_once(|| {
        crypto::open_crypto(0, Reach::Pci, Wiring::Best, Options::default())
            .unwrap()
            .expect("a device")
    })
}

/// Encrypts the first block of NIST SP 800-38A, F.2.1: the device is alive.
async fn encrypt_a_block() {
    let key = 0x2b7e_1516_28ae_d2a6_abf7_1588_09cf_4f3c_u128.to_be_bytes();
    let iv = 0x0001_0203_0405_0607_0809_0a0b_0c0d_0e0f_u128.to_be_bytes();
    let mut data = 0x6bc1_bee2_2e40_9f96_e93d_7e11_7393_172a_u128.to_be_bytes();
    let (algorithm, direction) = (CipherAlgorithm::AesCbc, Direction::Encrypt);
    let session = Cipher::open(device(), algorithm, direction, &key)
        .await
        .unwrap();
    session.process_slice(&iv, &mut data).await.unwrap();
    let expected = 0x7649_abac_8119_b246_cee9_8e9b_12e9_197d_u128.to_be_bytes();
    assert_eq!(data, expected);
    session.close().await.unwrap();
}

/// Every chain that can be asked for, by order, direction and hash.
fn chains() -> Vec<ChainParameters<'static>> {
    let hashes = [
        (ChainedHash::Plain(HashAlgorithm::Sha1), 20),
        (ChainedHash::Nested(HashAlgorithm::Sha256), 32),
        (
            ChainedHash::Authenticated(MacAlgorithm::HmacSha1, &[2; 20]),
            12,
        ),
        (
            ChainedHash::Authenticated(MacAlgorithm::HmacSha256, &[3; 100]),
            32,
        ),
    ];
    let mut chains = vec![];
    for (hash, digest_len_bytes) in hashes {
        for order in [ChainOrder::HashThenCipher, ChainOrder::CipherThenHash] {
            for direction in [Direction::Encrypt, Direction::Decrypt] {
                chains.push(ChainParameters {
                    order,
                    cipher: CipherAlgorithm::AesCbc,
                    direction,
                    cipher_key: &[1; 16],
                    hash,
                    digest_len_bytes,
                });
            }
        }
    }
    chains
}

fn services_that_the_device_lacks_are_refused() {
    executor::block_on(async {
        let device = device();
        let check = async |name: &str, outcome: Result<(), Error>| {
            let refused = matches!(
                outcome,
                Err(Error::Refused(Refusal::NotSupported | Refusal::Error))
            );
            assert!(refused, "{name}: {outcome:?}");
            encrypt_a_block().await;
        };
        for algorithm in HashAlgorithm::ALL {
            let len = algorithm.digest_len_bytes().unwrap_or(40);
            let opened = MessageDigest::open(device, algorithm, len).await;
            check("HASH", opened.map(drop)).await;
        }
        for algorithm in MacAlgorithm::ALL {
            let key_len = *algorithm.key_lens_bytes()[0].start();
            let len = algorithm.result_len_bytes();
            let opened = Mac::open(device, algorithm, &vec![1; key_len], len).await;
            check("MAC", opened.map(drop)).await;
        }
        for algorithm in AeadAlgorithm::ALL {
            let opened = AeadEncrypt::open(device, algorithm, &[1; 32], 16, 13).await;
            check("AEAD", opened.map(drop)).await;
            let opened = AeadDecrypt::open(device, algorithm, &[1; 32], 16, 0).await;
            check("AEAD", opened.map(drop)).await;
        }
        for parameters in chains() {
            let opened = Chain::open(device, &parameters, 8).await;
            check("chain", opened.map(drop)).await;
        }
    });
    crypto::wait_until_idle(device(), 0, 10_000_000_000);
}

fn stateless_modes_that_the_device_lacks_are_named() {
    let device = device();
    assert!(!device.features().contains(Features::REVISION_1));
    let (gcm, encrypt) = (AeadAlgorithm::Gcm, Direction::Encrypt);
    let scalar = EcdsaPrivateKey::from_scalar(Curve::P256, &[1; 32]);
    let outcomes = [
        Cipher::stateless(device, CipherAlgorithm::AesCbc, encrypt, &[1; 16]).map(drop),
        Chain::stateless(device, &chains()[0]).map(drop),
        MessageDigest::stateless(device, HashAlgorithm::Sha1, 20).map(drop),
        Mac::stateless(device, MacAlgorithm::HmacSha1, &[1; 16], 20).map(drop),
        AeadEncrypt::stateless(device, gcm, &[1; 16], 16).map(drop),
        AeadDecrypt::stateless(device, gcm, &[1; 16], 16).map(drop),
        EcdsaSigner::stateless(device, &scalar.unwrap(), EcdsaNumber::Linux).map(drop),
    ];
    for outcome in outcomes {
        let missing = matches!(outcome, Err(Error::FeatureMissing { .. }));
        assert!(missing, "{outcome:?}");
    }
    executor::block_on(encrypt_a_block());
}
