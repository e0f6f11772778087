//! Setting a device up, and every way in which that fails.

use alloc::{string::ToString, vec};

use crate::{
    Cipher, CipherAlgorithm, Direction, Error, Features, InterruptMode, Options,
    fake::{IV, KEY, Rig, Setup, live_pages, oracle, run},
    transport::QueueIndex,
};

fn refused(setup: Setup) -> Error {
    let Err(error) = Rig::new(setup, Rig::options()) else {
        panic!("the device was taken")
    };
    error
}

#[test]
fn legacy_device_is_refused_by_name() {
    let setup = Setup {
        features: Features::INDIRECT_DESC,
        ..Setup::default()
    };
    let error = refused(setup);
    assert_eq!(
        error,
        Error::FeatureMissing {
            feature: "VIRTIO_F_VERSION_1"
        }
    );
    assert!(error.to_string().contains("VIRTIO_F_VERSION_1"));
}

#[test]
fn feature_that_is_required_and_missing_is_named() {
    let required = |require, refuse, offered| {
        let setup = Setup {
            features: Setup::default().features | offered,
            ..Setup::default()
        };
        let options = Options {
            require,
            refuse,
            ..Rig::options()
        };
        Rig::new(setup, options).map(|rig| rig.device.features())
    };
    let iommu = Features::ACCESS_PLATFORM;
    let none = Features::empty();
    let missing = |feature| Err(Error::FeatureMissing { feature });
    assert_eq!(
        required(iommu, none, none),
        missing("VIRTIO_F_ACCESS_PLATFORM")
    );
    assert!(required(iommu, none, iommu).unwrap().contains(iommu));
    // Refused by the caller, or of no use to this driver: it is not there either.
    let events = Features::EVENT_IDX;
    assert_eq!(
        required(events, events, none),
        missing("VIRTIO_F_EVENT_IDX")
    );
    let packed = Features::RING_PACKED;
    assert_eq!(
        required(packed, packed, packed),
        missing("VIRTIO_F_RING_PACKED")
    );
    assert!(required(packed, none, packed).unwrap().contains(packed));
    // VIRTIO_F_ADMIN_VQ.
    let unknown = Features::from_bits_retain(1 << 41);
    assert_eq!(
        required(unknown, none, unknown),
        missing("a feature without a name here")
    );
}

/// The driver's barriers are always what a device of hardware needs. So the driver agrees to the
/// feature, whatever the caller refuses: such a device need not work without it.
#[test]
fn order_of_the_platform_is_agreed_to() {
    let order = Features::ORDER_PLATFORM;
    let offered = |features| Setup {
        features: Setup::default().features | features,
        ..Setup::default()
    };
    let options = || Options {
        refuse: order,
        ..Rig::options()
    };
    let rig = Rig::new(offered(order), options()).unwrap();
    assert!(rig.device.features().contains(order));
    drop(rig);
    let rig = Rig::new(offered(Features::empty()), options()).unwrap();
    assert!(!rig.device.features().contains(order));
}

#[test]
fn features_that_read_back_refused_end_the_set_up() {
    let setup = Setup {
        accepts_features: false,
        ..Setup::default()
    };
    assert!(matches!(refused(setup), Error::FeaturesRefused { .. }));
}

#[test]
fn hardware_that_is_not_ready_ends_the_set_up() {
    let setup = Setup {
        ready: false,
        ..Setup::default()
    };
    assert_eq!(refused(setup), Error::HardwareNotReady);
}

#[test]
fn configuration_that_never_rests_ends_the_set_up() {
    let setup = Setup {
        stable_config: false,
        ..Setup::default()
    };
    assert_eq!(refused(setup), Error::ConfigUnstable);
}

#[test]
fn reset_that_never_ends_is_given_up() {
    let setup = Setup {
        resets: false,
        ..Setup::default()
    };
    let options = Options {
        reset_limit_ns: 10_000_000,
        ..Rig::options()
    };
    let Err(error) = Rig::new(setup, options) else {
        panic!("the device was taken")
    };
    assert!(matches!(error, Error::ResetTimeout { waited_ns } if waited_ns >= 10_000_000));
}

#[test]
fn missing_queues_are_named() {
    for (queue_sizes, queue) in [([0, 64], 0), ([64, 0], 1)] {
        let setup = Setup {
            queue_sizes,
            ..Setup::default()
        };
        assert_eq!(
            refused(setup),
            Error::QueueMissing {
                queue: QueueIndex(queue)
            }
        );
    }
}

#[test]
fn queues_below_four_entries_are_refused_with_both_sizes() {
    for entries in 1..4 {
        for features in [
            Features::VERSION_1,
            Features::VERSION_1 | Features::INDIRECT_DESC,
        ] {
            let setup = Setup {
                queue_sizes: [64, entries],
                features,
                ..Setup::default()
            };
            let queue = QueueIndex(1);
            assert_eq!(
                refused(setup),
                Error::QueueTooSmall {
                    queue,
                    entries,
                    needed: 4
                }
            );
        }
    }
}

#[test]
fn set_ups_that_fail_leave_no_memory_behind() {
    let rig = Rig::simple();
    let alone = rig.alone.clone();
    drop(rig);
    assert_eq!(live_pages(), 0);
    drop(alone);
    for setup in [
        Setup {
            ready: false,
            ..Setup::default()
        },
        Setup {
            queue_sizes: [64, 1],
            ..Setup::default()
        },
    ] {
        refused(setup);
    }
    let rig = Rig::simple();
    let alone = rig.alone.clone();
    drop(rig);
    assert_eq!(live_pages(), 0);
    drop(alone);
}

#[test]
fn small_queues_and_every_mix_of_features_work() {
    let mixes = [
        Features::empty(),
        Features::INDIRECT_DESC,
        Features::EVENT_IDX,
        Features::INDIRECT_DESC | Features::EVENT_IDX,
        Features::all(),
    ];
    for entries in [4, 5, 7, 8, 64, 256] {
        for mix in mixes {
            let features = mix | Features::VERSION_1;
            let setup = Setup {
                queue_sizes: [entries; 2],
                features,
                ..Setup::default()
            };
            let rig = Rig::new(setup, Rig::options()).unwrap().go();
            run(async {
                let session = rig.open().await.unwrap();
                for len in [16, 512, 528, 4096] {
                    let mut data = vec![9; len];
                    session.process_slice(&IV, &mut data).await.unwrap();
                    assert_eq!(
                        data,
                        oracle(&KEY, &IV, &vec![9; len]),
                        "{entries} {features:?}"
                    );
                }
                session.close().await.unwrap();
            });
        }
    }
}

#[test]
fn refused_vectors_lead_down_the_ladder() {
    let ladder = [
        (3, vec![], InterruptMode::PerQueue),
        (3, vec![2], InterruptMode::SharedQueues),
        (3, vec![1], InterruptMode::Shared),
        (3, vec![0], InterruptMode::Polling),
        (2, vec![], InterruptMode::SharedQueues),
        (1, vec![], InterruptMode::Shared),
        (0, vec![], InterruptMode::Polling),
    ];
    for (msix_entries, refused_vectors, mode) in ladder {
        let setup = Setup {
            msix_entries,
            refused_vectors,
            ..Setup::default()
        };
        let rig = Rig::new(setup.clone(), Rig::options()).unwrap().go();
        assert_eq!(rig.device.interrupt_mode(), mode, "{setup:?}");
        encrypts(&rig);
        drop(rig);

        let options = Options {
            intx: true,
            ..Rig::options()
        };
        let rig = Rig::new(setup, options).unwrap().go();
        let expected = if mode == InterruptMode::Polling {
            InterruptMode::Intx
        } else {
            mode
        };
        assert_eq!(rig.device.interrupt_mode(), expected);
        encrypts(&rig);
    }
}

fn encrypts(rig: &Rig) {
    run(async {
        let session = rig.open().await.unwrap();
        let mut data = [1; 48];
        session.process_slice(&IV, &mut data).await.unwrap();
        assert_eq!(data[..], oracle(&KEY, &IV, &[1; 48]));
    });
}

#[test]
fn refused_features_are_not_agreed_on() {
    let refuse = Features::all();
    let rig = Rig::new(
        Setup::default(),
        Options {
            refuse,
            ..Rig::options()
        },
    )
    .unwrap();
    assert_eq!(rig.device.features(), Features::VERSION_1);
}

#[test]
fn device_that_names_no_most_size_has_none() {
    for (said, of_the_driver, expected) in [
        (0, u64::MAX, u64::MAX),
        (0, 5000, 5000),
        (1 << 20, u64::MAX, 1 << 20),
        (4000, 5000, 4000),
    ] {
        let setup = Setup {
            max_size_bytes: said,
            ..Setup::default()
        };
        let options = Options {
            max_size_bytes: of_the_driver,
            ..Rig::options()
        };
        let rig = Rig::new(setup, options).unwrap().go();
        assert_eq!(rig.device.capabilities().max_size_bytes, expected);
        let (algorithm, direction) = (CipherAlgorithm::AesCbc, Direction::Encrypt);
        let open = Cipher::open(&rig.device, algorithm, direction, &KEY);
        let session = run(open).unwrap();
        let mut data = [0; 1600];
        run(session.process_slice(&IV, &mut data)).unwrap();
        assert_eq!(data[..], oracle(&KEY, &IV, &[0; 1600]));
    }
}
