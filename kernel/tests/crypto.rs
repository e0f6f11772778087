//! The driver on a real device, on every rung of the interrupt ladder.
//!
//! Words of the command line: `reach=virtio-drivers`, `wiring=intx|polling`,
//! `refuse=indirect,event`, `slots=N`.
#![no_std]
#![no_main]

extern crate alloc;

use alloc::{boxed::Box, sync::Arc, vec, vec::Vec};
use core::{
    future::Future,
    ops::ControlFlow,
    pin::Pin,
    task::{Context, Waker},
};

use kernel::{
    command_line,
    crypto::{self, CryptoDevice, Reach, Wiring},
    interrupts::apic,
    memory::{self, heap},
    platform::KernelPlatform,
    task::executor,
    time,
};
use spin::Once;
use virtio_crypto::{
    Cipher, CipherAlgorithm, Direction, DmaBuffer, Error, Failed, Features, InterruptMode, Options,
    Requirement, block_on,
};

#[expect(dead_code, reason = "other tests use the rest")]
#[path = "../../driver/checks/random.rs"]
mod random;
use random::Random;

kernel::tests! {
    machines: [
        "vectors=4 append=expect=PerQueue",
        "vectors=3 append=expect=PerQueue",
        "vectors=2 append=expect=SharedQueues",
        "vectors=1 append=expect=Shared",
        "vectors=0 append=expect=Intx",
        "vectors=0 machine=pc append=expect=Intx",
        "vectors=3 append=wiring=intx append=expect=Intx",
        "vectors=3 append=wiring=polling append=expect=Polling",
        "vectors=3 append=refuse=event append=expect=PerQueue",
        // What QEMU has from 10.0.13 on.
        "vectors=3 append=max-size=1048576 append=expect=PerQueue",
        "vectors=3 append=refuse=indirect append=expect=PerQueue",
        "vectors=1 append=refuse=indirect,event append=slots=3 append=expect=Shared",
        "vectors=0 append=refuse=indirect,event append=slots=1 append=expect=Intx",
        "vectors=3 append=reach=virtio-drivers append=expect=Intx",
        "vectors=3 append=reach=virtio-drivers append=wiring=polling append=expect=Polling",
        "smp=4 vectors=3 mem=64M machine=pc append=expect=PerQueue",
    ],
    tests: [
        interrupts_come_as_they_should,
        nist_vectors,
        slices_of_every_length,
        longest_request_in_place,
        out_of_place_keeps_the_source,
        many_tasks_share_the_slots,
        batch_shares_one_kick,
        wrong_lengths_come_back_with_the_buffer,
        full_queue_gives_the_buffer_back,
        requests_allocate_nothing,
        dropped_requests_leak_nothing,
        cancelled_creates_leave_no_session,
        sessions_end_after_their_requests,
        session_limit_is_an_error,
        blocking_form_sleeps,
        blocking_form_gives_up,
        index_wraps,
        every_interrupt_is_accounted_for,
        spurious_interrupts_are_counted_exactly,
        recovery_makes_sessions_stale,
        shutdown_refuses_what_comes_after,
    ],
}

fn device() -> &'static Arc<CryptoDevice> {
    static DEVICE: Once<Arc<CryptoDevice>> = Once::new();
    DEVICE.call_once(|| {
        let wiring = match command_line::value("wiring") {
            None => Wiring::Best,
            Some("intx") => Wiring::Intx,
            Some("polling") => Wiring::Polling,
            Some(other) => panic!("unknown wiring {other}"),
        };
        let mut options = Options::default();
        for word in command_line::value("refuse").unwrap_or("").split(',') {
            options.refuse |= match word {
                "" => Features::empty(),
                "indirect" => Features::INDIRECT_DESC,
                "event" => Features::EVENT_IDX,
                other => panic!("unknown feature {other}"),
            };
        }
        if let Some(max_size) = command_line::value("max-size") {
            options.max_size_bytes = max_size.parse().unwrap();
        }
        if let Some(slots) = command_line::value("slots") {
            options.data_slots = slots.parse().unwrap();
            options.control_slots = slots.parse().unwrap();
        }
        let reach = match command_line::value("reach") {
            None => Reach::Pci,
            Some("virtio-drivers") => Reach::VirtioDrivers,
            Some(other) => panic!("unknown transport {other}"),
        };
        crypto::open_crypto(0, reach, wiring, options)
            .unwrap()
            .expect("a device")
    })
}

fn open(direction: Direction, key: &[u8]) -> Cipher<KernelPlatform> {
    executor::block_on(Cipher::open(
        device(),
        CipherAlgorithm::AesCbc,
        direction,
        key,
    ))
    .unwrap()
}

fn pair(key: &[u8]) -> (Cipher<KernelPlatform>, Cipher<KernelPlatform>) {
    (open(Direction::Encrypt, key), open(Direction::Decrypt, key))
}

/// Waits until nothing is in flight and `sessions` are open.
fn settle_to(sessions: usize) {
    crypto::wait_until_idle(device(), sessions, 10_000_000_000);
}

fn random_iv(random: &mut Random) -> [u8; 16] {
    core::array::from_fn(|_| random.next() as u8)
}

/// Polls a future once, as a task that is then cancelled would. No interrupt comes meanwhile, so
/// unless requests are polled for, the device's answer is still to come.
fn poll_once<F: Future>(future: Pin<&mut F>) -> bool {
    x86_64::instructions::interrupts::without_interrupts(|| {
        future
            .poll(&mut Context::from_waker(Waker::noop()))
            .is_ready()
    })
}

fn interrupts_come_as_they_should() {
    let mode = device().interrupt_mode();
    let expected = match command_line::value("expect").unwrap() {
        "PerQueue" => InterruptMode::PerQueue,
        "SharedQueues" => InterruptMode::SharedQueues,
        "Shared" => InterruptMode::Shared,
        "Intx" => InterruptMode::Intx,
        "Polling" => InterruptMode::Polling,
        other => panic!("unknown mode {other}"),
    };
    assert_eq!(mode, expected);
    let refused = command_line::value("refuse").unwrap_or("");
    let features = device().features();
    assert_eq!(
        features.contains(Features::INDIRECT_DESC),
        !refused.contains("indirect")
    );
    assert_eq!(
        features.contains(Features::EVENT_IDX),
        !refused.contains("event")
    );
}

/// NIST SP 800-38A, F.2.1 to F.2.6.
fn nist_vectors() {
    for (key, ciphertext) in VECTORS {
        let (encrypt, decrypt) = pair(key);
        let mut data = PLAINTEXT;
        executor::block_on(encrypt.process_slice(&IV, &mut data)).unwrap();
        assert_eq!(data, *ciphertext, "slice, key of {}", key.len());
        executor::block_on(decrypt.process_slice(&IV, &mut data)).unwrap();
        assert_eq!(data, PLAINTEXT, "slice, key of {}", key.len());

        let buffer = DmaBuffer::from_slice(&PLAINTEXT).unwrap();
        let buffer = executor::block_on(encrypt.process(&IV, buffer)).unwrap();
        assert_eq!(buffer[..], *ciphertext, "in place, key of {}", key.len());
        let buffer = executor::block_on(decrypt.process(&IV, buffer)).unwrap();
        assert_eq!(buffer[..], PLAINTEXT, "in place, key of {}", key.len());
        executor::block_on(encrypt.close()).unwrap();
        executor::block_on(decrypt.close()).unwrap();
    }
    settle_to(0);
}

fn slices_of_every_length() {
    let mut random = Random::new(1);
    let (encrypt, decrypt) = pair(&random.bytes(32));
    for len in (16..=1024).step_by(16) {
        let plaintext = random.bytes(len);
        let iv = random_iv(&mut random);
        let mut whole = plaintext.clone();
        executor::block_on(encrypt.process_slice(&iv, &mut whole)).unwrap();
        assert_ne!(whole, plaintext);
        // CBC: the last block is the IV of what follows.
        let mut first = plaintext.clone();
        let (head, tail) = first.split_at_mut(len / 32 * 16);
        let mut next_iv = iv;
        if !head.is_empty() {
            executor::block_on(encrypt.process_slice(&iv, head)).unwrap();
            next_iv.copy_from_slice(&head[head.len() - 16..]);
        }
        executor::block_on(encrypt.process_slice(&next_iv, tail)).unwrap();
        assert_eq!(first, whole, "{len} bytes");
        executor::block_on(decrypt.process_slice(&iv, &mut whole)).unwrap();
        assert_eq!(whole, plaintext, "{len} bytes");
    }
}

/// Bytes of a long request: a megabyte, or about half of it where the device's `max_size` is one.
fn long_len(session: &Cipher<KernelPlatform>) -> usize {
    session.max_len_bytes().min(1 << 20)
}

fn longest_request_in_place() {
    let mut random = Random::new(2);
    let (encrypt, decrypt) = pair(&random.bytes(24));
    let plaintext = random.bytes(long_len(&encrypt));
    let iv = random_iv(&mut random);
    let buffer = DmaBuffer::from_slice(&plaintext).unwrap();
    let buffer = executor::block_on(encrypt.process(&iv, buffer)).unwrap();
    assert!(buffer[..] != plaintext[..]);
    let buffer = executor::block_on(decrypt.process(&iv, buffer)).unwrap();
    let len = buffer.len();
    assert!(buffer[..] == plaintext[..], "{len} bytes did not come back");
}

fn out_of_place_keeps_the_source() {
    let mut random = Random::new(3);
    let (encrypt, _) = pair(VECTORS[0].0);
    for len in [64, 4096, 70_000 / 16 * 16] {
        let plaintext = random.bytes(len);
        let mut slice = plaintext.clone();
        executor::block_on(encrypt.process_slice(&IV, &mut slice)).unwrap();
        let source = DmaBuffer::from_slice(&plaintext).unwrap();
        let destination = DmaBuffer::new(len).unwrap();
        let request = encrypt.process_into(&IV, source, destination);
        let (source, destination) = executor::block_on(request).unwrap();
        assert!(source[..] == plaintext[..]);
        assert!(destination[..] == slice[..]);
    }
}

fn many_tasks_share_the_slots() {
    let mut random = Random::new(4);
    let (encrypt, decrypt) = pair(&random.bytes(16));
    let (encrypt, decrypt) = (Arc::new(encrypt), Arc::new(decrypt));
    executor::block_on(async {
        let mut tasks = Vec::new();
        for seed in 0..200 {
            let (encrypt, decrypt) = (encrypt.clone(), decrypt.clone());
            let task = async move {
                let mut random = Random::new(seed + 100);
                for _ in 0..5 {
                    let iv = random_iv(&mut random);
                    let len = 16 * (1 + random.next() as usize % 64);
                    let plaintext = random.bytes(len);
                    let mut data = plaintext.clone();
                    encrypt.process_slice(&iv, &mut data).await.unwrap();
                    assert_ne!(data, plaintext);
                    decrypt.process_slice(&iv, &mut data).await.unwrap();
                    assert_eq!(data, plaintext, "task {seed}, {len} bytes");
                }
            };
            tasks.push(executor::spawn(task).unwrap());
        }
        for task in tasks {
            task.await;
        }
    });
}

fn batch_shares_one_kick() {
    let (encrypt, _) = pair(VECTORS[0].0);
    let slots = command_line::value("slots").map_or(64, |slots| slots.parse().unwrap());
    let count = slots.min(32usize);
    let before = device().data_stats();
    let mut data = vec![[0u8; 16]; count];
    let requests = data.iter_mut().map(|data| encrypt.process_slice(&IV, data));
    let results = executor::block_on(device().batch(crypto::join_all(requests)));
    assert!(results.iter().all(Result::is_ok));
    assert!(data.windows(2).all(|pair| pair[0] == pair[1]));
    let after = device().data_stats();
    assert_eq!(after.submitted - before.submitted, count as u64);
    assert_eq!(after.kicks - before.kicks, 1, "kicks of a batch of {count}");
}

fn wrong_lengths_come_back_with_the_buffer() {
    let (encrypt, decrypt) = pair(VECTORS[0].0);
    for len in [0, 1, 15, 17, 100] {
        let mut slice = vec![7; len];
        let expected = Error::InvalidLength {
            field: "data",
            len_bytes: len,
            requirement: Requirement::BlocksOf { block_bytes: 16 },
        };
        assert_eq!(
            executor::block_on(encrypt.process_slice(&IV, &mut slice)),
            Err(expected)
        );
        let buffer = DmaBuffer::from_slice(&slice).unwrap();
        let failed = executor::block_on(decrypt.process(&IV, buffer)).unwrap_err();
        assert_eq!(failed.error, expected);
        assert_eq!(failed.returned.unwrap()[..], slice);
    }
    let (source, destination) = (DmaBuffer::new(32).unwrap(), DmaBuffer::new(48).unwrap());
    let failed = executor::block_on(encrypt.process_into(&IV, source, destination)).unwrap_err();
    assert!(matches!(
        failed.error,
        Error::InvalidLength {
            field: "destination",
            ..
        }
    ));
    assert!(
        failed
            .returned
            .is_some_and(|(source, destination)| { source.len() == 32 && destination.len() == 48 })
    );
    for len in [0, 8, 15, 17, 33, 64] {
        let opened = executor::block_on(Cipher::open(
            device(),
            CipherAlgorithm::AesCbc,
            Direction::Encrypt,
            &vec![1; len],
        ));
        let expected = Error::InvalidLength {
            field: "key",
            len_bytes: len,
            requirement: Requirement::OneOf {
                lens_bytes: CipherAlgorithm::AesCbc.key_lens_bytes(),
            },
        };
        assert_eq!(opened.map(drop), Err(expected));
    }
    nist_vectors_still_work(&encrypt);
}

fn nist_vectors_still_work(encrypt: &Cipher<KernelPlatform>) {
    let mut data = PLAINTEXT;
    executor::block_on(encrypt.process_slice(&IV, &mut data)).unwrap();
    assert_eq!(data, *VECTORS[0].1);
}

fn full_queue_gives_the_buffer_back() {
    let (encrypt, _) = pair(VECTORS[0].0);
    let mut pending = Vec::new();
    let refused = loop {
        let buffer = DmaBuffer::from_slice(&PLAINTEXT).unwrap();
        let mut request = Box::pin(encrypt.try_process(&IV, buffer));
        // Nothing is drained while this CPU masks interrupts.
        let ready = x86_64::instructions::interrupts::without_interrupts(|| {
            match request
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()))
            {
                core::task::Poll::Ready(result) => Some(result),
                core::task::Poll::Pending => None,
            }
        });
        match ready {
            None => pending.push(request),
            Some(Ok(_)) => {}
            Some(Err(failed)) => break failed,
        }
        if pending.len() > 100 || device().interrupt_mode() == InterruptMode::Polling {
            return;
        }
    };
    let Failed {
        error, returned, ..
    } = refused;
    assert_eq!(error, Error::QueueFull);
    assert_eq!(returned.unwrap()[..], PLAINTEXT);
    for request in pending {
        assert_eq!(executor::block_on(request).unwrap()[..], *VECTORS[0].1);
    }
}

fn requests_allocate_nothing() {
    let key = VECTORS[0].0;
    let counted = executor::block_on(async {
        let encrypt = Cipher::open(device(), CipherAlgorithm::AesCbc, Direction::Encrypt, key)
            .await
            .unwrap();
        let mut data = PLAINTEXT;
        encrypt.process_slice(&IV, &mut data).await.unwrap();
        let before = heap::allocations();
        for _ in 0..20 {
            encrypt.process_slice(&IV, &mut data).await.unwrap();
            let session = Cipher::open(device(), CipherAlgorithm::AesCbc, Direction::Encrypt, key)
                .await
                .unwrap();
            session.close().await.unwrap();
            drop(
                Cipher::open(device(), CipherAlgorithm::AesCbc, Direction::Encrypt, key)
                    .await
                    .unwrap(),
            );
        }
        heap::allocations() - before
    });
    assert_eq!(counted, 0, "allocations");
}

fn dropped_requests_leak_nothing() {
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

fn cancelled_creates_leave_no_session() {
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

fn sessions_end_after_their_requests() {
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

fn session_limit_is_an_error() {
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

fn blocking_form_sleeps() {
    use x86_64::instructions::interrupts::{disable, enable, enable_and_hlt};
    let polled = device().interrupt_mode() == InterruptMode::Polling;
    let mut slept = 0;
    let mut idle = |woken: &virtio_crypto::WakeFlag| {
        disable();
        if polled || woken.is_set() {
            enable();
        } else {
            slept += 1;
            enable_and_hlt();
        }
        ControlFlow::Continue(())
    };
    let session = Cipher::open(
        device(),
        CipherAlgorithm::AesCbc,
        Direction::Encrypt,
        VECTORS[0].0,
    );
    let session = block_on(session, &mut idle).unwrap().unwrap();
    for _ in 0..50 {
        let mut data = PLAINTEXT;
        block_on(session.process_slice(&IV, &mut data), &mut idle)
            .unwrap()
            .unwrap();
        assert_eq!(data, *VECTORS[0].1);
    }
    block_on(session.close(), &mut idle).unwrap().unwrap();
    // A device may answer before there is time to sleep; a clock does not.
    block_on(time::sleep_ns(5_000_000), &mut idle).unwrap();
    assert!(polled || slept > 0, "the blocking form never slept");
}

fn blocking_form_gives_up() {
    let session = open(Direction::Encrypt, VECTORS[0].0);
    let buffer = DmaBuffer::new(long_len(&session)).unwrap();
    let request = session.process(&IV, buffer);
    let outcome = block_on(request, |_| ControlFlow::Break(()));
    assert!(matches!(outcome, Ok(Ok(_)) | Err(Error::GaveUp)));
    nist_vectors_still_work(&session);
    drop(session);
    settle_to(0);
}

fn index_wraps() {
    let session = open(Direction::Encrypt, VECTORS[0].0);
    let start = device().data_stats().submitted;
    let slots = command_line::value("slots").is_some();
    // Past 2^16 where requests come in batches; some hundred otherwise.
    let target = if slots { 300 } else { 66_000 };
    let mut round = 0;
    while device().data_stats().submitted - start < target {
        // Batches of changing size, so that some cross the wrap.
        round += 1;
        let mut data = vec![PLAINTEXT; 1 + round % 60];
        let requests = data.iter_mut().map(|data| session.process_slice(&IV, data));
        let results = executor::block_on(device().batch(crypto::join_all(requests)));
        assert!(results.iter().all(Result::is_ok));
        assert!(data.iter().all(|data| data == VECTORS[0].1));
    }
    let stats = device().data_stats();
    assert_eq!(stats.submitted, stats.completed);
    assert_eq!(stats.published, stats.completed);
}

fn every_interrupt_is_accounted_for() {
    let stats = device().interrupt_stats();
    assert_eq!(stats.unhandled, 0, "{stats:?}");
    if device().interrupt_mode() != InterruptMode::Polling {
        assert!(stats.handled > 100, "{stats:?}");
    }
}

fn spurious_interrupts_are_counted_exactly() {
    use virtio_crypto::transport::MsixEntry;
    if matches!(
        device().interrupt_mode(),
        InterruptMode::Polling | InterruptMode::Intx
    ) {
        return;
    }
    settle_to(0);
    x86_64::instructions::interrupts::enable();
    let before = device().interrupt_stats();
    assert!(device().settle());
    for _ in 0..1000 {
        device().handle_interrupt(MsixEntry(0));
    }
    let after = device().interrupt_stats();
    assert_eq!(after.unhandled - before.unhandled, 1000);
    assert_eq!(after.handled, before.handled);
    // And real messages: the local APIC sends the vector of the device's queue.
    let vector = crypto::vector_of(device(), MsixEntry(0)).unwrap();
    for _ in 0..100 {
        apic::send(apic::id(), vector.number());
        let end_ns = time::now_ns() + 100_000;
        while time::now_ns() < end_ns {
            core::hint::spin_loop();
        }
    }
    assert_eq!(device().interrupt_stats().unhandled - after.unhandled, 100);
    nist_vectors_still_work(&open(Direction::Encrypt, VECTORS[0].0));
    settle_to(0);
}

fn recovery_makes_sessions_stale() {
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

fn shutdown_refuses_what_comes_after() {
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

const IV: [u8; 16] = *b"\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f";
const PLAINTEXT: [u8; 64] = *b"\x6b\xc1\xbe\xe2\x2e\x40\x9f\x96\xe9\x3d\x7e\x11\x73\x93\x17\x2a\
\xae\x2d\x8a\x57\x1e\x03\xac\x9c\x9e\xb7\x6f\xac\x45\xaf\x8e\x51\
\x30\xc8\x1c\x46\xa3\x5c\xe4\x11\xe5\xfb\xc1\x19\x1a\x0a\x52\xef\
\xf6\x9f\x24\x45\xdf\x4f\x9b\x17\xad\x2b\x41\x7b\xe6\x6c\x37\x10";
const VECTORS: [(&[u8], &[u8; 64]); 3] = [
    (
        b"\x2b\x7e\x15\x16\x28\xae\xd2\xa6\xab\xf7\x15\x88\x09\xcf\x4f\x3c",
        b"\x76\x49\xab\xac\x81\x19\xb2\x46\xce\xe9\x8e\x9b\x12\xe9\x19\x7d\
\x50\x86\xcb\x9b\x50\x72\x19\xee\x95\xdb\x11\x3a\x91\x76\x78\xb2\
\x73\xbe\xd6\xb8\xe3\xc1\x74\x3b\x71\x16\xe6\x9e\x22\x22\x95\x16\
\x3f\xf1\xca\xa1\x68\x1f\xac\x09\x12\x0e\xca\x30\x75\x86\xe1\xa7",
    ),
    (
        b"\x8e\x73\xb0\xf7\xda\x0e\x64\x52\xc8\x10\xf3\x2b\x80\x90\x79\xe5\
\x62\xf8\xea\xd2\x52\x2c\x6b\x7b",
        b"\x4f\x02\x1d\xb2\x43\xbc\x63\x3d\x71\x78\x18\x3a\x9f\xa0\x71\xe8\
\xb4\xd9\xad\xa9\xad\x7d\xed\xf4\xe5\xe7\x38\x76\x3f\x69\x14\x5a\
\x57\x1b\x24\x20\x12\xfb\x7a\xe0\x7f\xa9\xba\xac\x3d\xf1\x02\xe0\
\x08\xb0\xe2\x79\x88\x59\x88\x81\xd9\x20\xa9\xe6\x4f\x56\x15\xcd",
    ),
    (
        b"\x60\x3d\xeb\x10\x15\xca\x71\xbe\x2b\x73\xae\xf0\x85\x7d\x77\x81\
\x1f\x35\x2c\x07\x3b\x61\x08\xd7\x2d\x98\x10\xa3\x09\x14\xdf\xf4",
        b"\xf5\x8c\x4c\x04\xd6\xe5\xf1\xba\x77\x9e\xab\xfb\x5f\x7b\xfb\xd6\
\x9c\xfc\x4e\x96\x7e\xdb\x80\x8d\x67\x9f\x77\x7b\xc6\x70\x2c\x7d\
\x39\xf2\x33\x69\xa9\xd9\xba\xcf\xa5\x30\xe2\x63\x04\x23\x14\x61\
\xb2\xeb\x05\xe2\xc3\x9b\xe9\xfc\xda\x6c\x19\x07\x8c\x6a\x9d\x1b",
    ),
];
