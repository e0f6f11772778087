//! A device that is taken out: its registers read all ones, and nothing comes from it any more.

use alloc::{boxed::Box, vec};
use core::{pin::Pin, task::Poll};

use crate::{
    Breakage, Cipher, CipherAlgorithm, Direction, DmaBuffer, Error, ForcedReset, Interrupt,
    Options,
    fake::{FakePlatform, IV, KEY, Rig, Setup, live_pages, poll_once, run},
    transport::MsixEntry,
};

const GONE: Error = Error::Broken(Breakage::Gone);

/// However long a reset may take, a device that is gone is not waited for.
fn patient() -> Options {
    Options {
        reset_limit_ns: u64::MAX,
        forced_reset: ForcedReset::Reclaim,
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
    let setup = Setup {
        vanishes_when_enabled: true,
        ..Setup::default()
    };
    for messages in [vec![], Rig::options().messages] {
        let options = Options {
            messages,
            ..patient()
        };
        assert_eq!(Rig::new(setup.clone(), options).err(), Some(GONE));
    }
}
