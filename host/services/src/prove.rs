//! What is proved by known answers.

use virtio_crypto::{
    AeadAlgorithm, AkcipherAlgorithm, Algorithm, CipherAlgorithm, Error, HashAlgorithm,
    MacAlgorithm,
};

use crate::rig::{Fault, Rig, poll_once, run};

fn proved(rig: &Rig) -> Vec<CipherAlgorithm> {
    let capabilities = rig.device.capabilities();
    let all = CipherAlgorithm::ALL.into_iter();
    all.filter(|algorithm| capabilities.proves(*algorithm))
        .collect()
}

#[test]
fn what_is_computed_rightly_is_proved() {
    let rig = Rig::simple().go();
    assert_eq!(proved(&rig), []);
    let answer = run(rig.device.prove()).unwrap();
    assert_eq!(answer, rig.device.capabilities().proved);
    // Those that are missing have no known answer.
    assert_eq!(
        proved(&rig),
        [
            CipherAlgorithm::Arc4,
            CipherAlgorithm::AesEcb,
            CipherAlgorithm::AesCbc,
            CipherAlgorithm::AesCtr,
            CipherAlgorithm::DesEcb,
            CipherAlgorithm::DesCbc,
            CipherAlgorithm::TripleDesEcb,
            CipherAlgorithm::TripleDesCbc,
            CipherAlgorithm::TripleDesCtr,
            CipherAlgorithm::AesXts,
        ]
    );
    let instead = rig.device.capabilities().proved.algorithms;
    assert!(instead.contains(CipherAlgorithm::AesXts));
    assert!(!instead.contains(CipherAlgorithm::AesF8));
    assert_eq!(rig.far.sessions(), 0, "left open on the device");
    rig.device.recover(1_000_000_000).unwrap();
    assert_eq!(proved(&rig).len(), 10, "a recovery forgot");
}

/// Every algorithm for which there is a known answer, beside the ciphers.
fn others() -> Vec<Algorithm> {
    let macs = MacAlgorithm::ALL.into_iter().take(8).map(Algorithm::from);
    let hashes = HashAlgorithm::ALL.into_iter().map(Algorithm::from);
    let aeads = AeadAlgorithm::ALL.into_iter().map(Algorithm::from);
    let keys = AkcipherAlgorithm::ALL.into_iter().map(Algorithm::from);
    macs.chain(hashes).chain(aeads).chain(keys).collect()
}

#[test]
fn every_service_is_proved_by_its_known_answers() {
    let rig = Rig::simple().go();
    run(rig.device.prove()).unwrap();
    let capabilities = rig.device.capabilities();
    for algorithm in others() {
        assert!(capabilities.proves(algorithm), "{algorithm:?}");
    }
    let unknown = MacAlgorithm::ALL.into_iter().skip(8);
    for algorithm in unknown {
        assert!(!capabilities.proves(algorithm), "{algorithm:?}");
    }
    assert_eq!(rig.far.sessions(), 0, "left open on the device");
}

/// The device is asked about wrong tags and signatures: one that accepts them has proved nothing.
#[test]
fn each_wrong_tag_and_signature_has_to_be_told() {
    let rig = Rig::simple();
    let prove = |fault_at: usize| {
        let mut prove = Box::pin(rig.device.prove());
        for served in 0.. {
            if poll_once(prove.as_mut()).is_ready() {
                return served;
            }
            if served == fault_at {
                rig.far.set_fault(Fault::Status(0));
            }
            assert_eq!(rig.far.serve(0, 1) + rig.far.serve(1, 1), 1);
        }
        0
    };
    let requests = prove(usize::MAX);
    let all = others();
    let mut lost: Vec<Algorithm> = Vec::new();
    for fault_at in 0..requests {
        prove(fault_at);
        let capabilities = rig.device.capabilities();
        lost.extend(
            all.iter()
                .filter(|algorithm| !capabilities.proves(**algorithm)),
        );
    }
    let aeads = AeadAlgorithm::ALL.into_iter().map(Algorithm::from);
    let keys = AkcipherAlgorithm::ALL.into_iter().map(Algorithm::from);
    assert_eq!(lost, aeads.chain(keys).collect::<Vec<_>>());
}

#[test]
fn what_is_refused_is_not_proved() {
    let rig = Rig::simple().go();
    run(rig.device.prove()).unwrap();
    rig.far.limit_sessions(0);
    run(rig.device.prove()).unwrap();
    assert_eq!(proved(&rig), []);
    let capabilities = rig.device.capabilities();
    assert!(
        !others()
            .into_iter()
            .any(|algorithm| capabilities.proves(algorithm))
    );
}

#[test]
fn broken_device_leaves_what_was_proved() {
    let rig = Rig::simple().go();
    run(rig.device.prove()).unwrap();
    rig.far.set_fault(Fault::NoStatus);
    assert!(matches!(run(rig.device.prove()), Err(Error::Broken(_))));
    assert_eq!(proved(&rig).len(), 10);
}
