//! What is left on the device, and of keys in memory, whatever callers do with their sessions.

use alloc::{boxed::Box, vec::Vec};
use core::{future::Future, pin::Pin, task::Poll};

use crate::{
    Cipher, CipherAlgorithm, Device, Direction, DmaBuffer, Error, Features, ForcedReset, Options,
    fake::{
        FakePlatform, FakeTransport, Fault, IV, Rig, Setup, is_in_freed_memory, is_in_memory,
        live_pages, poll_once, request, run, trusted,
    },
    queue::{Body, Inline},
    request::session::Session,
    wire::{CipherParameters, SessionParameters},
};

const LIMIT_NS: u64 = 1_000_000_000;

async fn open(device: &Device<FakePlatform>) -> Result<Cipher<FakePlatform>, Error> {
    let (algorithm, direction) = (CipherAlgorithm::AesCbc, Direction::Encrypt);
    Cipher::open(device, algorithm, direction, &[7; 16]).await
}

#[test]
fn nothing_survives_a_shutdown_on_the_device() {
    let rig = Rig::simple();
    let mut kept = Vec::new();
    for number in 0..60 {
        let session = rig.session(Direction::Encrypt);
        match number % 6 {
            0 => drop(session),
            1 => core::mem::forget(session),
            2 => kept.push(session),
            3 => {
                // A request that is answered and never taken.
                let session = Box::leak(Box::new(session));
                let mut request = Box::pin(session.process(&IV, DmaBuffer::new(32).unwrap()));
                assert!(poll_once(request.as_mut()).is_pending());
                rig.fake.serve(0, 1);
                core::mem::forget(request);
            }
            4 => {
                let mut close = Box::pin(session.close());
                assert!(poll_once(close.as_mut()).is_pending());
                core::mem::forget(close);
            }
            _ => {
                drop(session);
                let mut create = Box::pin(open(&rig.device));
                assert!(poll_once(create.as_mut()).is_pending());
                rig.fake.serve(1, usize::MAX);
                core::mem::forget(create);
            }
        }
    }
    let rig = rig.go();
    let drained = rig.device.shutdown(LIMIT_NS).unwrap();
    assert_eq!((drained.in_flight, rig.fake.sessions()), (0, 0));
    drop(kept);
    // A second life of the driver has the whole device.
    let transport = FakeTransport::new(Setup::default(), rig.fake.clone());
    let options = crate::Options {
        reset_limit_ns: LIMIT_NS,
        ..Default::default()
    };
    let second = Device::<FakePlatform>::new(transport, options).unwrap();
    run(async {
        let mut sessions = Vec::new();
        for _ in 0..256 {
            sessions.push(open(&second).await.unwrap());
        }
        let refused = open(&second).await.map(drop);
        assert_eq!(refused, Err(Error::TooManySessions { max: 256 }));
        assert_eq!(rig.fake.sessions(), 256);
    });
    second.shutdown(LIMIT_NS).unwrap();
    assert_eq!(rig.fake.sessions(), 0);
}

/// A key that has no room in a slot travels in a buffer, and goes the same ways.
#[test]
fn long_key_of_a_cancelled_create_is_wiped_and_its_session_destroyed() {
    let key: Vec<u8> = (0..3000u32).map(|i| (i * i / 7) as u8 ^ 0xa5).collect();
    let parameters = SessionParameters::Cipher(CipherParameters {
        algorithm: CipherAlgorithm::KasumiF8,
        direction: Direction::Encrypt,
        key_len_bytes: key.len() as u32,
    });
    let rig = Rig::simple();
    let pages = live_pages();
    let (first, second) = key.split_at(1111);
    let keys = [first, second];
    for answered in [false, true] {
        for polls in 0..3 {
            for refused in [false, true] {
                rig.fake.limit_sessions(if refused { 0 } else { 256 });
                let epoch = rig.device.epoch();
                let mut create = Box::pin(Session::create(epoch, &parameters, &keys));
                let mut ready = false;
                for poll in 0..polls {
                    if poll == 1 && answered {
                        rig.fake.serve(1, 1);
                    }
                    ready = poll_once(create.as_mut()).is_ready();
                    assert_eq!(
                        is_in_memory(&key),
                        !ready,
                        "the test looks in the wrong place"
                    );
                }
                assert_eq!(ready, answered && polls == 2);
                drop(create);
                rig.serve_all();
                let case = (answered, polls, refused);
                assert!(!is_in_memory(&key), "{case:?}");
                let taken = (rig.fake.sessions(), rig.device.sessions_taken());
                assert_eq!(taken, (0, 0), "{case:?}");
                assert_eq!(live_pages(), pages, "{case:?}");
            }
        }
    }
    assert!(!is_in_freed_memory(&key), "freed without wiping");
}

/// The slots are fresh: nothing that they had before tells how much is to be wiped.
#[test]
fn what_was_inline_is_wiped_after_its_caller_has_gone() {
    let key: [u8; 16] = core::array::from_fn(|at| (at * at * 31) as u8 ^ 0x5a);
    // Without tables nothing is sent in one hold of the lock.
    for refuse in [Features::empty(), Features::INDIRECT_DESC] {
        let options = Options {
            refuse,
            ..Rig::options()
        };
        let rig = Rig::new(Setup::default(), options).unwrap();
        let (algorithm, direction) = (CipherAlgorithm::AesCbc, Direction::Encrypt);
        let mut opening = Box::pin(Cipher::open(&rig.device, algorithm, direction, &key));
        assert!(poll_once(opening.as_mut()).is_pending());
        assert!(is_in_memory(&key), "the test looks in the wrong place");
        drop(opening);
        rig.serve_all();
        assert!(!is_in_memory(&key), "{refuse:?}: the key");
        let session = rig.session(Direction::Encrypt);
        let request = request(&session);
        assert!(is_in_memory(&IV), "the test looks in the wrong place");
        drop(request);
        rig.serve_all();
        assert!(!is_in_memory(&IV), "{refuse:?}: the IV");
    }
}

#[test]
fn failed_request_gives_its_buffer_back_wiped() {
    let rig = Rig::simple();
    let session = rig.session(Direction::Encrypt);
    let buffer = DmaBuffer::from_slice(&[0x5a; 64]).unwrap();
    let mut request = Box::pin(session.process(&IV, buffer));
    assert!(poll_once(request.as_mut()).is_pending());
    // It writes all of the output, and says that it has failed.
    rig.fake.set_fault(Fault::Status(1));
    rig.fake.serve(0, 1);
    let Poll::Ready(Err(failed)) = poll_once(request.as_mut()) else {
        panic!("it was refused")
    };
    assert_eq!(failed.returned.unwrap()[..], [0; 64]);
}

#[test]
fn reset_wipes_a_slot_that_a_waiter_has_not_emptied() {
    const SECRET: [u8; 16] = *b"left in the slot";
    let setup = Setup {
        queue_sizes: [4, 64],
        ..Setup::default()
    };
    let rig = Rig::new(setup, Rig::options()).unwrap();
    let session = rig.session(Direction::Encrypt);
    let mut data = [0; 16];
    let mut dropped = Box::pin(session.process_slice(&SECRET, &mut data));
    assert!(poll_once(dropped.as_mut()).is_pending());
    // Three have the other slots, and the last one waits.
    let others: Vec<_> = (0..4).map(|_| request(&session)).collect();
    drop(dropped);
    assert!(is_in_memory(&SECRET), "the test looks in the wrong place");
    // Who waits gets the slot as it was left, and does not come to empty it.
    assert_eq!(rig.fake.serve(0, 1), 1);
    assert_eq!(rig.device.shutdown(1000).unwrap().in_flight, 3);
    assert!(!is_in_memory(&SECRET) && !is_in_freed_memory(&SECRET));
    drop(others);
}

#[test]
fn queue_that_is_freed_wipes_an_answer_that_nobody_took() {
    const SECRET: [u8; 16] = *b"an answer's IV..";
    let rig = Rig::simple();
    let alone = rig.alone.clone();
    let session = rig.session(Direction::Encrypt);
    let mut data = [0; 16];
    let mut request = Box::pin(session.process_slice(&SECRET, &mut data));
    assert!(poll_once(request.as_mut()).is_pending());
    assert_eq!(rig.fake.serve(0, 1), 1);
    core::mem::forget(request);
    drop(session);
    rig.serve_all();
    assert!(is_in_memory(&SECRET), "the test looks in the wrong place");
    drop(rig);
    assert_eq!(live_pages(), 0);
    assert!(!is_in_freed_memory(&SECRET));
    drop(alone);
}

/// Hands a request to a queue that refuses it, if `is_closed`; tells how that ended, and whether
/// its secret is in memory then.
fn submit(is_closed: bool) -> (Result<(), Error>, bool) {
    let rig = Rig::simple();
    let epoch = rig.device.epoch();
    let queue = &epoch.data[0];
    let reserved = queue.reserve_fast().unwrap();
    if is_closed {
        queue.close(Error::ShutDown);
    }
    let parts: [&[u8]; 2] = [&IV, &SECRET];
    let body = Body::Inline(Inline::new(&parts, 1, 32, 0).unwrap());
    let sent = reserved.submit(&[0; 72], body, None, None);
    (sent.map(drop), is_in_memory(&SECRET))
}

#[test]
fn request_that_is_refused_leaves_nothing_inline() {
    assert_eq!(
        submit(false),
        (Ok(()), true),
        "the test looks in the wrong place"
    );
    assert_eq!(submit(true), (Err(Error::ShutDown), false));
}

#[test]
fn request_with_too_many_buffers_leaves_nothing_inline() {
    let rig = Rig::simple();
    let session = rig.session(Direction::Encrypt);
    let iv = &SECRET[..16];
    for (count, is_sent) in [(2, true), (20, false)] {
        let buffers = (0..count).map(|_| DmaBuffer::new(16).unwrap());
        let mut request = Box::pin(session.process_list(iv, buffers.collect()));
        match poll_once(request.as_mut()) {
            Poll::Pending => assert!(is_sent),
            Poll::Ready(Ok(_)) => panic!("nobody has answered"),
            Poll::Ready(Err(failed)) => {
                assert!(!is_sent && matches!(failed.error, Error::TooManyBuffers { .. }));
            }
        }
        assert_eq!(is_in_memory(iv), is_sent);
        rig.fake.serve(0, 1);
        drop(request);
        assert!(!is_in_memory(iv));
    }
}

/// What the device has of a secret when it is reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sent {
    Key,
    /// One that has no room in a slot.
    LongKey,
    /// A key whose session the device has made, of which nobody took note.
    AnsweredKey,
    StatelessKey,
    Iv,
    Short,
    Long,
}

/// What becomes of the future that waits for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    DroppedBefore,
    Kept,
    Forgotten,
}

const SECRET: [u8; 32] = *b"what nobody is to find in memory";

fn send<'s>(
    rig: &'s Rig,
    session: &'s Cipher<FakePlatform>,
    sent: Sent,
) -> Pin<Box<dyn Future<Output = ()> + 's>> {
    let (cbc, encrypt) = (CipherAlgorithm::AesCbc, Direction::Encrypt);
    let mut sending: Pin<Box<dyn Future<Output = ()> + 's>> = match sent {
        Sent::Key | Sent::AnsweredKey => Box::pin(async move {
            drop(Cipher::open(&rig.device, cbc, encrypt, &SECRET).await);
        }),
        Sent::LongKey => Box::pin(async move {
            let key = SECRET.repeat(100);
            let parameters = SessionParameters::Cipher(CipherParameters {
                algorithm: CipherAlgorithm::KasumiF8,
                direction: encrypt,
                key_len_bytes: key.len() as u32,
            });
            drop(Session::create(rig.device.epoch(), &parameters, &[&key, &[]]).await);
        }),
        Sent::StatelessKey => Box::pin(async move {
            let cipher = Cipher::stateless(&rig.device, cbc, encrypt, &SECRET).unwrap();
            let _ = cipher.process_slice(&IV, &mut [1; 16]).await;
        }),
        Sent::Iv => Box::pin(async move {
            let _ = session.process_slice(&SECRET[..16], &mut [1; 16]).await;
        }),
        Sent::Short => Box::pin(async move {
            let mut data = SECRET;
            let _ = session.process_slice(&IV, &mut data).await;
        }),
        Sent::Long => Box::pin(async move {
            let data = DmaBuffer::from_slice(&SECRET.repeat(200)).unwrap();
            drop(session.process(&IV, data).await);
        }),
    };
    assert!(poll_once(sending.as_mut()).is_pending());
    sending
}

#[test]
fn reset_wipes_what_was_in_flight_whoever_still_waits_for_it() {
    let setup = Setup {
        features: Setup::default().features
            | Features::REVISION_1
            | Features::CIPHER_STATELESS_MODE,
        ..Setup::default()
    };
    use Sent::*;
    for sent in [Key, LongKey, AnsweredKey, StatelessKey, Iv, Short, Long] {
        for fate in [Fate::DroppedBefore, Fate::Kept, Fate::Forgotten] {
            for (forced_reset, confirmed) in [
                (ForcedReset::Quarantine, true),
                (ForcedReset::Reclaim(trusted()), true),
                (ForcedReset::Quarantine, false),
            ] {
                let case = (sent, fate, forced_reset, confirmed);
                let options = Options {
                    forced_reset,
                    ..Rig::options()
                };
                let rig = Rig::new(setup.clone(), options).unwrap();
                let session = rig.session(Direction::Encrypt);
                let sending = send(&rig, &session, sent);
                assert!(is_in_memory(&SECRET[..16]), "{case:?}: it looks elsewhere");
                if sent == AnsweredKey {
                    assert_eq!(rig.fake.serve(1, 1), 1);
                }
                let mut kept = None;
                match fate {
                    Fate::DroppedBefore => drop(sending),
                    Fate::Kept => kept = Some(sending),
                    Fate::Forgotten => core::mem::forget(sending),
                }
                if !confirmed {
                    rig.fake.refuse_resets();
                }
                assert_eq!(rig.device.recover(0).is_ok(), confirmed, "{case:?}");
                assert!(!is_in_memory(&SECRET[..16]), "{case:?}");
                drop(kept);
            }
        }
    }
    assert!(!is_in_freed_memory(&SECRET[..16]));
}
