//! Devices that have more data queues than they serve.

use alloc::{boxed::Box, vec, vec::Vec};
use std::time::{Duration, Instant};

use crate::{
    Cipher, CipherAlgorithm, Direction, Error, ForcedReset, Interrupt, InterruptMode, Options,
    Refusal, Services,
    fake::{Fault, IV, KEY, Rig, Setup, as_cpu, live_pages, message, oracle, run, trusted},
    transport::MsixEntry,
};

const LIMIT_NS: u64 = 100_000_000;

/// A device of three data queues, which serves by itself.
fn setup() -> Setup {
    Setup {
        data_queues: 3,
        msix_entries: 5,
        eager: true,
        ..Setup::default()
    }
}

fn options() -> Options {
    Options {
        messages: vec![message(1, 2); 5],
        trial_limit_ns: LIMIT_NS,
        // What is in flight at the end does not use the machine's memory up.
        forced_reset: ForcedReset::Reclaim(trusted()),
        data_slots: 8,
        ..Rig::options()
    }
}

/// Encrypts from CPUs that would have queues of their own.
fn encrypt_everywhere(rig: &Rig) -> Vec<Result<(), Error>> {
    let open = Cipher::open(
        &rig.device,
        CipherAlgorithm::AesCbc,
        Direction::Encrypt,
        &KEY,
    );
    let session = run(open).unwrap();
    let encrypt = |cpu| {
        let mut data = [0; 32];
        let mut request = Box::pin(session.process_slice(&IV, &mut data));
        let outcome = as_cpu(cpu, || run(request.as_mut()));
        drop(request);
        outcome.map(|()| assert_eq!(data[..], oracle(&KEY, &IV, &[0; 32])))
    };
    let outcomes = (0..6).map(encrypt).collect();
    run(session.close()).unwrap();
    outcomes
}

#[test]
fn queue_that_refuses_gets_no_requests() {
    for (refusing, served) in [
        (vec![1, 2], vec![0, 3]),
        (vec![0], vec![1, 2, 3]),
        (vec![0, 2], vec![1, 3]),
        (vec![], vec![0, 1, 2, 3]),
    ] {
        let left_out = refusing.len();
        let setup = Setup {
            refusing: refusing.clone(),
            ..setup()
        };
        let rig = Rig::new(setup, options()).unwrap();
        assert_eq!(rig.fake.enabled(), served, "without {refusing:?}");
        assert_eq!(rig.device.data_queues(), 3 - left_out);
        assert_eq!(rig.device.data_queues_left_out(), left_out);
        assert_eq!(rig.fake.sessions(), 0, "the trial's own stayed");
        assert_eq!(rig.device.interrupt_mode(), InterruptMode::PerQueue);
        assert!(encrypt_everywhere(&rig).iter().all(Result::is_ok));
        assert_eq!(rig.device.interrupt_stats().unhandled, 0);
        assert!(rig.settle());
        assert_eq!(rig.device.shutdown(0).unwrap().in_flight, 0);
    }
}

#[test]
fn silent_queue_gets_no_requests_and_holds_nobody_up() {
    for (forced_reset, kept) in [
        (ForcedReset::Reclaim(trusted()), false),
        (ForcedReset::Quarantine, true),
    ] {
        let setup = Setup {
            silent: vec![1],
            ..setup()
        };
        let options = Options {
            forced_reset,
            ..options()
        };
        let start = Instant::now();
        let rig = Rig::new(setup, options).unwrap();
        assert!(start.elapsed() >= Duration::from_nanos(LIMIT_NS));
        assert_eq!(rig.fake.enabled(), [0, 2, 3]);
        assert_eq!(rig.device.data_queues_left_out(), 1);
        // What might still meet the silent request is not ended, and nobody else gets its id.
        assert_eq!(rig.fake.sessions(), 1);
        assert_eq!(rig.device.sessions_left_behind(), 1);
        // The ring and the slots of the silent queue alone.
        let given_up_bytes = if kept { 4096 + 8 * 2048 } else { 0 };
        assert_eq!(rig.device.given_up_bytes(), given_up_bytes);
        assert!(encrypt_everywhere(&rig).iter().all(Result::is_ok));
        assert!(rig.settle());
        assert_eq!(rig.device.shutdown(0).unwrap().in_flight, 0);
        let _alone = rig.alone.clone();
        drop(rig);
        assert_eq!(
            live_pages() > 0,
            kept,
            "{forced_reset:?}: {} pages",
            live_pages()
        );
    }
}

#[test]
fn where_nothing_can_be_told_all_queues_are_trusted() {
    let nobody = |silent: Vec<usize>, refusing: Vec<usize>| Setup {
        silent,
        refusing,
        ..setup()
    };
    let unadvertised = Setup {
        cipher_algorithms: 0,
        refusing: vec![1],
        ..setup()
    };
    let silent_control = Setup {
        eager: false,
        ..setup()
    };
    // So that no other test is waited for where the time counts.
    let alone = Rig::simple();
    for setup in [
        nobody(vec![0, 1, 2], vec![]),
        nobody(vec![], vec![0, 1, 2]),
        // The control queue.
        nobody(vec![3], vec![]),
        unadvertised,
        silent_control,
    ] {
        let start = Instant::now();
        let rig = alone.beside(setup.clone(), options()).unwrap();
        assert!(start.elapsed() < Duration::from_secs(5));
        assert_eq!(rig.fake.enabled(), [0, 1, 2, 3], "{setup:?}");
        assert_eq!(rig.device.data_queues_left_out(), 0);
        assert_eq!(rig.device.ended(), None);
    }
}

#[test]
fn trial_that_is_switched_off_asks_nothing() {
    for (data_queues, trial_limit_ns) in [(3, 0), (1, LIMIT_NS)] {
        let setup = Setup {
            data_queues,
            refusing: vec![1],
            ..setup()
        };
        let options = Options {
            trial_limit_ns,
            ..options()
        };
        let rig = Rig::new(setup, options).unwrap();
        assert_eq!(rig.fake.log(), []);
        assert_eq!(rig.fake.kicks(), 0);
        assert_eq!(rig.device.data_queues(), data_queues as usize);
    }
}

#[test]
fn device_that_breaks_at_the_trial_is_set_up_without() {
    let setup = Setup {
        fault: Some(Fault::Id(77)),
        refusing: vec![1],
        ..setup()
    };
    let rig = Rig::new(setup, options()).unwrap();
    assert_eq!(rig.device.ended(), None);
    assert_eq!(rig.fake.enabled(), [0, 1, 2, 3]);
}

#[test]
fn recovery_keeps_what_the_trial_found() {
    let setup = Setup {
        refusing: vec![0, 2],
        ..setup()
    };
    let rig = Rig::new(setup, options()).unwrap();
    let asked = rig.fake.log().len();
    rig.device.recover(1_000_000_000).unwrap();
    assert_eq!(rig.fake.log().len(), asked, "it was tried again");
    assert_eq!(rig.fake.enabled(), [1, 3]);
    assert_eq!(rig.device.data_queues_left_out(), 2);
    assert!(encrypt_everywhere(&rig).iter().all(Result::is_ok));
}

#[test]
fn proof_tells_which_queues_serve() {
    let setup = Setup {
        refusing: vec![1],
        ..setup()
    };
    let options = Options {
        trial_limit_ns: 0,
        ..options()
    };
    let rig = Rig::new(setup, options).unwrap();
    let refused = Err(Error::Refused(Refusal::NotSupported));
    assert_eq!(encrypt_everywhere(&rig)[1], refused, "untried, it is used");
    // Wherever the proof itself runs.
    for cpu in 0..3 {
        let proved = as_cpu(cpu, || run(rig.device.prove())).unwrap();
        assert_eq!(proved.data_queues, 0b101);
        assert_eq!(rig.fake.sessions(), 0);
        let is_any = proved.algorithms.services().contains(Services::CIPHER);
        assert_eq!(is_any, cpu != 1);
    }
}

/// The trial's own requests leave no slot behind.
#[test]
fn whole_queue_is_there_after_the_trial() {
    let rig = Rig::new(setup(), options()).unwrap();
    let epoch = rig.device.epoch();
    for queue in epoch.queues() {
        assert_eq!(queue.stats().in_flight, 0);
    }
    assert_eq!(epoch.data[0].free_slots(), 8);
    assert_eq!(rig.device.sessions_taken(), 0);
}

#[test]
fn messages_of_the_trial_are_owed_after_it() {
    for refusing in [vec![], vec![1], vec![0, 2]] {
        let setup = Setup {
            refusing: refusing.clone(),
            ..setup()
        };
        let rig = Rig::new(setup, options()).unwrap();
        // Each of its queues had sent one, as far as the driver can tell; they come now.
        let interrupt = |entry| rig.device.handle_interrupt(MsixEntry(entry));
        for entry in 1..=4 {
            let came = interrupt(entry);
            assert_ne!(came, Interrupt::Unhandled, "{entry} without {refusing:?}");
        }
        assert!(rig.settle());
        for entry in 1..=5 {
            assert_eq!(
                interrupt(entry),
                Interrupt::Unhandled,
                "{entry} without {refusing:?}"
            );
        }
    }
}

#[test]
fn hardware_that_goes_during_the_trial_costs_no_queue() {
    // At the *create*, at each of the data queues, at the *destroy*.
    for requests in 0..5 {
        let setup = Setup {
            away_after: Some(requests),
            ..setup()
        };
        let rig = Rig::new(setup, options()).unwrap();
        assert_eq!(rig.fake.enabled(), [0, 1, 2, 3], "after {requests}");
        assert_eq!(rig.device.data_queues_left_out(), 0);
        assert_eq!(rig.device.check(), Err(Error::HardwareNotReady));
        rig.fake.set_ready(true);
        rig.fake.be_eager();
        assert_eq!(rig.device.check(), Ok(()));
        assert!(encrypt_everywhere(&rig).iter().all(Result::is_ok));
        rig.serve_all();
        assert_eq!(rig.fake.sessions(), 0, "after {requests}");
    }
}
