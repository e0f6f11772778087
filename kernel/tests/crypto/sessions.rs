//! Sessions: when they end, also of those that are dropped, cancelled, stale or shut down.

use alloc::{boxed::Box, vec::Vec};

use kernel::{
    memory::{self},
    task::executor,
};
use virtio_crypto::{Cipher, CipherAlgorithm, Direction, DmaBuffer, Error, InterruptMode};

use crate::rig::*;

pub fn dropped_requests_leak_nothing() {
    settle_to(0);
    let (encrypt, _) = pair(VECTORS[0].0);
    let frames = memory::free_frame_count();
    for round in 0..300 {
        let buffer = DmaBuffer::from_slice(&[round as u8; 4096]).unwrap();
        let mut request = Box::pin(encrypt.process(&IV, buffer));
        let _ = poll_once(request.as_mut());
        if round % 3 == 0 {
            let mut other = Box::pin(encrypt.process(&IV, DmaBuffer::new(16).unwrap()));
            let ready = poll_once(other.as_mut());
            drop(request);
            if !ready {
                let _ = poll_once(other.as_mut());
            }
        }
    }
    nist_vectors_still_work(&encrypt);
    drop(encrypt);
    settle_to(0);
    // Emptied by the next caller.
    nist_vectors_still_work(&open(Direction::Encrypt, VECTORS[0].0));
    settle_to(0);
    assert_eq!(memory::free_frame_count(), frames, "frames");
    let polled = device().interrupt_mode() == InterruptMode::Polling;
    assert!(polled || device().data_stats().abandoned > 0);
}

pub fn cancelled_creates_leave_no_session() {
    settle_to(0);
    // More than the device has room for, if one stayed behind.
    for _ in 0..600 {
        let mut create = Box::pin(Cipher::open(
            device(),
            CipherAlgorithm::AesCbc,
            Direction::Decrypt,
            &[9; 32],
        ));
        let _ = poll_once(create.as_mut());
        drop(create);
        if device().sessions_taken() > 200 {
            settle_to(0);
        }
    }
    settle_to(0);
    let all: Vec<_> = (0..200)
        .map(|_| open(Direction::Encrypt, VECTORS[0].0))
        .collect();
    nist_vectors_still_work(&all[199]);
    drop(all);
    settle_to(0);
}

pub fn sessions_end_after_their_requests() {
    // A request in flight whose session is dropped and whose id another session would get.
    for round in 0..50u8 {
        let session = open(Direction::Encrypt, &[round; 16]);
        let mut requests: Vec<_> = (0..4)
            .map(|_| Box::pin(session.process(&IV, DmaBuffer::new(65_536).unwrap())))
            .collect();
        for request in &mut requests {
            let _ = poll_once(request.as_mut());
        }
        drop(requests);
        drop(session);
        let other = open(Direction::Encrypt, VECTORS[0].0);
        nist_vectors_still_work(&other);
    }
    settle_to(0);
}

pub fn session_limit_is_an_error() {
    settle_to(0);
    let mut open_sessions = Vec::new();
    let error = loop {
        let session = Cipher::open(
            device(),
            CipherAlgorithm::AesCbc,
            Direction::Encrypt,
            VECTORS[0].0,
        );
        match executor::block_on(session) {
            Ok(session) => open_sessions.push(session),
            Err(error) => break error,
        }
    };
    assert_eq!(error, Error::TooManySessions { max: 256 });
    assert_eq!(open_sessions.len(), 256);
    nist_vectors_still_work(&open_sessions[255]);
    drop(open_sessions);
    settle_to(0);
}

pub fn recovery_makes_sessions_stale() {
    let old = open(Direction::Encrypt, VECTORS[0].0);
    nist_vectors_still_work(&old);
    let drained = device().recover(1_000_000_000).unwrap();
    assert_eq!(drained.in_flight, 0);
    let mut data = PLAINTEXT;
    let stale = executor::block_on(old.process_slice(&IV, &mut data));
    assert_eq!((stale, data), (Err(Error::ShutDown), PLAINTEXT));
    let buffer = DmaBuffer::from_slice(&PLAINTEXT).unwrap();
    let failed = executor::block_on(old.process(&IV, buffer)).unwrap_err();
    assert_eq!(
        (failed.error, failed.returned.is_some()),
        (Error::ShutDown, true)
    );
    let new = open(Direction::Encrypt, VECTORS[0].0);
    nist_vectors_still_work(&new);
    drop(old);
    nist_vectors_still_work(&new);
    // Nothing stays behind on the device, which keeps sessions across a reset.
    for _ in 0..3 {
        let _all: Vec<_> = (0..200)
            .map(|_| open(Direction::Encrypt, VECTORS[0].0))
            .collect();
        device().recover(1_000_000_000).unwrap();
    }
    drop(new);
    settle_to(0);
}

pub fn shutdown_refuses_what_comes_after() {
    let session = open(Direction::Encrypt, VECTORS[0].0);
    let mut late = Box::pin(session.process(&IV, DmaBuffer::from_slice(&PLAINTEXT).unwrap()));
    let answered_at_once = poll_once(late.as_mut());
    let drained = device().shutdown(1_000_000_000).unwrap();
    assert_eq!(drained.in_flight, 0);
    // What the device had finished before the reset is there to be taken.
    if !answered_at_once {
        let buffer = executor::block_on(late.as_mut()).unwrap();
        assert_eq!(buffer[..], *VECTORS[0].1);
    }
    drop(late);
    let mut data = PLAINTEXT;
    let refused = executor::block_on(session.process_slice(&IV, &mut data));
    assert_eq!(refused, Err(Error::ShutDown));
    let opened = Cipher::open(
        device(),
        CipherAlgorithm::AesCbc,
        Direction::Encrypt,
        VECTORS[0].0,
    );
    assert_eq!(executor::block_on(opened).map(drop), Err(Error::ShutDown));
    drop(session);
    device().shutdown(1_000_000_000).unwrap();
}
