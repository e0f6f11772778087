//! The line of those who wait for a slot, and what they are owed whatever the others in it do.

use alloc::{boxed::Box, sync::Arc, vec::Vec};
use core::task::{Context, Waker};

use crate::{
    Direction, DmaBuffer, Options,
    fake::{IV, Rig, Setup, Wakes, poll_once},
};

/// How a caller in the line never comes for its slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Idle {
    Forgotten,
    NotPolled,
}

#[test]
fn caller_that_never_comes_costs_the_others_one_slot_at_most() {
    for idle in [Idle::Forgotten, Idle::NotPolled] {
        for slots in 2..5 {
            for idlers in 1..slots {
                for cancelled in 0..1 << slots {
                    check_line(idle, slots, idlers, cancelled);
                }
            }
        }
    }
}

/// Fills all slots, puts callers in the line of which the first `idlers` never come, and lets all slots
/// come back, those in the mask `cancelled` after a cancellation: each of the others gets one.
fn check_line(idle: Idle, slots: u16, idlers: u16, cancelled: u32) {
    let case = (idle, slots, idlers, cancelled);
    let options = Options {
        data_slots: slots,
        // What is forgotten keeps its rig's memory.
        control_slots: 2,
        ..Rig::options()
    };
    let rig = Rig::new(Setup::default(), options).unwrap();
    let session = rig.session(Direction::Encrypt);
    let request = || {
        let mut request = Box::pin(session.process(&IV, DmaBuffer::new(16).unwrap()));
        assert!(poll_once(request.as_mut()).is_pending());
        request
    };
    let in_flight: Vec<_> = (0..slots).map(|_| request()).collect();
    let mut kept = Vec::new();
    for _ in 0..idlers {
        match idle {
            Idle::Forgotten => core::mem::forget(request()),
            Idle::NotPolled => kept.push(request()),
        }
    }
    let woken = Arc::new(Wakes::default());
    let waker = Waker::from(woken.clone());
    let mut callers: Vec<_> = (idlers..slots).map(|_| request()).collect();
    for caller in &mut callers {
        let mut context = Context::from_waker(&waker);
        assert!(caller.as_mut().poll(&mut context).is_pending());
    }

    let mut finishing = Vec::new();
    for (position, request) in in_flight.into_iter().enumerate() {
        match cancelled >> position & 1 {
            0 => finishing.push(request),
            _ => drop(request),
        }
    }
    assert_eq!(rig.fake.serve(0, usize::MAX), usize::from(slots));
    for request in &mut finishing {
        assert!(poll_once(request.as_mut()).is_ready());
    }
    assert_eq!(woken.count(), callers.len(), "{case:?}");
    for caller in &mut callers {
        assert!(poll_once(caller.as_mut()).is_pending());
    }
    assert_eq!(rig.fake.serve(0, usize::MAX), callers.len(), "{case:?}");
    for caller in &mut callers {
        assert!(poll_once(caller.as_mut()).is_ready(), "{case:?}");
    }
    drop(kept);
}
