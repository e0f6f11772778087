//! Throw-away.
use alloc::{boxed::Box, vec, vec::Vec};
use core::task::Poll;
use std::println;

use crate::{*, fake::*};

#[test]
fn attack_scribbled_rings() {
    let seed0: u64 = std::env::var("SEED").map_or(1, |s| s.parse().unwrap());
    let n: u64 = std::env::var("N").map_or(400, |s| s.parse().unwrap());
    let (mut broke, mut good, mut refused, mut recovered) = (0, 0, 0, 0);
    for seed in seed0..seed0 + n {
        let mut r = Random::new(seed);
        let mut features = Setup::default().features;
        if r.below(2) == 0 { features |= Features::IN_ORDER }
        if r.below(3) == 0 { features -= Features::INDIRECT_DESC }
        if r.below(3) == 0 { features -= Features::EVENT_IDX }
        let size = [8u16, 8, 16][r.below(3)];
        let setup = Setup { features, queue_sizes: [size, size], ..Setup::default() };
        let options = Options { given_up_limit_bytes: 1 << 40, ..Rig::options() };
        let rig = Rig::new(setup, options).unwrap();
        for _life in 0..3 {
            let session = rig.session(Direction::Encrypt);
            let mut flying: Vec<_> = vec![];
            for _ in 0..200 {
                match r.below(10) {
                    0..4 => {
                        let data = [r.below(256) as u8; 32];
                        let mut f = Box::pin(session.process(&IV, DmaBuffer::from_slice(&data).unwrap()));
                        match poll_once(f.as_mut()) {
                            Poll::Pending => flying.push((data, f)),
                            Poll::Ready(_) => {}
                        }
                    }
                    4..6 => { rig.fake.serve(0, 1 + r.below(3)); }
                    6 => { if !flying.is_empty() { let at = r.below(flying.len()); drop(flying.swap_remove(at)); } }
                    7 => rig.device.poll(),
                    8 => { if !flying.is_empty() {
                        let at = r.below(flying.len());
                        if let Poll::Ready(outcome) = poll_once(flying[at].1.as_mut()) {
                            let (data, _f) = flying.swap_remove(at);
                            match outcome {
                                Ok(buffer) => { assert_eq!(buffer[..], oracle(&KEY, &IV, &data), "seed {seed}"); good += 1 }
                                Err(_) => refused += 1,
                            }
                        }
                    } }
                    _ => { if r.below(2) == 0 { rig.fake.scribble(r.below(2), &mut r); if r.below(2) == 0 { rig.fake.interrupt(0); } } }
                }
                if rig.device.ended().is_some() { broke += 1; break }
            }
            for (_, mut f) in flying.drain(..) { let _ = poll_once(f.as_mut()); }
            drop(flying);
            drop(session);
            rig.fake.hold_interrupts(false);
            let outcome = rig.device.recover(1_000_000);
            assert!(outcome.is_ok(), "seed {seed}: {outcome:?}");
            recovered += 1;
        }
    }
    println!("broke {broke} good {good} refused {refused} recovered {recovered}");
}

#[test]
fn attack_long_run_wraps_positions() {
    // 2^16 descriptors and more, each kind
    for (refuse, in_order) in [(Features::empty(), false), (Features::INDIRECT_DESC, false), (Features::empty(), true), (Features::INDIRECT_DESC, true)] {
        let mut features = Setup::default().features;
        if in_order { features |= Features::IN_ORDER }
        let setup = Setup { features, queue_sizes: [32, 32], ..Setup::default() };
        let options = Options { refuse, ..Rig::options() };
        let rig = Rig::new(setup, options).unwrap();
        rig.fake.shuffle(if in_order { 0 } else { 7 });
        let session = rig.session(Direction::Encrypt);
        let mut r = Random::new(5);
        let mut sent = 0u32;
        while sent < 70_000 {
            let mut requests: Vec<_> = (0..1 + r.below(4)).map(|_| Box::pin(session.process(&IV, DmaBuffer::new(16).unwrap()))).collect();
            for q in &mut requests { assert!(poll_once(q.as_mut()).is_pending()); sent += 1; }
            rig.fake.serve(0, 64);
            for mut q in requests { assert!(matches!(poll_once(q.as_mut()), Poll::Ready(Ok(_))), "{sent} {refuse:?} {in_order}"); }
        }
        assert_eq!(rig.device.interrupt_stats().unhandled, 0);
        assert_eq!(rig.device.ended(), None);
    }
}
