//! A device that is taken out: its registers read ones or zeros, and it sends nothing any more.

use alloc::{boxed::Box, sync::Arc, vec::Vec};
use core::{pin::Pin, task::Poll};
use std::sync::Mutex;

use crate::{
    Cipher, CipherAlgorithm, DeviceFault, Direction, DmaBuffer, Error, ForcedReset, Interrupt,
    Options,
    fake::{FakePlatform, Gone, IV, KEY, Rig, Setup, live_pages, poll_once, run, trusted},
    transport::MsixEntry,
};

const GONE: Error = Error::Broken(DeviceFault::Gone);

/// However long a reset may take, a device that is gone is not waited for.
fn patient() -> Options {
    Options {
        reset_limit_ns: u64::MAX,
        forced_reset: ForcedReset::Reclaim(trusted()),
        ..Rig::options()
    }
}

fn send<'s>(session: &'s Cipher<FakePlatform>) -> Pin<Box<impl Future<Output = Error> + 's>> {
    let mut request = Box::pin(async {
        let buffer = DmaBuffer::new(32).unwrap();
        session.process(&IV, buffer).await.unwrap_err().error
    });
    assert!(poll_once(request.as_mut()).is_pending());
    request
}

#[test]
fn removal_ends_every_wait_once_somebody_looks() {
    let looks: [fn(&Rig); 2] = [
        |rig| rig.device.poll(),
        |rig| {
            let config = |rig: &Rig| rig.device.handle_interrupt(MsixEntry(0));
            assert_eq!(config(rig), Interrupt::Handled);
            assert_eq!(config(rig), Interrupt::Unhandled);
        },
    ];
    for look in looks {
        let rig = Rig::new(Setup::default(), patient()).unwrap();
        let session = rig.session(Direction::Encrypt);
        let mut request = send(&session);
        rig.fake.vanish();
        assert!(poll_once(request.as_mut()).is_pending());
        look(&rig);
        assert_eq!(poll_once(request.as_mut()), Poll::Ready(GONE));
        assert_eq!(rig.device.ended(), Some(GONE));
        let opened = Cipher::open(
            &rig.device,
            CipherAlgorithm::AesCbc,
            Direction::Encrypt,
            &KEY,
        );
        assert_eq!(run(opened).err(), Some(GONE));
    }
}

#[test]
fn removed_device_does_not_claim_the_pin_that_others_share() {
    let setup = Setup {
        msix_entries: 0,
        ..Setup::default()
    };
    let options = Options {
        intx: true,
        ..patient()
    };
    let rig = Rig::new(setup, options).unwrap();
    let session = rig.session(Direction::Encrypt);
    let mut request = send(&session);
    rig.fake.vanish();
    assert_eq!(rig.device.handle_intx(), Interrupt::Handled);
    assert_eq!(rig.device.handle_intx(), Interrupt::Unhandled);
    assert_eq!(poll_once(request.as_mut()), Poll::Ready(GONE));
}

#[test]
fn interrupt_of_another_device_on_the_pin_is_not_counted() {
    let setup = Setup {
        msix_entries: 0,
        ..Setup::default()
    };
    let options = Options {
        intx: true,
        ..patient()
    };
    let rig = Rig::new(setup, options).unwrap();
    rig.fake.hold_interrupts(true);
    let before = rig.device.interrupt_stats();
    assert_eq!(rig.device.handle_intx(), Interrupt::Unhandled);
    assert_eq!(rig.device.interrupt_stats(), before);
}

#[test]
fn who_polls_finds_out_about_a_removal() {
    let rig = Rig::polled();
    let session = rig.session(Direction::Encrypt);
    let request = send(&session);
    rig.fake.vanish();
    assert_eq!(run(request), GONE);
}

#[test]
fn reset_of_a_removed_device_ends_at_once_and_frees_nothing() {
    for recover in [false, true] {
        let rig = Rig::new(Setup::default(), patient()).unwrap();
        let alone = rig.alone.clone();
        let session = rig.session(Direction::Encrypt);
        let mut request = send(&session);
        rig.fake.vanish();
        let limit_ns = 1_000_000;
        let outcome = match recover {
            true => rig.device.recover(limit_ns),
            false => rig.device.shutdown(limit_ns),
        };
        assert_eq!(outcome, Err(GONE));
        assert!(poll_once(request.as_mut()).is_ready());
        drop(request);
        drop(session);
        drop(rig);
        // Whatever is on its way from the device may still arrive.
        assert!(live_pages() > 0);
        drop(alone);
    }
}

#[test]
fn removed_device_is_not_set_up() {
    let rig = Rig::simple();
    rig.fake.vanish();
    assert_eq!(rig.device.recover(0), Err(GONE));
    assert_eq!(rig.device.ended(), Some(Error::ShutDown));
}

#[test]
fn removal_during_the_set_up_is_noticed() {
    for (messages, reads) in both(Vec::new, || Rig::options().messages) {
        let set_up = |accesses| {
            let setup = Setup {
                leaves_after: Some((accesses, reads)),
                ..Setup::default()
            };
            let options = Options {
                messages: messages.clone(),
                ..patient()
            };
            Rig::new(setup, options).err()
        };
        let failures = (0..).map(set_up).take_while(Option::is_some).count();
        assert!(failures > 15, "{failures} accesses");
        for accesses in 0..failures as u64 {
            assert_eq!(set_up(accesses), Some(GONE), "{reads:?} after {accesses}");
        }
    }
}

/// Each of two, and whatever a device that is gone reads.
fn both<T>(first: impl Fn() -> T, second: impl Fn() -> T) -> [(T, Gone); 4] {
    [
        (first(), Gone::Ones),
        (second(), Gone::Ones),
        (first(), Gone::Zeros),
        (second(), Gone::Zeros),
    ]
}

#[test]
fn removal_during_a_recovery_or_a_shutdown_is_noticed() {
    type End = fn(&Rig) -> Option<Error>;
    let recover: End = |rig| rig.device.recover(0).err();
    let shutdown: End = |rig| rig.device.shutdown(0).err();
    for (end, reads) in both(|| recover, || shutdown) {
        let end_after = |accesses| {
            let rig = Rig::new(Setup::default(), patient()).unwrap();
            rig.fake.leave_after(accesses, reads);
            end(&rig)
        };
        let mut accesses = 0;
        while let Some(error) = end_after(accesses) {
            assert_eq!(error, GONE, "{reads:?} after {accesses}");
            accesses += 1;
        }
        assert!(accesses > 2, "{accesses} accesses");
    }
}

#[test]
fn ejected_device_that_reads_zeros_is_gone_and_not_a_legacy_one() {
    let rig = Rig::simple();
    let session = rig.session(Direction::Encrypt);
    let mut request = send(&session);
    rig.fake.leave(Gone::Zeros);
    rig.device.poll();
    assert_eq!(rig.device.ended(), Some(GONE));
    assert_eq!(poll_once(request.as_mut()), Poll::Ready(GONE));
    assert_eq!(rig.device.recover(0), Err(GONE));
    assert_eq!(rig.device.shutdown(0), Err(GONE));
}

#[test]
fn device_that_nobody_has_looked_at_is_asked_for_before_it_is_reset() {
    for (end, reads) in both(|| false, || true) {
        let rig = Rig::simple();
        rig.fake.leave(reads);
        let [_, writes, kicks] = rig.fake.accesses();
        let outcome = match end {
            true => rig.device.recover(0),
            false => rig.device.shutdown(0),
        };
        assert_eq!(outcome, Err(GONE), "{reads:?}");
        assert_eq!(rig.fake.accesses()[1..], [writes, kicks], "{reads:?}");
    }
}

#[test]
fn device_known_to_be_gone_is_not_touched_again() {
    type Act = fn(&Rig);
    let acts: [(&str, Act); 9] = [
        ("shutdown", |rig| {
            let _ = rig.device.shutdown(1_000_000);
        }),
        ("poll", |rig| rig.device.poll()),
        ("interrupts", |rig| {
            for entry in 0..3 {
                rig.device.handle_interrupt(MsixEntry(entry));
            }
        }),
        ("intx", |rig| {
            assert_eq!(rig.device.handle_intx(), Interrupt::Unhandled);
            rig.device.clear_intx();
        }),
        ("vector", |rig| {
            let message = crate::fake::message(7, 8);
            let moved = rig.device.move_interrupt(MsixEntry(1), message);
            assert_eq!(moved, Err(GONE));
        }),
        ("settle", |rig| {
            rig.device.settle();
        }),
        ("open", |rig| {
            let opened = Cipher::open(
                &rig.device,
                CipherAlgorithm::AesCbc,
                Direction::Encrypt,
                &KEY,
            );
            assert!(run(opened).is_err());
        }),
        ("kicks", |rig| rig.device.share_kicks(|| ())),
        ("poller", |rig| drop(rig.device.poller())),
    ];
    for (polled, reads) in both(|| false, || true) {
        for (name, act) in acts {
            let rig = if polled { Rig::polled() } else { Rig::simple() };
            let session = rig.session(Direction::Encrypt);
            let request = send(&session);
            rig.fake.leave(reads);
            rig.device.poll();
            // Whatever is at its place by now is another driver's.
            rig.fake.come_back();
            let before = rig.fake.accesses();
            act(&rig);
            assert_eq!(rig.fake.accesses(), before, "{name}, {reads:?}");
            drop(request);
            drop(session);
            let fake = rig.fake.clone();
            drop(rig);
            assert_eq!(fake.accesses(), before, "{name} and drop, {reads:?}");
        }
    }
}

#[test]
fn recovery_of_a_gone_device_asks_and_does_not_write_until_it_is_back() {
    for reads in [Gone::Ones, Gone::Zeros] {
        let rig = Rig::simple();
        rig.fake.leave(reads);
        rig.device.poll();
        let [_, writes, kicks] = rig.fake.accesses();
        for _ in 0..2 {
            assert_eq!(rig.device.recover(0), Err(GONE));
        }
        assert_eq!(rig.fake.accesses()[1..], [writes, kicks], "{reads:?}");
        rig.fake.come_back();
        rig.device.recover(0).unwrap();
        assert_eq!(rig.device.ended(), None);
        rig.session(Direction::Encrypt);
    }
}

#[test]
fn nobody_touches_the_registers_before_the_device_is_found_again() {
    let rig = Rig::new(Setup::default(), patient()).unwrap();
    rig.fake.leave(Gone::Zeros);
    rig.device.poll();
    assert_eq!(rig.device.ended(), Some(GONE));
    // An interrupt of the line, on another CPU, while the bus is asked.
    let (device, fake) = (Arc::downgrade(&rig.device), Arc::downgrade(&rig.fake));
    let touched = Arc::new(Mutex::new(Vec::new()));
    let touches = touched.clone();
    rig.fake.set_meanwhile(move || {
        let (Some(device), Some(fake)) = (device.upgrade(), fake.upgrade()) else {
            return;
        };
        let before = fake.accesses();
        device.handle_intx();
        touches.lock().unwrap().push(fake.accesses() != before);
    });
    assert_eq!(rig.device.recover(0).err(), Some(GONE));
    assert_eq!(*touched.lock().unwrap(), [false]);
}
