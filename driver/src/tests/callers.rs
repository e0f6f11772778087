//! Code of callers that the driver calls: it may answer something else each time, panic, and call
//! the driver again.

use alloc::{boxed::Box, vec, vec::Vec};
use core::{cell::Cell, task::Poll};
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::{
    Cipher, CipherAlgorithm, Direction, DmaBuffer, Error, Features, Requirement,
    fake::{
        FakePlatform, IV, KEY, Rig, Setup, is_in_freed_memory, is_in_memory, live_pages, oracle,
        poll_once,
    },
};

/// An IV that asks a function for its bytes, each time.
struct Asked<F: Fn() -> &'static [u8]>(F);

impl<F: Fn() -> &'static [u8]> AsRef<[u8]> for Asked<F> {
    fn as_ref(&self) -> &[u8] {
        (self.0)()
    }
}

fn buffer() -> DmaBuffer<FakePlatform> {
    DmaBuffer::from_slice(&[3; 32]).unwrap()
}

/// Sessions and their rig: one that the device keeps, one that brings its key.
fn both_modes() -> (Rig, [Cipher<FakePlatform>; 2]) {
    let setup = Setup {
        features: Setup::default().features
            | Features::REVISION_1
            | Features::CIPHER_STATELESS_MODE,
        ..Setup::default()
    };
    let rig = Rig::new(setup, Rig::options()).unwrap();
    let (algorithm, direction) = (CipherAlgorithm::AesCbc, Direction::Encrypt);
    let stateless = Cipher::stateless(&rig.device, algorithm, direction, &KEY).unwrap();
    let session = rig.session(direction);
    (rig, [session, stateless])
}

#[test]
fn iv_is_asked_once_and_kept() {
    static BYTES: [u8; 4096] = [0x17; 4096];
    let (rig, ciphers) = both_modes();
    for cipher in &ciphers {
        for first in [0, 15, 16, 17, 4096] {
            for later in [0, 3, 16, 17, 3000] {
                let asked = Cell::new(0);
                let iv = Asked(|| {
                    let len = if asked.replace(asked.get() + 1) == 0 {
                        first
                    } else {
                        later
                    };
                    &BYTES[..len]
                });
                let sent = rig.device.data_stats().submitted;
                let mut batch = Box::pin(cipher.process_batch(vec![(iv, buffer())]));
                let ready = poll_once(batch.as_mut());
                let sent = rig.device.data_stats().submitted - sent;
                rig.fake.serve(0, 1);
                let Poll::Ready(Ok(mut results)) = (match ready {
                    Poll::Pending => poll_once(batch.as_mut()),
                    ready => ready,
                }) else {
                    panic!("answered");
                };
                drop(batch);
                assert_eq!(asked.get(), 1, "asked again");
                let result = results.remove(0);
                if first == 16 {
                    assert_eq!(result.unwrap()[..], oracle(&KEY, &IV, &[3; 32]));
                    continue;
                }
                assert_eq!(sent, 0, "an IV of {first} bytes");
                let failed = result.unwrap_err();
                let requirement = Requirement::Exactly { len_bytes: 16 };
                let expected = Error::InvalidLength {
                    field: "IV",
                    len_bytes: first,
                    requirement,
                };
                assert_eq!(failed.error, expected);
                assert_eq!(failed.returned.unwrap()[..], [3; 32]);
            }
        }
    }
}

#[test]
fn iv_that_panics_leaves_nothing_behind() {
    let (rig, ciphers) = both_modes();
    let slots = || rig.device.epoch().data[0].free_slots();
    let before = (slots(), live_pages());
    for cipher in &ciphers {
        for panics_at in 0..3 {
            let asked = Cell::new(0);
            let iv = || {
                Asked(|| {
                    assert!(asked.replace(asked.get() + 1) < panics_at, "as it pleases");
                    &IV
                })
            };
            let requests: Vec<_> = (0..3).map(|_| (iv(), buffer())).collect();
            let mut batch = Box::pin(cipher.process_batch(requests));
            let polled = catch_unwind(AssertUnwindSafe(|| poll_once(batch.as_mut()).is_ready()));
            assert!(polled.is_err());
            drop(batch);
            assert_eq!((slots(), live_pages()), before);
            assert_eq!(rig.device.data_stats().in_flight, 0);
        }
        let mut next = Box::pin(cipher.process(&IV, buffer()));
        assert!(poll_once(next.as_mut()).is_pending());
        rig.fake.serve(0, 1);
        assert!(matches!(poll_once(next.as_mut()), Poll::Ready(Ok(_))));
    }
}

#[test]
fn iv_may_call_the_driver() {
    let (rig, ciphers) = both_modes();
    for cipher in &ciphers {
        let call = || {
            let mut request = Box::pin(cipher.process_batch(vec![(IV, buffer())]));
            assert!(poll_once(request.as_mut()).is_pending());
            rig.device.share_kicks(|| rig.device.drain());
            rig.fake.serve(0, usize::MAX);
            rig.device.poll();
            assert!(poll_once(request.as_mut()).is_ready());
            drop(rig.begin_open());
            &IV[..]
        };
        let requests = vec![(Asked(call), buffer()), (Asked(call), buffer())];
        let mut batch = Box::pin(rig.device.batch(cipher.process_batch(requests)));
        assert!(poll_once(batch.as_mut()).is_pending());
        rig.fake.serve(0, usize::MAX);
        let Poll::Ready(Ok(results)) = poll_once(batch.as_mut()) else {
            panic!("answered");
        };
        for result in results {
            assert_eq!(result.unwrap()[..], oracle(&KEY, &IV, &[3; 32]));
        }
    }
}

/// Whatever ends the filling of a slot, a panic included.
#[test]
fn slot_that_is_not_sent_is_wiped() {
    const SECRET: &[u8; 20] = b"written and not sent";
    let rig = Rig::simple();
    let queue = &rig.device.epoch().data[0];
    let free = queue.free_slots();
    for at in [0, 700, 1600] {
        let reserved = queue.reserve_fast().unwrap();
        reserved.write_inline(at, SECRET);
        assert!(is_in_memory(SECRET), "the test looks in the wrong place");
        drop(reserved);
        assert!(!is_in_freed_memory(SECRET));
        assert_eq!(queue.free_slots(), free);
    }
}
