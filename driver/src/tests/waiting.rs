//! The line of those who wait for a slot, and what they are owed whatever the others in it do.

use alloc::{boxed::Box, sync::Arc, task::Wake, vec::Vec};
use core::{
    pin::Pin,
    sync::atomic::{AtomicUsize, Ordering},
    task::{Context, Waker},
};
use std::sync::Mutex;

use crate::{
    Direction, DmaBuffer, Error, Options,
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

/// Fills all slots and puts callers in the line, of which the first `idlers` never come. Then lets
/// all slots come back, those in the mask `cancelled` after a cancellation. Each other caller gets
/// one.
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

/// A task that is polled by its own waker, at once.
struct AtOnce {
    future: Mutex<Option<Pin<Box<dyn Future<Output = ()> + Send>>>>,
    wakes: AtomicUsize,
}

impl AtOnce {
    fn start(future: impl Future<Output = ()> + Send + 'static) -> Arc<Self> {
        let task = Arc::new(Self {
            future: Mutex::new(Some(Box::pin(future))),
            wakes: AtomicUsize::new(0),
        });
        task.clone().wake();
        task
    }

    fn is_done(&self) -> bool {
        self.future.lock().unwrap().is_none()
    }
}

impl Wake for AtOnce {
    fn wake(self: Arc<Self>) {
        let wakes = self.wakes.fetch_add(1, Ordering::Relaxed);
        assert!(wakes < 100, "it is woken again and again");
        // Woken while it is polled it is busy.
        let Ok(mut future) = self.future.try_lock() else {
            return;
        };
        let waker = Waker::from(self.clone());
        let mut context = Context::from_waker(&waker);
        if let Some(polled) = &mut *future
            && polled.as_mut().poll(&mut context).is_ready()
        {
            *future = None;
        }
    }
}

#[test]
fn wakers_that_poll_at_once_do_not_keep_a_shutdown_from_its_end() {
    for (slots, requests) in [(64, 1), (64, 31), (64, 32), (64, 64), (32, 100), (1, 70)] {
        let options = Options {
            data_slots: slots,
            ..Rig::options()
        };
        let rig = Rig::new(Setup::default(), options).unwrap();
        let session = Arc::new(rig.session(Direction::Encrypt));
        let request = |_| {
            let session = session.clone();
            AtOnce::start(async move {
                let failed = session.process(&IV, DmaBuffer::new(16).unwrap()).await;
                assert_eq!(failed.unwrap_err().error, Error::ShutDown);
            })
        };
        let tasks: Vec<_> = (0..requests).map(request).collect();
        let in_flight = requests.min(u32::from(slots));
        let drained = rig.device.shutdown(1_000_000).unwrap();
        assert_eq!(drained.in_flight, in_flight);
        for task in tasks {
            assert!(task.is_done());
            // Once to begin, once for the end.
            assert_eq!(task.wakes.load(Ordering::Relaxed), 2);
        }
    }
}
