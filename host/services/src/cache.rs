//! The cache of sessions: what it keeps, what it closes, and when it says no.

use core::task::Poll;
use std::sync::Arc;

use virtio_crypto::{Cipher, CipherAlgorithm, Direction, Error, Refusal, SessionCache, join_all};

use crate::{
    rig::{FakePlatform, Fault, IV, Rig, Served, Setup, oracle, poll_once, run},
    ways::times,
};

type Session = Arc<Cipher<FakePlatform>>;

async fn get(rig: &Rig, cache: &SessionCache<FakePlatform>, key: u8) -> Result<Session, Error> {
    let (algorithm, direction) = (CipherAlgorithm::AesCbc, Direction::Encrypt);
    let session = cache
        .get(&rig.device, algorithm, direction, &[key; 16])
        .await?;
    // Whatever it is, it is a session for this key.
    let mut data = [9; 16];
    session.process_slice(&IV, &mut data).await?;
    assert_eq!(data[..], oracle(&[key; 16], &IV, &[9; 16]));
    Ok(session)
}

fn creates(rig: &Rig) -> usize {
    let log = rig.far.log();
    let create = |served: &&Served| matches!(served, Served::Create);
    log.iter().filter(create).count()
}

#[test]
fn session_is_opened_once_for_a_key() {
    let rig = Rig::simple().go();
    let cache = SessionCache::new(10);
    run(async {
        let first = get(&rig, &cache, 1).await.unwrap();
        for _ in 0..5 {
            let again = get(&rig, &cache, 1).await.unwrap();
            assert!(Arc::ptr_eq(&first, &again));
        }
        assert_eq!((creates(&rig), cache.len()), (1, 1));
        // Another key, direction, algorithm or length is another session.
        let wanted: [(_, _, &[u8]); 5] = [
            (CipherAlgorithm::AesCbc, Direction::Encrypt, &[2; 16]),
            (CipherAlgorithm::AesCbc, Direction::Decrypt, &[1; 16]),
            (CipherAlgorithm::AesCtr, Direction::Encrypt, &[1; 16]),
            (CipherAlgorithm::AesCbc, Direction::Encrypt, &[1; 24]),
            (CipherAlgorithm::AesCbc, Direction::Encrypt, &[1; 32]),
        ];
        for round in 0..2 {
            for (algorithm, direction, key) in wanted {
                let session = cache.get(&rig.device, algorithm, direction, key).await;
                let session = session.unwrap();
                assert_eq!(session.algorithm(), algorithm);
                assert_eq!(session.direction(), direction);
            }
            assert_eq!((creates(&rig), cache.len()), (6, 6), "round {round}");
        }
        let short = cache.get(
            &rig.device,
            CipherAlgorithm::AesCbc,
            Direction::Encrypt,
            &[1; 15],
        );
        assert!(matches!(short.await, Err(Error::InvalidLength { .. })));
        assert_eq!(cache.len(), 6);
    });
}

#[test]
fn least_recently_used_makes_room() {
    let rig = Rig::simple().go();
    let cache = SessionCache::new(3);
    run(async {
        for key in [1, 2, 3, 1, 4] {
            drop(get(&rig, &cache, key).await.unwrap());
        }
        assert_eq!((cache.len(), rig.far.sessions(), creates(&rig)), (3, 3, 4));
        // 2 went, the others are still there.
        for key in [1, 3, 4] {
            drop(get(&rig, &cache, key).await.unwrap());
        }
        assert_eq!(creates(&rig), 4);
        drop(get(&rig, &cache, 2).await.unwrap());
        assert_eq!((creates(&rig), rig.far.sessions()), (5, 3));
    });
}

#[test]
fn session_in_use_is_never_closed() {
    let rig = Rig::simple().go();
    let cache = SessionCache::new(3);
    run(async {
        let held = [
            get(&rig, &cache, 1).await.unwrap(),
            get(&rig, &cache, 2).await.unwrap(),
        ];
        for key in 10..30 {
            drop(get(&rig, &cache, key).await.unwrap());
        }
        for (key, session) in (1..).zip(&held) {
            let again = get(&rig, &cache, key).await.unwrap();
            assert!(Arc::ptr_eq(session, &again));
        }
        let third = get(&rig, &cache, 3).await.unwrap();
        let refused = get(&rig, &cache, 4).await.unwrap_err();
        assert_eq!(refused, Error::TooManySessions { max: 3 });
        drop(third);
        let fourth = get(&rig, &cache, 4).await.unwrap();
        // Somebody with a weak reference only has no session.
        let weak = Arc::downgrade(&fourth);
        drop(fourth);
        drop(get(&rig, &cache, 5).await.unwrap());
        assert!(weak.upgrade().is_none());
    });
}

#[test]
fn limits_of_device_and_driver_are_met_by_closing() {
    let few = Rig::options_with(|options| options.sessions = 4);
    for (options, device_limit, error) in [
        (Rig::options(), 4, Error::Refused(Refusal::Error)),
        (few, 256, Error::TooManySessions { max: 4 }),
    ] {
        let rig = Rig::new(Setup::default(), options).unwrap().go();
        rig.far.limit_sessions(device_limit);
        let cache = SessionCache::new(100);
        run(async {
            // Those of others count too.
            let other = Cipher::open(
                &rig.device,
                CipherAlgorithm::AesCbc,
                Direction::Encrypt,
                &[0; 16],
            );
            let other = other.await.unwrap();
            for key in 1..40 {
                drop(get(&rig, &cache, key).await.unwrap());
            }
            assert_eq!((cache.len(), rig.far.sessions()), (3, 4));
            let mut held = Vec::new();
            for key in 37..40 {
                held.push(get(&rig, &cache, key).await.unwrap());
            }
            assert_eq!(get(&rig, &cache, 1).await.unwrap_err(), error);
            assert_eq!(cache.len(), 3);
            other.close().await.unwrap();
            drop(get(&rig, &cache, 1).await.unwrap());
        });
    }
}

#[test]
fn algorithm_that_the_device_refuses_costs_one_session() {
    let rig = Rig::simple();
    let cache = SessionCache::new(10);
    let served = |future: core::pin::Pin<&mut dyn Future<Output = Result<Session, Error>>>,
                  refuse| {
        let mut future = future;
        loop {
            if let Poll::Ready(outcome) = poll_once(future.as_mut()) {
                return outcome;
            }
            if refuse {
                rig.far.set_fault(Fault::Status(1));
            }
            if rig.far.serve(1, 1) == 0 {
                rig.far.serve(0, 1);
            }
        }
    };
    for key in 0..5 {
        served(Box::pin(get(&rig, &cache, key)).as_mut(), false).unwrap();
    }
    let outcome = served(Box::pin(get(&rig, &cache, 9)).as_mut(), true);
    assert_eq!(outcome.err(), Some(Error::Refused(Refusal::Error)));
    assert_eq!(cache.len(), 4);
}

#[test]
fn sessions_from_before_a_recovery_are_opened_anew() {
    let rig = Rig::simple().go();
    let cache = SessionCache::new(3);
    run(async {
        let old = get(&rig, &cache, 1).await.unwrap();
        for key in [2, 3] {
            drop(get(&rig, &cache, key).await.unwrap());
        }
        rig.device.recover(1_000_000_000).unwrap();
        let refused = old.process_slice(&IV, &mut [0; 16]).await;
        assert_eq!(refused, Err(Error::ShutDown));
        let new = get(&rig, &cache, 1).await.unwrap();
        assert!(!Arc::ptr_eq(&old, &new));
        for key in [2, 3, 1, 2, 3] {
            drop(get(&rig, &cache, key).await.unwrap());
        }
        assert_eq!((creates(&rig), cache.len(), rig.far.sessions()), (6, 3, 3));
        rig.device.shutdown(1_000_000_000).unwrap();
        assert_eq!(get(&rig, &cache, 1).await.unwrap_err(), Error::ShutDown);
        assert_eq!(get(&rig, &cache, 8).await.unwrap_err(), Error::ShutDown);
    });
    assert_eq!(rig.far.sessions(), 0);
}

#[test]
fn cancelled_get_leaves_its_place_and_no_session() {
    let rig = Rig::simple();
    let cache = SessionCache::new(2);
    for round in 0..times(20u8, 2) {
        for polls in 0..4 {
            let key = round * 4 + polls;
            let mut get = Box::pin(get(&rig, &cache, key));
            for _ in 0..polls {
                let _ = poll_once(get.as_mut());
                rig.far.serve(1, 1);
            }
            drop(get);
            rig.serve_all();
            assert_eq!(rig.far.sessions(), cache.len(), "{round} {polls}");
            assert_eq!(rig.device.sessions_taken(), cache.len());
        }
    }
    assert_eq!(cache.len(), 2);
    cache.clear();
    rig.serve_all();
    assert!(cache.is_empty());
    assert_eq!((rig.far.sessions(), rig.device.sessions_taken()), (0, 0));
}

#[test]
fn callers_that_miss_the_same_key_share_one_session() {
    let rig = Rig::simple().go();
    let cache = SessionCache::new(16);
    run(async {
        let getting = (0..8).map(|_| Box::pin(get(&rig, &cache, 7))).collect();
        let sessions = join_all(getting).await.unwrap();
        let sessions: Vec<_> = sessions.into_iter().map(Result::unwrap).collect();
        assert!(
            sessions
                .iter()
                .all(|other| Arc::ptr_eq(&sessions[0], other))
        );
        assert_eq!((cache.len(), rig.far.sessions()), (1, 1));
    });
}

#[test]
fn cleared_cache_keeps_no_session_alive() {
    let rig = Rig::simple().go();
    let cache = SessionCache::new(8);
    run(async {
        let held = get(&rig, &cache, 1).await.unwrap();
        drop(get(&rig, &cache, 2).await.unwrap());
        cache.clear();
        held.process_slice(&IV, &mut [0; 16]).await.unwrap();
        drop(held);
        drop(get(&rig, &cache, 1).await.unwrap());
        assert_eq!(creates(&rig), 3);
    });
    drop(cache);
    rig.device.shutdown(1_000_000_000).unwrap();
    assert_eq!(rig.far.sessions(), 0);
}

#[test]
fn forgotten_get_takes_no_place() {
    let rig = Rig::simple();
    let cache = SessionCache::new(1);
    let begin = |key| {
        let mut get = Box::pin(get(&rig, &cache, key));
        assert!(poll_once(get.as_mut()).is_pending());
        get
    };
    for key in 0..3 {
        core::mem::forget(begin(key));
        rig.far.serve(1, 1);
    }
    let mut get = begin(9);
    rig.serve_all();
    while poll_once(get.as_mut()).is_pending() {
        rig.serve_all();
    }
    assert_eq!(cache.len(), 1);
    // Nor does one that is forgotten make a refusal cost the cache all that it has for good.
    cache.clear();
    assert!(cache.is_empty());
}

#[test]
fn sessions_opened_side_by_side_leave_no_more_than_there_is_room_for() {
    let rig = Rig::simple().go();
    let cache = SessionCache::new(2);
    run(async {
        let opening = (0..6).map(|key| Box::pin(get(&rig, &cache, key))).collect();
        let opened = join_all(opening).await.unwrap();
        // Those that came when all that were kept were in use have none.
        let full = Error::TooManySessions { max: 2 };
        let refused = opened.iter().flat_map(|session| session.as_ref().err());
        assert!(refused.copied().all(|error| error == full));
        assert!(opened.iter().filter(|session| session.is_ok()).count() >= 2);
        drop(opened);
        drop(get(&rig, &cache, 7).await.unwrap());
    });
    assert!(cache.len() <= 2, "{}", cache.len());
    cache.clear();
    rig.device.shutdown(1_000_000_000).unwrap();
    assert_eq!(rig.far.sessions(), 0);
}
