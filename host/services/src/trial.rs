//! The trial of data queues at set-up, by whichever algorithm a device has.

use device::offer::Algorithms;
use virtio_crypto::{AeadAlgorithm, CipherAlgorithm, HashAlgorithm, MacAlgorithm};

use crate::rig::{Rig, Served, Setup};

/// Bits of `crypto_services` (Virtio 1.3, 5.9.4).
const CIPHER: u32 = 1 << 0;
const HASH: u32 = 1 << 1;
const MAC: u32 = 1 << 2;
const AEAD: u32 = 1 << 3;

/// Whatever a device advertises alone, the requests that are made of it are right ones.
#[test]
fn every_algorithm_alone_is_enough_for_the_trial() {
    let bit = |number: u32| 1_u64 << number;
    let ciphers = CipherAlgorithm::ALL.map(|one| (CIPHER, bit(one as u32)));
    let hashes = HashAlgorithm::ALL.map(|one| (HASH, bit(one as u32)));
    let macs = MacAlgorithm::ALL.map(|one| (MAC, bit(one as u32)));
    let aeads = AeadAlgorithm::ALL.map(|one| (AEAD, bit(one as u32)));
    let mut tried = 0;
    for (services, mask) in ciphers.into_iter().chain(hashes).chain(macs).chain(aeads) {
        let of = |service| if service == services { mask } else { 0 };
        let algorithms = Algorithms {
            cipher: of(CIPHER),
            hash: of(HASH) as u32,
            mac: of(MAC),
            aead: of(AEAD) as u32,
            akcipher: 0,
        };
        let setup = Setup {
            data_queues: 2,
            is_eager: true,
            services,
            algorithms,
            ..Setup::default()
        };
        let options = Rig::options_with(|options| options.trial_limit_ns = 100_000_000);
        let rig = Rig::new(setup, options).unwrap();
        assert_eq!(rig.device.data_queues_left_out(), 0);
        if rig.far.log() == [Served::Refused] {
            // Nothing at hand computes it.
            continue;
        }
        let served = [Served::Create, Served::Data, Served::Data, Served::Destroy];
        assert_eq!(rig.far.log(), served, "service {services}, mask {mask:#x}");
        assert_eq!(rig.far.refused(), 0, "service {services}, mask {mask:#x}");
        tried += 1;
    }
    assert!(tried > 30, "{tried} were tried");
}
