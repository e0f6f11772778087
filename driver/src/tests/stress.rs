//! Many threads as CPUs, one device: no kick and no wake is lost.

use alloc::vec;
use std::thread;

use crate::{
    Cipher, CipherAlgorithm, Direction, DmaBuffer, Features, Options,
    fake::{IV, KEY, Rig, Setup, oracle, run},
};

#[test]
fn submitters_on_many_cpus_are_all_answered() {
    for refuse in [Features::empty(), Features::EVENT_IDX] {
        for slots in [2, 64] {
            let options = Options {
                refuse,
                data_slots: slots,
                control_slots: 3,
                ..Rig::options()
            };
            let rig = Rig::new(Setup::default(), options).unwrap();
            rig.fake.shuffle(3);
            let rig = rig.go();
            thread::scope(|scope| {
                for cpu in 0..4u8 {
                    let rig = &rig;
                    scope.spawn(move || {
                        for round in 0..40u8 {
                            one_session(rig, cpu, round);
                        }
                    });
                }
            });
            assert_eq!(rig.device.interrupt_stats().unhandled, 0);
            rig.device.shutdown(5_000_000_000).unwrap();
            assert_eq!(rig.fake.sessions(), 0);
        }
    }
}

fn one_session(rig: &Rig, cpu: u8, round: u8) {
    run(async {
        let session = Cipher::open(
            &rig.device,
            CipherAlgorithm::AesCbc,
            Direction::Encrypt,
            &KEY,
        )
        .await
        .unwrap();
        for i in 0..10u8 {
            let plaintext = vec![cpu ^ round ^ i; 16 * (1 + usize::from(i))];
            let expected = oracle(&KEY, &IV, &plaintext);
            if i % 3 == 0 {
                let buffer = DmaBuffer::from_slice(&plaintext).unwrap();
                let buffer = session.process(&IV, buffer).await.unwrap();
                assert_eq!(buffer[..], expected);
            } else {
                let mut data = plaintext;
                session.process_slice(&IV, &mut data).await.unwrap();
                assert_eq!(data, expected);
            }
        }
        if round.is_multiple_of(2) {
            session.close().await.unwrap();
        }
    });
}

#[test]
fn requests_one_at_a_time_lose_no_kick() {
    // The device goes to sleep after every request, so every kick decision races with it.
    let rig = Rig::simple().go();
    run(async {
        let session = Cipher::open(
            &rig.device,
            CipherAlgorithm::AesCbc,
            Direction::Encrypt,
            &KEY,
        )
        .await
        .unwrap();
        let mut data = [0; 16];
        for _ in 0..20_000 {
            session.process_slice(&IV, &mut data).await.unwrap();
        }
    });
}
