//! The driver on mixes of everything that the project's own device can be. Whatever the mix, all
//! that the device computes has right results, on every queue, by sessions and without.
//!
//! `own=seed=N` is the mix of that number; `./run.sh device mixes=N seed=S` boots more of them, in
//! which every pair of options stands together. By vhost-user the same has to hold.
//!
//! Words of the command line: `mode=shared` for a device with one vector.
#![no_std]
#![no_main]

extern crate alloc;

#[path = "../../host/services/checks/random.rs"]
mod random;

use alloc::{sync::Arc, vec::Vec};

use aes::Aes128;
use cbc::cipher::{BlockModeEncrypt, KeyIvInit, block_padding::NoPadding};
use kernel::{
    command_line,
    crypto::{self, CryptoDevice, Reach, Wiring},
    platform::KernelPlatform,
    println, smp,
    task::executor,
};
use random::Random;
use virtio_crypto::{
    Algorithm, Cipher, CipherAlgorithm, Direction, DmaBuffer, Error, InterruptMode, MacAlgorithm,
    Options,
};

kernel::tests! {
    machines: [
        "own=seed=1 smp=2",
        "own=seed=2 smp=2",
        "own=seed=3 smp=2",
        "own=seed=4 smp=2",
        // Behind an IOMMU that nobody has switched on, which ACCESS_PLATFORM is about.
        "own=seed=5 smp=2 iommu=on",
        // QEMU's half of vhost-user has one vector, and rings of 1024 entries at most.
        "own=protocol=vhost-user smp=2 append=mode=shared",
        "own=protocol=vhost-user,queues=4 smp=4 append=mode=shared",
        "own=protocol=vhost-user,queues=2,packed=on,in_order=on,batch=8 smp=2 append=mode=shared",
    ],
    tests: [whatever_the_device_is_its_results_are_right],
}

const KEY: [u8; 16] = [0x5a; 16];
const IV: [u8; 16] = [0xa5; 16];
const SECOND_NS: u64 = 1_000_000_000;
/// Requests that each CPU has in flight, and how often it sends them.
const TOGETHER: usize = 12;
const ROUNDS: usize = 4;
/// Blocks of most of them.
const MOST_BLOCKS: usize = 40;
/// A few are longer than what some of these devices take at once.
const LONG_BLOCKS: [usize; 3] = [100, 257, 1000];

type AesCbc = Cipher<KernelPlatform>;

fn device() -> Arc<CryptoDevice> {
    assert_eq!(smp::start_all(), 0, "CPUs did not come up");
    let opened = crypto::open_crypto(0, Reach::Pci, Wiring::Best, Options::default());
    opened.unwrap().expect("a device")
}

fn whatever_the_device_is_its_results_are_right() {
    let device = device();
    let features = device.features();
    println!(
        "\nmix: features={features:?} queues={}",
        device.data_queues()
    );
    let mode = match command_line::value("mode") {
        Some("shared") => InterruptMode::Shared,
        _ => InterruptMode::PerQueue,
    };
    assert_eq!(device.interrupt_mode(), mode);
    assert_eq!(device.data_queues_left_out(), 0);
    for life in 0..2 {
        check_known_answers(&device);
        traffic(&device, life);
        crypto::wait_until_idle(&device, 0, 10 * SECOND_NS);
        assert_eq!(device.interrupt_stats().unhandled, 0);
        let left = device.recover(SECOND_NS).unwrap();
        assert_eq!(left.in_flight, 0);
        assert_eq!(device.features(), features);
    }
}

/// Every algorithm that the device advertises gives its known answer, on every queue.
fn check_known_answers(device: &CryptoDevice) {
    let proved = executor::block_on(device.prove()).unwrap();
    let has_one_per_field = command_line::value("framing") == Some("fields");
    let advertised = device.capabilities().advertised();
    assert!(advertised.iter().count() > 30);
    for algorithm in advertised.difference(proved.algorithms).iter() {
        let is_expected = match algorithm {
            // There is no published answer that the specification's words lead to.
            Algorithm::Mac(MacAlgorithm::CbcMacAes | MacAlgorithm::XcbcAes) => true,
            // The driver gives a tag a descriptor of its own, while in the specification it is a
            // part of source or destination (5.9.7.7).
            Algorithm::Aead(_) => has_one_per_field,
            _ => false,
        };
        assert!(is_expected, "{algorithm:?}");
    }
    let queues = proved.data_queues.count_ones() as usize;
    assert_eq!(queues, device.data_queues());
}

/// Has every CPU send many requests at a time, by a session and without.
fn traffic(device: &Arc<CryptoDevice>, life: u64) {
    let spawn = |cpu: u32| {
        let device = device.clone();
        let work = async move {
            let mut random = Random::new(life << 32 | u64::from(cpu));
            for by_session in [true, false] {
                let [encrypt, decrypt] = match sessions(&device, by_session).await {
                    Ok(both) => both,
                    Err(Error::FeatureMissing { .. }) if !by_session => return,
                    Err(error) => panic!("{error}"),
                };
                for _ in 0..ROUNDS {
                    let requests = (0..TOGETHER).map(|_| {
                        let blocks = match random.below(TOGETHER) {
                            0 => random.one_of(&LONG_BLOCKS),
                            _ => 1 + random.below(MOST_BLOCKS),
                        };
                        there_and_back(&encrypt, &decrypt, random.bytes(16 * blocks))
                    });
                    crypto::join_all(requests.collect::<Vec<_>>()).await;
                }
                encrypt.close().await.unwrap();
                decrypt.close().await.unwrap();
            }
        };
        executor::spawn_on(cpu, work).unwrap()
    };
    let tasks: Vec<_> = (0..smp::online()).map(spawn).collect();
    executor::block_on(crypto::join_all(tasks));
}

/// Returns what encrypts and what decrypts.
async fn sessions(device: &CryptoDevice, by_session: bool) -> Result<[AesCbc; 2], Error> {
    let algorithm = CipherAlgorithm::AesCbc;
    let mut both = Vec::new();
    for direction in [Direction::Encrypt, Direction::Decrypt] {
        both.push(match by_session {
            true => Cipher::open(device, algorithm, direction, &KEY).await?,
            false => Cipher::stateless(device, algorithm, direction, &KEY)?,
        });
    }
    Ok(both.try_into().expect("two"))
}

/// Encrypts, compares with software, and decrypts.
async fn there_and_back(encrypt: &AesCbc, decrypt: &AesCbc, text: Vec<u8>) {
    let mut expected = text.clone();
    let software = cbc::Encryptor::<Aes128>::new(&KEY.into(), &IV.into());
    software
        .encrypt_padded::<NoPadding>(&mut expected, text.len())
        .unwrap();
    let mut data = text.clone();
    encrypt.process_slice(&IV, &mut data).await.unwrap();
    assert!(data == expected, "{} bytes encrypted", text.len());
    if data.len() > decrypt.max_len_bytes() {
        decrypt.process_slice(&IV, &mut data).await.unwrap();
        return assert!(data == text, "{} bytes decrypted in parts", text.len());
    }
    // Without a copy.
    let buffer = DmaBuffer::from_slice(&data).unwrap();
    let back = decrypt.process(&IV, buffer).await.unwrap();
    assert!(back[..] == text[..], "{} bytes decrypted", text.len());
}
