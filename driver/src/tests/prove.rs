//! What is proved by known answers.

use crate::{
    CipherAlgorithm, Error,
    fake::{Fault, Rig, run},
};

fn proved(rig: &Rig) -> std::vec::Vec<CipherAlgorithm> {
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
    // ARC4 is answered wrongly; the others that are missing have no known answer.
    assert_eq!(
        proved(&rig),
        [
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
    let instead = rig.device.capabilities().as_proved();
    assert!(
        instead.advertises(CipherAlgorithm::AesXts) && !instead.advertises(CipherAlgorithm::Arc4)
    );
    assert_eq!(rig.fake.sessions(), 0, "left open on the device");
    rig.device.recover(1_000_000_000).unwrap();
    assert_eq!(proved(&rig).len(), 9, "a recovery forgot");
}

#[test]
fn what_is_refused_is_not_proved() {
    let rig = Rig::simple().go();
    run(rig.device.prove()).unwrap();
    rig.fake.limit_sessions(0);
    run(rig.device.prove()).unwrap();
    assert_eq!(proved(&rig), []);
}

#[test]
fn broken_device_leaves_what_was_proved() {
    let rig = Rig::simple().go();
    run(rig.device.prove()).unwrap();
    rig.fake.set_fault(Fault::Id(77));
    assert!(matches!(run(rig.device.prove()), Err(Error::Broken(_))));
    assert_eq!(proved(&rig).len(), 9);
}
