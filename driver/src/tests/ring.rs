//! The ring against a device half by another hand (`virtio-queue`), across the index's wrap.

use alloc::{vec, vec::Vec};

use super::requests::join;
use crate::{
    Direction, Features, Options,
    fake::{IV, KEY, Rig, Setup, oracle, run},
    virtqueue::need_event,
};

#[test]
fn need_event_is_judged_modulo_two_to_the_sixteen() {
    // Every distance, from every place around the wrap, against the definition in 32 bits.
    for old in [0u16, 1, 7, 0x7fff, 0x8000, 0xfff0, 0xfffe, 0xffff] {
        for step in [1u16, 2, 15, 64, 256] {
            let new = old.wrapping_add(step);
            let near = -300i64..300;
            let far = (-70_000i64..70_000).step_by(997);
            for offset in near.chain(far) {
                let event = (i64::from(old) + offset) as u16;
                let passed = (0..step).any(|i| old.wrapping_add(i) == event);
                assert_eq!(need_event(event, new, old), passed, "{event} {new} {old}");
            }
        }
    }
}

#[test]
fn batches_cross_the_wrap_without_losing_a_kick() {
    for refuse in [
        Features::empty(),
        Features::EVENT_IDX,
        Features::INDIRECT_DESC,
    ] {
        let options = Options {
            refuse,
            ..Rig::options()
        };
        let setup = Setup {
            queue_sizes: [256, 64],
            ..Setup::default()
        };
        let rig = Rig::new(setup, options).unwrap().go();
        run(async {
            let session = crate::AesCbc::open(&rig.device, Direction::Encrypt, &KEY)
                .await
                .unwrap();
            let expected = oracle(&KEY, &IV, &[1; 16]);
            let mut sent = 0u32;
            let mut round = 0;
            while sent < 0x1_0000 + 200 {
                round += 1;
                let mut data = vec![[1u8; 16]; 1 + round % 61];
                sent += data.len() as u32;
                let requests: Vec<_> = data
                    .iter_mut()
                    .map(|data| session.process_slice(&IV, data))
                    .collect();
                rig.device.batch(join(requests)).await;
                assert!(data.iter().all(|data| data[..] == expected));
            }
        });
        let stats = rig.device.data_stats();
        assert_eq!(
            (stats.submitted, stats.published),
            (stats.completed, stats.completed)
        );
    }
}
